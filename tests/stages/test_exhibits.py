"""What a page says about a cohort in numbers."""

import numpy as np

from synthassay.records import Cohort, ImageSet
from synthassay.stages.exhibits import cohort_summary

AGES = ("80 and over", "under 18", "", "18-39", "under 18")


def cohort() -> Cohort:
    ids = np.array([f"i{i}" for i in range(len(AGES))])
    images = ImageSet(name="real", origin="real", pixels=np.zeros((len(AGES), 1, 8, 8), np.uint8), ids=ids,
                      patients=ids, labels=np.array([0, 1, 0, 1, 0]), label_names=("clear", "lesion"),
                      groups={"site": np.array(["", "B", "A", "A", ""]), "age_band": np.array(AGES)})  # fmt: skip
    return Cohort(name="toy", images=images, splits=np.array(["test"] * len(AGES)), records=[], label="l", positive=1,
                  policy={})  # fmt: skip


def test_ages_stand_in_their_order_and_what_is_not_stated_last():
    rows = cohort_summary(cohort(), "patient").counts
    listed = {column: [row.value for row in rows if row.column == column] for column in ("site", "age_band")}
    assert listed == {"site": ["A", "B", ""], "age_band": ["under 18", "18-39", "80 and over", ""]}
