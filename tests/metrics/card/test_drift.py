import numpy as np
import pytest
from scipy import stats

from synthassay.metrics.card.drift import drift_rows, smd_error, stability_index
from synthassay.metrics.card.pixels import pixel_facts
from synthassay.records import SilentProgress


def drift(subject):
    return list(drift_rows(subject, pixel_facts(subject, SilentProgress())))


def test_a_planted_shift_is_measured_in_pooled_standard_deviations(make_subject):
    ages = [*np.random.default_rng(0).normal(40, 8, 60), *np.random.default_rng(1).normal(52, 8, 60)]
    subject = make_subject(["A"] * 60 + ["B"] * 60, ages=[float(np.float32(age)) for age in ages])
    rows = {row.statistic: row for row in drift(subject) if row.quantity == "age"}
    a, b = np.array(ages[:60], np.float32).astype(float), np.array(ages[60:], np.float32).astype(float)
    smd = (a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    assert rows["smd"].value == pytest.approx(smd)
    assert rows["smd"].ci_low < -1.5 < rows["smd"].ci_high < 0
    assert (rows["smd"].group, rows["smd"].against, rows["smd"].n_patients) == ("site=A", "site=B", 60)
    assert rows["ks"].value == pytest.approx(stats.ks_2samp(a, b).statistic)
    assert rows["ks"].value > rows["ks"].floor
    assert rows["psi"].value > rows["psi"].floor


def test_three_places_stand_against_the_others_and_a_small_one_says_why_not(make_subject):
    rows = [row for row in drift(make_subject(["A"] * 20 + ["B"] * 20 + ["C"] * 5)) if row.quantity == "contrast"]
    assert [(r.group, r.against) for r in rows if r.statistic == "smd"] == [
        (f"site={name}", "others") for name in "ABC"
    ]
    small = rows[-1]
    assert (small.status, small.value, small.note) == ("absent", None, "5 patients, fewer than 10")


def test_one_value_for_everybody_is_no_drift_and_no_division_by_zero(make_subject):
    rows = [row for row in drift(make_subject(["A"] * 20 + ["B"] * 20)) if row.quantity == "age"]
    assert [(row.status, row.note) for row in rows] == [("absent", "every patient has the same value")]


def test_a_device_that_goes_with_the_site_is_compared_once(make_subject):
    homes = ["A"] * 20 + ["B"] * 20
    together = drift(make_subject(homes, device=[f"scanner {home}" for home in homes]))
    assert {row.group.partition("=")[0] for row in together} == {"site"}
    crossed = drift(make_subject(homes, device=["x", "y"] * 20))
    assert {row.group.partition("=")[0] for row in crossed} == {"site", "device"}


def test_the_floors_and_the_interval_hold_what_they_say():
    rng = np.random.default_rng(0)
    n, m, runs = 40, 70, 600
    inside = psi_under = 0
    psi_floor = stats.chi2.ppf(0.95, 9) * (1 / n + 1 / m)
    for _ in range(runs):
        a, b = rng.normal(0.5, 1, n), rng.normal(0, 1, m)
        pooled = np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2))
        smd = (a.mean() - b.mean()) / pooled
        inside += abs(smd - 0.5) <= 1.96 * smd_error(smd, n, m)
        psi_under += stability_index(rng.normal(size=n), b) <= psi_floor
    assert 0.92 <= inside / runs <= 0.98
    assert 0.90 <= psi_under / runs <= 0.99


def test_equal_samples_have_no_instability():
    values = np.random.default_rng(3).normal(size=200)
    assert stability_index(values, values) == 0
