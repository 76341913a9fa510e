"""What results say about the coverage of their intervals; the shipped measurement is of today's intervals."""

import pytest
from benchmarks.coverage_designs import ABOUT_COPIES, AGAINST_TEST, COHORTS, DESIGNS, MEAN, REPEATS_OF, Row
from benchmarks.interval_coverage import EXAMPLE_PATIENTS, PAGE, coverage_of, page, table_of, with_part

from synthassay.metrics import measured_coverage
from synthassay.metrics.measured_coverage import NOT_MEASURED, coverage_note

SHARES = {"recall": (0.913, 0.913), "kid": (0.9304, 0.9704), "frechet_distance": (0.96, 0.99)}
MEASURED = {
    "confidence": 0.95,
    "patients": [10, 25],
    "coverage": [
        {"metric": metric, "variant": "patient-aware", "method": "half-sampling",
         "share": {"10": {"a": 0.95, "b": 0.95}, "25": {"a": low, "b": high}}}
        for metric, (low, high) in SHARES.items()
    ],
}  # fmt: skip


@pytest.fixture
def measured(monkeypatch):
    monkeypatch.setattr(measured_coverage, "_measured", lambda: MEASURED)


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("metric", "patients", "note"), [
    ("recall", 25, "half-sampling covers 91.3% (measured at 25 patients)"),
    ("recall", 5000, "half-sampling covers 91.3% (measured at 25 patients)"),
    ("recall", 24, ""),
    ("recall", 10, ""),
    ("recall", 9, "coverage was not measured under 10 patients"),
    ("kid", 25, ""),
    ("frechet_distance", 30, "half-sampling covers 96.0 to 99.0% (measured at 25 patients)"),
    ("fid", 30, "half-sampling covers 96.0 to 99.0% (measured at 25 patients)"),
    ("vendi", 30, NOT_MEASURED),
])  # fmt: skip
def test_notes(metric, patients, note):
    assert coverage_note(metric, "patient-aware", patients) == note


@pytest.mark.usefixtures("measured")
def test_other_variants_and_other_confidence_were_not_measured():
    assert coverage_note("recall", "classic", 25) == NOT_MEASURED
    assert coverage_note("recall", "patient-aware", 25, 0.9) == "coverage was measured for 95% intervals only"


def test_the_shipped_measurement_is_what_was_asked_for():
    found = measured_coverage._measured()
    repeats = [cell["repeats"] for entry in found["coverage"] for by_design in entry["detail"].values()
               for cell in by_design.values()]  # fmt: skip
    assert min(repeats) >= 2000
    assert found["patients"] == [10, 25, 50, 200]
    names = {(cell["metric"], cell["variant"]) for cell in found["coverage"]}
    for metric in ("kid", "precision", "recall", "density", "coverage", "authenticity"):
        assert {(metric, "patient-aware"), (metric, "classic")} <= names
    assert ("frechet_distance", "patient-aware") in names
    of_sets = {(metric, variant) for metric, variants in AGAINST_TEST for variant in variants}
    assert of_sets | {(metric, "patient-aware") for metric in (*ABOUT_COPIES, "ms_ssim")} <= names
    for cell in found["coverage"]:
        assert set(cell["share"]) == {"10", "25", "50", "200"}
        for shares in cell["share"].values():
            assert set(DESIGNS) >= set(shares)
            assert all(0.8 <= share <= 1 for share in shares.values())


def test_the_page_is_written_from_the_shipped_measurement():
    assert page(measured_coverage._measured()) == PAGE.read_text()


@pytest.mark.parametrize("part", REPEATS_OF)
def test_the_shipped_measurement_is_of_todays_intervals(part):
    """One repeat again: equal values, the same methods, ends that differ by the draw of half-samples at most.

    If this fails, an interval has changed: run benchmarks/interval_coverage.py again.
    """
    shipped = {(row.design, row.metric, row.variant): row for row in
               (Row(*row) for row in measured_coverage._measured()["example"][part])}  # fmt: skip
    today = [row for row in REPEATS_OF[part](COHORTS["uneven"], EXAMPLE_PATIENTS, 0) if row.metric != MEAN]
    measured = {(row.design, row.metric, row.variant): row for row in today if row.low is not None}
    assert measured.keys() == {key for key, row in shipped.items() if row.low is not None}
    for key, row in measured.items():
        then = shipped[key]
        assert row.value == pytest.approx(then.value, rel=1e-5, abs=1e-8), key
        assert row.method == then.method, key
        assert [row.low, row.high] == pytest.approx([then.low, then.high], abs=0.25 * (then.high - then.low)), key


@pytest.mark.parametrize("part", REPEATS_OF)
def test_a_repeat_depends_on_its_number_only(part):
    repeat = REPEATS_OF[part]
    one = repeat(COHORTS["even"], 10, 3)
    assert one == repeat(COHORTS["even"], 10, 3)
    assert one != repeat(COHORTS["even"], 10, 4)


def test_a_part_that_is_measured_anew_replaces_its_own_entries_only():
    rows = [[Row("generator", "vendi", "patient-aware", 1.0 + i, 1.1 + i, 2.0 + i, "t, t(9)")] for i in range(2)]
    table = table_of({("uneven", 10): rows})
    before = measured_coverage._measured()
    after = with_part(before, "sets", table, rows[0])
    assert [entry for entry in after["coverage"] if entry["part"] == "core"] == [
        entry for entry in before["coverage"] if entry["part"] == "core"
    ]
    (mine,) = [entry for entry in after["coverage"] if entry["part"] == "sets"]
    assert mine["share"]["10"] == {"generator": 0.5}
    assert mine["detail"]["10"]["generator"]["repeats"] == 2
    assert after["example"]["core"] == before["example"]["core"]
    assert "2 repeats" in page(after)


def rows(values, half, given=0):
    return [Row("d", "m", "v", value, value - half, value + half, "t, t(9)", given) for value in values]


def test_coverage_counts_intervals_that_hold_the_mean():
    found = coverage_of([*rows([0.0, 1.0, 2.0], 0.5), *rows([1.0], 0.1)], 10, 5)
    assert (found.below, found.above, found.share) == (0.25, 0.25, 0.5)
    assert found.missing == pytest.approx(1 / 5)
    assert found.method == "t"


def test_coverage_is_of_the_mean_of_the_repeats_that_share_what_is_given():
    found = coverage_of([*rows([0.0, 0.2], 0.15), *rows([1.0, 1.2], 0.15, given=1)], 10, 4)
    assert found.share == 1


def test_repeats_without_interval_are_counted_apart():
    none = Row("d", "m", "v", 1.0, None, None, "")
    found = coverage_of([*rows([0.9, 1.1], 0.5), none], 10, 3)
    assert (found.share, found.repeats) == (1, 3)
    assert found.missing == pytest.approx(1 / 3)
