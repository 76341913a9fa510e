"""The stage *card*: made once from images and headers, then found."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from synthassay.records import Cohort, ScanRecord, SilentProgress
from synthassay.stages.card import data_card
from synthassay.stages.context import RunContext
from synthassay.store.store import Store
from tests.features.sets import CPU, image_set


def cohort() -> Cohort:
    patients = np.array([f"p{i // 2}" for i in range(48)])
    pixels = np.random.default_rng(0).integers(0, 120, (48, 1, 16, 16)).astype(np.uint8)
    pixels[24:] += 60
    images = replace(image_set(pixels, patients), groups={"site": np.repeat(["A", "B"], 24)}, content_id="")
    records = [ScanRecord(scan_id=str(i), patient_id=p, study_id="t", spacing_mm=(0.5, 0.5), source_rows=64)
               for i, p in enumerate(patients.tolist())]  # fmt: skip
    return Cohort(name="toy", images=images, splits=np.array(["test"] * 48), records=records, label="l", positive=1,
                  policy={})  # fmt: skip


def context(root) -> RunContext:
    return RunContext(SimpleNamespace(seed=0), Store(root), root, CPU, SilentProgress())


def test_it_is_made_once_and_read_back_as_it_was(tmp_path):
    first, second = context(tmp_path), context(tmp_path)
    made, found = data_card(first, cohort()), data_card(second, cohort())
    assert [output.found_done for output in (*first.stages, *second.stages)] == [False, True]
    assert list(made.rows) == list(found.rows)
    rows = {(row.topic, row.quantity, row.statistic, row.group): row for row in made.rows}
    assert rows["spacing", "pixel spacing", "median", "site=A"].value == 0.5
    assert rows["spacing", "source rows", "median", "all"].value == 64
    assert ("spacing", "slice spacing", "median", "all") not in rows
    assert rows["missing", "slice spacing", "share of images", "all"].value == 1
    assert rows["shortcut", "site", "auroc", "site=A"].value > 0.9
    np.testing.assert_allclose([h.shares.sum() for h in found.histograms], 1)


def test_other_headers_make_it_anew(tmp_path):
    one, run = cohort(), context(tmp_path)
    data_card(run, one)
    data_card(run, replace(one, records=[replace(record, spacing_mm=None) for record in one.records]))
    assert [output.found_done for output in run.stages] == [False, False]
