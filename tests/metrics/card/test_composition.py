import numpy as np
import pytest
from scipy import stats

from synthassay.metrics.card.composition import missing_rows, people_rows, prevalence_rows, spacing_rows
from synthassay.metrics.intervals import wilson

HOMES = ["A"] * 24 + ["B"] * 12 + ["C"] * 4


def by_group(rows, **wanted):
    kept = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
    return {row.group: row for row in kept}


def test_prevalence_counts_patients_and_few_of_them_have_a_reason_in_place_of_a_number(make_subject):
    ill = [i % 4 == 0 for i in range(24)] + [True] * 6 + [False] * 6 + [True] * 4
    rows = by_group(prevalence_rows(make_subject(HOMES, ill=ill)), quantity="ill", statistic="share of patients")
    assert (rows["site=A"].value, rows["site=A"].cell, rows["site=A"].n_images) == (0.25, 6, 72)
    assert (rows["site=A"].ci_low, rows["site=A"].ci_high) == wilson(6, 24).ends()
    assert (rows["site=A"].status, rows["site=B"].status, rows["site=C"].status) == ("ok", "descriptive", "absent")
    assert rows["site=C"].value is None
    assert rows["site=C"].note == "4 patients, fewer than 10"
    assert rows["all"].value == pytest.approx(16 / 40)


def test_the_share_of_images_is_clustered_by_patient(make_subject):
    subject = make_subject(["A"] * 30, each=10, ill=[i < 15 for i in range(30)])
    row = by_group(prevalence_rows(subject), quantity="ill", statistic="share of images")["all"]
    width = row.ci_high - row.ci_low
    alone = wilson(15, 30)
    assert row.value == 0.5
    assert width == pytest.approx(alone.high - alone.low, rel=0.15), (
        "300 images of 30 patients say what 30 images would"
    )


def test_what_is_missing_is_counted_by_field_and_place(make_subject):
    subject = make_subject(HOMES, sexes=["F"] * 30 + [""] * 10, ages=[np.nan] * 4 + [50.0] * 36,
                           facts={"pixel spacing": np.full(120, np.nan)})  # fmt: skip
    sex, age, spacing = (by_group(missing_rows(subject), quantity=name) for name in ("sex", "age", "pixel spacing"))
    assert {group: row.value for group, row in sex.items()} == {"all": 0.25, "site=A": 0, "site=B": 0.5, "site=C": 1}
    assert (age["site=A"].value, age["site=A"].cell) == (pytest.approx(4 / 24), 4)
    assert spacing["all"].value == 1


def test_age_is_a_mean_over_patients_and_sex_a_share_of_those_who_state_it(make_subject):
    ages = [float(20 + i) for i in range(40)]
    subject = make_subject(HOMES, ages=ages, sexes=["F", "M"] * 10 + [""] * 20)
    rows = by_group(people_rows(subject), quantity="age", statistic="mean")
    expected = stats.ttest_1samp(ages[:24], 0).confidence_interval()
    assert rows["site=A"].value == pytest.approx(np.mean(ages[:24]))
    assert (rows["site=A"].ci_low, rows["site=A"].ci_high) == pytest.approx((expected.low, expected.high))
    median = by_group(people_rows(subject), quantity="age", statistic="median")
    assert median["site=B"].value == np.median(ages[24:36])
    women = by_group(people_rows(subject), quantity="sex F", statistic="share of patients")
    assert (women["all"].value, women["all"].n_patients) == (0.5, 20)
    assert women["site=B"].status == "absent", "nobody there states it"


def test_spacing_is_told_where_it_is_known(make_subject):
    known = np.where(np.arange(120) < 72, 0.5, np.nan)
    rows = list(spacing_rows(make_subject(HOMES, facts={"pixel spacing": known, "source rows": np.full(120, 256.0)})))
    spacing = by_group(rows, quantity="pixel spacing", statistic="median")
    assert set(spacing) == {"all", "site=A"}
    assert (spacing["all"].value, spacing["all"].unit, spacing["all"].n_patients) == (0.5, "mm", 24)
    assert by_group(rows, quantity="source rows", statistic="median")["site=B"].unit == "pixels"


def test_without_labels_there_is_no_prevalence(make_subject):
    subject = make_subject(HOMES)
    subject.images.labels[:] = -1
    assert list(prevalence_rows(subject)) == []
