"""How far apart the pixels of stored images lie: from what the source's header said and what preparation did."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthassay.records import Cohort, ScanRecord
from synthassay.scans.facts import SHOWN, Grid
from synthassay.scans.orientation import Axis

DIGITS = 6  # mm; spacings that agree so far are equal


def real_grids(cohort: Cohort, turned: bool) -> dict[str, Grid | None]:
    """The grid of each image by its id.

    ``turned``: whether slices were brought into the order in which radiologists see them, as those of NIfTI files and
    of volumes are; the plane that is shown is known only then.
    """
    return {record.scan_id: grid_of(record, cohort.policy, turned) for record in cohort.records}


def shared_grid(grids: Sequence[Grid | None]) -> Grid | None:
    """The one grid that all have, which is then that of images made like them; None where they differ."""
    return grids[0] if grids and len(set(grids)) == 1 else None


def grid_of(record: ScanRecord, policy: Mapping[str, Any], turned: bool) -> Grid | None:
    """The grid of one stored image; None where the source's spacing or size is not known."""
    if record.spacing_mm is None or min(record.spacing_mm[:2]) <= 0:
        return None
    rows, columns, *between = record.spacing_mm
    if policy.get("dimensions", 2) == 2:
        if record.source_rows is None or record.source_columns is None:
            return None
        tall, wide = _kept(record.source_rows, record.source_columns, str(policy["fit"]))
        rows, columns = rows * tall / policy["size"], columns * wide / policy["size"]
    axis: Axis | None = next((name for name in SHOWN if turned and name == record.orientation), None)
    step = round(between[0], DIGITS) if between and between[0] > 0 else None
    return Grid(spacing=(round(rows, DIGITS), round(columns, DIGITS)), step=step, axis=axis)


def _kept(rows: int, columns: int, fit: str) -> tuple[int, int]:
    """Rows and columns of the source that became the rows and columns of the square."""
    side = {"crop": min, "pad": max}.get(fit)
    return (rows, columns) if side is None else (side(rows, columns), side(rows, columns))
