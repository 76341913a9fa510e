"""DICOM files of a cohort as series: where each slice stands, what is no volume and why, and a table of it all."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from synthassay.cohorts.pseudonyms import write_private_table
from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import CohortSpec
from synthassay.records import CohortTable, Quarantined
from synthassay.scans.dicom.geometry import orientation_name
from synthassay.scans.dicom.series import LOCALISER, Slice, Stack, split_series
from synthassay.scans.natures import TOLD
from synthassay.scans.unreadable import Unreadable

UNKNOWN = "unknown"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStack:
    """One stack of a series; ``source`` is the file of its first slice."""

    source: Source
    stack: Stack


def stacks_of(sources: Iterable[Source]) -> list[SourceStack]:
    """All slices of all series as stacks, series in the order of their first file."""
    by_path: dict[str, Source] = {}
    series: dict[tuple[str, str], list[Slice]] = defaultdict(list)
    for source in sources:
        by_path[source.path] = source
        series[source.patient, source.series] += [Slice(path=source.path, facts=facts) for facts in source.slices]
    return [SourceStack(source=by_path[stack.slices[0].path], stack=stack)
            for slices in series.values() for stack in split_series(slices)]  # fmt: skip


def without_localisers(sources: Sequence[Source]) -> tuple[list[Source], list[Quarantined]]:
    """The sources that are scans, and a row for each file that holds nothing but localisers."""
    plans = {s.path for s in sources if s.slices and all(facts.is_localiser for facts in s.slices)}
    return [s for s in sources if s.path not in plans], [LOCALISER.row(path) for path in sorted(plans)]


def volumes_of(stacks: Sequence[SourceStack], index: int | None) -> tuple[list[Source], list[Quarantined]]:
    """A source for each volume, and a row for each file of which no slice is in one.

    ``index``: of each series only the volume of this number, from 0; None: all of them.
    """
    volumes: list[Source] = []
    left_out: dict[str, Unreadable] = {}
    number: dict[tuple[str, str], int] = defaultdict(int)
    for one in stacks:
        series = (one.source.patient, one.source.series)
        problem = one.stack.problem
        if problem is None:
            if index is not None and number[series] != index:
                problem = Unreadable("volume", str(number[series]), "left out by cohort.volume.index")
            number[series] += 1
        if problem is None:
            volumes.append(replace(one.source, stack=one.stack, slices=()))
        else:
            left_out |= dict.fromkeys(one.stack.paths, problem)
    used = {path for volume in volumes for path in volume.parts}
    return volumes, [problem.row(path) for path, problem in left_out.items() if path not in used]


def places_of(stacks: Iterable[SourceStack]) -> dict[tuple[str, int], tuple[int, float]]:
    """Index and position (0 to 1) of each slice in its stack, by path and frame; a single slice has none.

    Slices of which no place is written have none either.
    """
    placed: dict[tuple[str, int], tuple[int, float]] = {}
    for stack in stacks:
        slices = stack.stack.slices
        if len(slices) < 2 or any(one.facts.position is None or one.facts.orientation is None for one in slices):
            continue
        for index, one in enumerate(slices):
            placed[one.path, one.facts.frame] = (index, index / (len(slices) - 1))
    return placed


def series_table(stacks: Sequence[SourceStack]) -> CohortTable:
    """Series that are alike in device, plane and outcome are a row; sizes are given from the least to the most."""
    groups: dict[tuple[str, ...], list[SourceStack]] = defaultdict(list)
    for one in stacks:
        first = one.stack.slices[0].facts
        groups[
            one.source.modality or UNKNOWN, one.source.device or UNKNOWN,
            orientation_name(first.orientation) or UNKNOWN, ", ".join(one.stack.apart), outcome(one.stack),
        ].append(one)  # fmt: skip
    order = sorted(groups)
    return CohortTable(
        title="Series found",
        columns=("Modality", "Device", "Plane", "Put apart by", "What it is", "Series", "Stacks", "Slices",
                 "Rows × columns", "Spacing in mm"),
        rows=tuple((*key, *_counts(groups[key])) for key in order),
        patients=tuple(len({one.source.patient for one in groups[key]}) for key in order),
        note="Slices of a series are sorted along the normal of their plane; spacing is of rows, columns and slices.",
    )  # fmt: skip


def outcome(stack: Stack) -> str:
    """``volume``, with the tilt of the gantry where there is one, or why it is none."""
    if stack.problem is not None:
        return f"no volume: {stack.problem.reason}"
    return f"volume, gantry tilted by {stack.tilt_degrees:.1f}°" if stack.tilt_degrees else "volume"


def _counts(stacks: Sequence[SourceStack]) -> tuple[str, ...]:
    firsts = [one.stack.slices[0].facts for one in stacks]
    spacings = [one.stack.spacing_mm or one.stack.slices[0].facts.spacing for one in stacks]
    known = {tuple(f"{value:.3g}" for value in spacing) for spacing in spacings if spacing}
    return (
        f"{len({(one.source.patient, one.source.series) for one in stacks}):,}", f"{len(stacks):,}",
        _range(sorted({len(one.stack.slices) for one in stacks}), str),
        _range(sorted({(facts.rows, facts.columns) for facts in firsts}), lambda pair: f"{pair[0]} × {pair[1]}"),
        _range(sorted(known, key=lambda texts: [float(text) for text in texts]), " × ".join) if known else UNKNOWN,
    )  # fmt: skip


def _range(values: Sequence[T], say: Callable[[T], str]) -> str:
    """The one value, or the first and the last of sorted ones."""
    return say(values[0]) if len(values) == 1 else f"{say(values[0])} to {say(values[-1])}"


def told_of_files(sources: Sequence[Source], spec: CohortSpec) -> list[str]:
    """Sentences about files that are no plain scans, beside others that are, and about graphics beside the pixels."""
    counts = Counter(nature for source in sources for nature in source.natures)
    sentences = [f"{counts[nature]:,} of {len(sources):,} files are {what}; cohort.without=[{nature}] leaves them out."
                 for nature, what in TOLD.items() if 0 < counts[nature] < len(sources)]  # fmt: skip
    modalities = Counter(source.modality or UNKNOWN for source in sources)
    if len(modalities) > 1:
        shown = ", ".join(f"{name} ({count:,})" for name, count in sorted(modalities.items()))
        sentences.append(f"The files are of several modalities, whose values mean different things: {shown}; "
                         "cohort.modalities names those to keep.")  # fmt: skip
    padded = sum(source.padded and source.modality == "CT" for source in sources)
    remedies = []
    if spec.window.mode in ("percentiles", "scan"):  # the others do not look at the pixels
        remedies.append("cohort.window.name keeps them out of the window")
    if spec.slices.foreground_above is None:
        remedies.append("cohort.slices.foreground_above=-500 keeps them out of what counts as the body")
    if padded and remedies:
        sentences.append(f"{padded:,} files of CT may have pixels that were not scanned, at a value far below air: "
                         f"{', '.join(remedies)}.")  # fmt: skip
    drawn = {(source.patient, source.series) for source in sources if source.overlays}
    if drawn:
        sentences.append(f"{len(drawn):,} series have overlays, which are not burnt into the pixels.")
    return sentences


def told(stacks: Sequence[SourceStack], straightened: bool) -> list[str]:
    """Sentences about what a reader should know; ``straightened``: volumes are put onto the patient's axes."""
    sentences = []
    tilted = sum(one.stack.tilt_degrees > 0 for one in stacks)
    if tilted and not straightened:
        sentences.append(f"{tilted:,} stacks were scanned with a tilted gantry, and their slices stay shifted against "
                         "each other (for volumes cohort.volume.oblique=resample straightens them).")  # fmt: skip
    return sentences


def write_series(stem: Path, stacks: Sequence[SourceStack]) -> None:
    """Every stack with its source ids into the private table ``<stem>.series.parquet``."""
    firsts = [one.stack.slices[0].facts for one in stacks]
    problems = [one.stack.problem for one in stacks]
    write_private_table(stem.with_name(f"{stem.name}.series.parquet"), {
        "source_patient": [one.source.patient for one in stacks], "source_study": [one.source.study for one in stacks],
        "source_series": [one.source.series for one in stacks], "path": [one.source.path for one in stacks],
        "modality": [one.source.modality for one in stacks], "device": [one.source.device for one in stacks],
        "slices": [len(one.stack.slices) for one in stacks], "rows": [facts.rows for facts in firsts],
        "columns": [facts.columns for facts in firsts], "spacing_mm": [one.stack.spacing_mm for one in stacks],
        "plane": [orientation_name(facts.orientation) for facts in firsts],
        "put_apart_by": [", ".join(one.stack.apart) for one in stacks],
        "tilt_degrees": [one.stack.tilt_degrees for one in stacks],
        "problem": [problem and problem.reason for problem in problems],
        "problem_field": [problem and problem.field for problem in problems],
        "problem_found": [problem and problem.found for problem in problems],
    })  # fmt: skip
