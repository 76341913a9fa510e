"""What a page says about a cohort in numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from synthassay.records import Cohort, ImageSet
from synthassay.stages.exhibits import cohort_summary

AGES = ("80 and over", "under 18", "", "18-39", "under 18")


def line(patient_is: str) -> SimpleNamespace:
    ids = np.array([f"i{i}" for i in range(len(AGES))])
    images = ImageSet(name="real", origin="real", pixels=np.zeros((len(AGES), 1, 8, 8), np.uint8), ids=ids,
                      patients=ids, labels=np.array([0, 1, 0, 1, 0]), label_names=("clear", "lesion"),
                      groups={"site": np.array(["", "B", "A", "A", ""]), "age_band": np.array(AGES)})  # fmt: skip
    cohort = Cohort(name="toy", images=images, splits=np.array(["test"] * len(AGES)), records=[], label="l", positive=1,
                    policy={})  # fmt: skip
    return SimpleNamespace(cohort=cohort, context=SimpleNamespace(spec=SimpleNamespace(
        cohort=SimpleNamespace(patient_is=patient_is))))  # fmt: skip


def test_ages_stand_in_their_order_and_what_is_not_stated_last():
    rows = cohort_summary(line("patient")).counts
    listed = {column: [row.value for row in rows if row.column == column] for column in ("site", "age_band")}
    assert listed == {"site": ["A", "B", ""], "age_band": ["under 18", "18-39", "80 and over", ""]}


@pytest.mark.parametrize("unit", ["patient", "lesion", "image"])
def test_what_counts_as_a_patient_is_known(unit):
    assert cohort_summary(line(unit)).unit == unit
