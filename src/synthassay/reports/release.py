"""What may leave the organisation: aggregates, and those only over enough patients."""

from dataclasses import replace

from synthassay.records import MetricResult
from synthassay.reports.data import CohortCount, ReportData

MIN_PUBLISHED_PATIENTS = 11  # cells of fewer patients are withheld, as statistical offices and EMA's 0.09 rule do
WITHHELD = f"fewer than {MIN_PUBLISHED_PATIENTS} patients: not published"


def for_audience(data: ReportData) -> ReportData:
    """``data`` itself for an internal page; for a release, a copy that holds aggregates only.

    No image of any kind is kept: real ones and controls made of them are patients, and a generated one may be a copy.
    """
    if data.audience == "internal":
        return data
    cohort = replace(data.cohort, counts=tuple(_count(row) for row in data.cohort.counts))
    results = tuple(_result(row) for row in data.results)
    return replace(data, cohort=cohort, results=results, grids=(), pairs=())


def _count(row: CohortCount) -> CohortCount:
    small = row.patients is not None and 0 < row.patients < MIN_PUBLISHED_PATIENTS
    return replace(row, patients=None, images=None) if small else row


def _result(row: MetricResult) -> MetricResult:
    """A group's value over too few patients is withheld; what is about the whole set stays."""
    if row.group == "all" or not 0 < row.n_patients < MIN_PUBLISHED_PATIENTS:
        return row
    return replace(
        row, value=None, ci_low=None, ci_high=None, floor=None, floor_ci_low=None, floor_ci_high=None,
        n_real=0, n_synthetic=0, n_patients=0, identity=(), status="absent", note=WITHHELD,
    )  # fmt: skip
