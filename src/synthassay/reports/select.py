"""Looking up results: the few questions that sections, figures and findings all ask."""

from collections.abc import Iterable, Sequence

from synthassay.records import MetricResult
from synthassay.reports.data import ReportData

HEADLINE_VARIANT = "patient-aware"
HEADLINE_REFERENCE = "test"
VERDICT = "memorisation_verdict"
FIDELITY_ORDER = ("kid", "fid", "frechet_distance", "precision", "recall", "density", "coverage", "authenticity")


class Results:
    """Ordered results of one run, with the sets they are about."""

    def __init__(self, rows: Sequence[MetricResult], data: ReportData) -> None:
        self.rows = list(rows)
        self.tested = [item.name for item in data.sets if item.origin in ("generator", "external")]
        self.controls = [item.name for item in data.sets if item.origin == "control"]
        self.sets = self.tested + self.controls
        self.overfitted = [item.name for item in data.sets if item.positive_control]

    def where(self, rows: Iterable[MetricResult] | None = None, /, **wanted: str) -> list[MetricResult]:
        """The results whose fields equal ``wanted``."""
        chosen = self.rows if rows is None else rows
        return [row for row in chosen if all(getattr(row, name) == value for name, value in wanted.items())]

    def one(self, **wanted: str) -> MetricResult | None:
        """The first result whose fields equal ``wanted``."""
        return next(iter(self.where(**wanted)), None)

    def headline(self, **wanted: str) -> list[MetricResult]:
        """Fidelity against test patients, patient-aware, over all images."""
        fixed = {"family": "fidelity", "variant": HEADLINE_VARIANT, "reference": HEADLINE_REFERENCE, "group": "all"}
        return self.where(**(fixed | wanted))

    def encoders(self, family: str = "fidelity") -> list[str]:
        """Encoders with results in ``family``, in order of appearance."""
        return list(dict.fromkeys(row.encoder for row in self.rows if row.family == family))

    def metrics(self, rows: Iterable[MetricResult]) -> list[str]:
        """The metrics of ``rows``, the known ones in the page's order first."""
        present = dict.fromkeys(row.metric for row in rows)
        return [m for m in FIDELITY_ORDER if m in present] + [m for m in present if m not in FIDELITY_ORDER]


def downstream_places(results: Results) -> list[str]:
    """The test splits with downstream results: seen sites first."""
    present = {row.reference for row in results.rows if row.family == "downstream"}
    return sorted(present, key=lambda reference: (reference == "external", reference))


def memorisation_headline(results: Results) -> str:
    """The space of the verdicts; all spaces jointly where there are several."""
    return next((row.encoder for row in results.rows if row.metric == VERDICT), "")


def is_difference(row: MetricResult) -> bool:
    """Whether a downstream result is one arm's value minus another's."""
    return row.family == "downstream" and row.metric.endswith("_difference")


def has_interval(row: MetricResult) -> bool:
    """Whether ``row`` has a value and both ends of an interval."""
    return row.value is not None and row.ci_low is not None and row.ci_high is not None
