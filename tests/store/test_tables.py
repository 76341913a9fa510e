"""What is written is read back equal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthassay.records import (
    UNKNOWN_MASK,
    Cohort,
    CohortTable,
    FeatureSet,
    ImageSet,
    MetricResult,
    Predictions,
    Quarantined,
    ScanRecord,
    identity,
    identity_differences,
)
from synthassay.store import tables


def images(n: int = 6, dtype: type = np.uint16) -> ImageSet:
    rng = np.random.default_rng(0)
    return ImageSet(
        name="real/test",
        origin="real",
        pixels=rng.integers(0, 255, (n, 1, 8, 8)).astype(dtype),
        ids=np.array([f"s-{i}" for i in range(n)]),
        patients=np.array([f"p-{i // 2}" for i in range(n)]),
        labels=np.arange(n, dtype=np.int64) % 2,
        label_names=("none", "lesion"),
        groups={"site": np.array(["A", "", "<script>"] * (n // 3))},
        covariates={"age": np.array([40.0, np.nan] * (n // 2), np.float32)},
    )


def test_volumes_round_trip(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (6, 1, 3, 4, 5)).astype(np.uint16)
    made = replace(images(), pixels=pixels, content_id="")
    tables.save_images(made, tmp_path)
    back = tables.load_images(tmp_path)
    assert np.array_equal(back.pixels, pixels)
    assert back.content_id == made.content_id != images().content_id


def test_masks_round_trip_and_belong_to_the_content(tmp_path: Path) -> None:
    masks = np.random.default_rng(2).integers(0, 3, (6, 8, 8)).astype(np.uint8)
    masks[2] = UNKNOWN_MASK
    made = replace(images(), masks=masks, mask_names=("background", "a", "b"), content_id="")
    tables.save_images(made, tmp_path)
    back = tables.load_images(tmp_path)
    assert isinstance(back.masks, np.memmap)
    np.testing.assert_array_equal(back.masks, masks)
    assert back.mask_names == made.mask_names
    assert back.mask_known.tolist() == [True, True, False, True, True, True]
    assert replace(back, content_id="").content_id == made.content_id != images().content_id
    other = replace(made, mask_names=("background", "a", "c"), content_id="")
    assert other.content_id != made.content_id
    part = back.take(np.array([2, 5]))
    assert part.masks is not None
    np.testing.assert_array_equal(part.masks, masks[[2, 5]])
    assert not images().mask_known.any()


def test_masks_must_fit_their_images() -> None:
    for masks, names in ((np.zeros((6, 8, 7), np.uint8), ("background", "a")), (np.zeros((6, 8, 8), bool), ("b", "a")),
                         (np.zeros((6, 8, 8), np.uint8), ("background",)), (None, ("background", "a"))):  # fmt: skip
        with pytest.raises(ValueError, match="mask"):
            replace(images(), masks=masks, mask_names=names)


def test_content_without_masks_is_what_it_was() -> None:
    assert images().content_id.startswith("393ea35e96c149e4")


def test_images_round_trip(tmp_path: Path) -> None:
    made = images()
    tables.save_images(made, tmp_path)
    read = tables.load_images(tmp_path)
    assert read.content_id == made.content_id
    assert replace(read, content_id="").content_id == made.content_id
    np.testing.assert_array_equal(read.pixels, made.pixels)
    np.testing.assert_array_equal(read.covariates["age"], made.covariates["age"])
    assert read.groups["site"].tolist() == made.groups["site"].tolist()
    assert read.label_names == made.label_names


def test_content_does_not_depend_on_pseudonyms_but_on_patients() -> None:
    made = images()
    renamed = replace(made, patients=np.array([f"x{p}" for p in made.patients]), content_id="")
    merged = replace(made, patients=np.array(["p"] * len(made)), content_id="")
    assert renamed.content_id == made.content_id != merged.content_id


def test_content_follows_label_names_groups_and_covariates() -> None:
    made = images()
    ids = {
        made.content_id,
        replace(made, label_names=("none", "tumour"), content_id="").content_id,
        replace(made, groups={"device": made.groups["site"]}, content_id="").content_id,
        replace(made, covariates={"age": made.covariates["age"] + 1}, content_id="").content_id,
    }
    assert len(ids) == 4


def test_cohort_round_trip(tmp_path: Path) -> None:
    cohort = Cohort(
        name="toy",
        images=images(),
        splits=np.array(["generator-train"] * 4 + ["test"] * 2),
        label="lesion",
        positive=1,
        records=[ScanRecord(scan_id="s-0", patient_id="p-0", study_id="t", spacing_mm=(1.0, 0.5), age=None)],
        policy={"low": 0.5},
        quarantined=[Quarantined(path="a.dcm", field="file", found="12 bytes", reason="truncated")],
        notes=("one site",),
        tables=(CohortTable(title="Vendors", columns=("Written", "Read as"), rows=(("GE MEDICAL", "GE"),)),
                CohortTable(title="Series", columns=("Series",), rows=(("localiser",), ("T2",)), patients=(4, 12))),
    )  # fmt: skip
    tables.save_cohort(cohort, tmp_path)
    read = tables.load_cohort(tmp_path)
    assert read.content_id == cohort.content_id
    assert read.records[0] == cohort.records[0]
    assert read.quarantined[0] == cohort.quarantined[0]
    assert read.tables == cohort.tables
    assert replace(cohort, tables=()).content_id == cohort.content_id
    assert len(read.split("test")) == 2


def test_a_table_about_a_cohort_has_one_text_for_each_column() -> None:
    with pytest.raises(ValueError, match="not one text for each"):
        CohortTable(title="Vendors", columns=("Written", "Read as"), rows=(("GE",),))
    with pytest.raises(ValueError, match="patients has 1 rows, expected 2"):
        CohortTable(title="Series", columns=("Series",), rows=(("a",), ("b",)), patients=(3,))


def test_a_patient_in_two_splits_is_refused() -> None:
    with pytest.raises(ValueError, match="more than one split"):
        Cohort(
            name="x",
            images=images(),
            splits=np.array(["test", "validation"] * 3),
            records=(),
            label="l",
            positive=1,
            policy={},
        )


def test_splits_are_not_mixed() -> None:
    cohort = Cohort(
        name="x", images=images(), splits=np.array(["test"] * 6), records=(), label="l", positive=1, policy={}
    )
    with pytest.raises(ValueError, match="must not be mixed"):
        cohort.split("test", "generator-train")


def test_features_predictions_and_results_round_trip(tmp_path: Path) -> None:
    base = images()
    features = FeatureSet(
        name="x",
        origin="real",
        features=np.ones((6, 3), np.float32),
        ids=base.ids,
        patients=base.patients,
        labels=base.labels,
        label_names=base.label_names,
        encoder="e",
        encoder_identity=identity(weights="abc"),
        groups=base.groups,
        content_id="c",
    )
    tables.save_features(features, tmp_path)
    read = tables.load_features(tmp_path)
    np.testing.assert_array_equal(read.features, features.features)
    assert read.encoder_identity == features.encoder_identity
    made = Predictions(
        arm="real",
        generator="",
        seed=1,
        split="test",
        ids=base.ids,
        patients=base.patients,
        scores=np.linspace(0, 1, 6, dtype=np.float32),
        labels=base.labels,
        groups=base.groups,
    )
    tables.save_predictions([made, made], tmp_path)
    both = tables.load_predictions(tmp_path)
    assert len(both) == 2
    assert np.isnan(both[0].threshold)
    np.testing.assert_array_equal(both[1].scores, made.scores)
    row = MetricResult(family="fidelity", metric="kid", generator="edm", value=0.1, identity=identity(k=5, n=3))
    tables.save_results([row], tmp_path / "r.json")
    assert tables.load_results(tmp_path / "r.json") == [row]


def test_identity_differences_name_the_part() -> None:
    assert identity_differences(identity(k=5, n=3), identity(k=3, m=1)) == [
        ("k", "5", "3"),
        ("m", "(absent)", "1"),
        ("n", "3", "(absent)"),
    ]
