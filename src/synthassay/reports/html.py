"""A run's report: one HTML file that needs nothing else, and the results as JSON and Parquet."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from synthassay.reports.cohort import cohort_page_of
from synthassay.reports.data import Audience, ReportData
from synthassay.reports.page import page_of
from synthassay.reports.release import for_audience
from synthassay.reports.select import Results
from synthassay.reports.tables import ordered, to_json, to_parquet
from synthassay.whole_files import PRIVATE, SHARED, write_whole


@cache
def environment() -> Environment:
    """Templates with escaping everywhere, whatever a file is called, and no silent gap for a missing name."""
    loader = PackageLoader("synthassay.reports")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def render(template: str, **context: Any) -> bytes:
    """A template of this package as UTF-8; text that cannot be encoded is replaced."""
    return environment().get_template(template).render(**context).encode("utf-8", errors="replace")


def write_report(data: ReportData, out: Path) -> Path:
    """Write ``report.html``, ``results.json`` and ``results.parquet`` into ``out``; returns the path of the page.

    Each file is written atomically, the page last. For ``data.audience == "release"`` only aggregates are written: no
    image, no per-image score, no group of fewer than 11 patients; files of an internal page are their owner's alone.
    Raises ValueError when two results answer the same question.
    """
    data = for_audience(data)
    rows = ordered(data.results, [item.name for item in data.sets])
    page = page_of(data, Results(rows, data))
    out.mkdir(parents=True, exist_ok=True)
    mode = _mode(data.audience)
    write_whole(out / "results.parquet", to_parquet(rows), mode)
    write_whole(out / "results.json", to_json(data, rows), mode)
    write_whole(out / "report.html", render("report.html", page=page), mode)
    return out / "report.html"


def write_cohort_page(data: ReportData, out: Path) -> Path:
    """Write ``cohort.html`` into ``out``, atomically; returns its path. ``data`` has no sets and no results.

    What a release withholds, and whose file it is, are as for :func:`write_report`.
    """
    data = for_audience(data)
    page = cohort_page_of(data)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "cohort.html", render("cohort.html", page=page), _mode(data.audience))
    return out / "cohort.html"


def _mode(audience: Audience) -> int:
    return SHARED if audience == "release" else PRIVATE
