"""One page over several runs: who is better at what, as far as the intervals can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synthassay.errors import UserError
from synthassay.reports.figures.dots import dot_plot
from synthassay.reports.figures.style import Mark, set_marks
from synthassay.reports.html import render
from synthassay.reports.layout import Cell, Head, Panel, Row, Table, floor_text, row_decimals, text_table, value_cell
from synthassay.reports.numbers import ABSENT, interval, listing
from synthassay.reports.ranking import Board, Entry, Placed, Refusal, boards
from synthassay.reports.runs import Run, read_run
from synthassay.reports.words import clean, metric_name, short, why
from synthassay.whole_files import write_whole

_PARTS_NAMED = 3  # differing parts of an identity that a message spells out


@dataclass(frozen=True, slots=True)
class RankedTable:
    """A board on the page."""

    title: str
    panel: Panel
    table: Table


@dataclass(frozen=True, slots=True)
class LeaderboardPage:
    """Everything that the template shows."""

    title: str
    runs: Table
    refused: Sequence[str]
    headline: Sequence[RankedTable]
    others: Sequence[RankedTable]


def compare(runs: Sequence[Path], out: Path, partial: bool = False) -> Path:
    """Write an HTML leaderboard of the runs in folders ``runs`` to ``out`` (a file, or a folder to put it into).

    Values are ranked only where their identities are equal. A headline metric with different identities raises
    UserError, which names the metric and what differs; with ``partial`` such tables are listed as refused instead.
    Runs that differ in the seed only are averaged, with their spread. Entries whose intervals meet share their ranks.
    """
    read = _distinct_runs([read_run(folder) for folder in runs])
    _require_shared_encoder(read)
    made, refused = boards(read)
    blocking = [refusal for refusal in refused if refusal.question.is_headline]
    if blocking and not partial:
        raise UserError(_message(blocking))
    if not made and not refused:
        raise UserError("none of these runs holds a value of a generated set that could be ranked")
    marks = _marks(made)
    page = LeaderboardPage(
        title=f"Leaderboard: {listing(sorted({clean(run.cohort) for run in read}))}", runs=_runs_table(read),
        refused=[_sentence(refusal) for refusal in refused],
        headline=[_ranked(i, board, marks) for i, board in enumerate(made) if board.question.is_headline],
        others=[_ranked(i, board, marks) for i, board in enumerate(made) if not board.question.is_headline],
    )  # fmt: skip
    path = out / "leaderboard.html" if out.is_dir() or not out.suffix else out
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, render("leaderboard.html", page=page))
    return path


def _distinct_runs(runs: Sequence[Run]) -> list[Run]:
    """A run that was given twice counts once."""
    return list({run.run_id: run for run in reversed(runs)}.values())[::-1]


def _require_shared_encoder(runs: Sequence[Run]) -> None:
    """Features of different encoders would fill tables side by side that must not be read together."""
    encoders = [{row.encoder for row in run.results if row.family == "fidelity"} for run in runs]
    for run, found in zip(runs[1:], encoders[1:], strict=True):
        if found and encoders[0] and not found & encoders[0]:
            here, there = (listing([clean(e) for e in sorted(names)]) for names in (encoders[0], found))
            raise UserError(f"KID and every other fidelity metric cannot be ranked: encoder is {here} in "
                            f"{clean(runs[0].name)} but {there} in {clean(run.name)}.\n"
                            f"Score both runs with one encoder, for example encoder={here}.")  # fmt: skip


def _differences(refusal: Refusal) -> str:
    named = [
        f"{clean(part)} is {short(a, 60)} in {refusal.first} but {short(b, 60)} in {refusal.second}"
        for part, a, b in refusal.differences[:_PARTS_NAMED]
    ]
    more = len(refusal.differences) - len(named)
    return "; ".join(named) + (f"; {more} more parts differ" if more > 0 else "")


def _sentence(refusal: Refusal) -> str:
    return f"{refusal.question.title}: {_differences(refusal)}."


def _message(refusals: Sequence[Refusal]) -> str:
    others = list(dict.fromkeys(metric_name(r.question.metric) for r in refusals[1:]))
    also = f" The same holds for {listing(others[:6])}." if others else ""
    return (f"{refusals[0].question.title} cannot be ranked: {_differences(refusals[0])}.{also}\n"
            f"Compare runs of one cohort, split, encoder and count, or list the rest with partial=true.")  # fmt: skip


def _runs_table(runs: Sequence[Run]) -> Table:
    rows = [
        [clean(run.name), clean(run.run_id), clean(run.cohort), str(run.seed),
         listing([clean(name) for name, origin in run.origins.items() if origin != "control"])]
        for run in runs
    ]  # fmt: skip
    return text_table(["Folder", "Run", "Cohort", "Seed", "Sets under test"], rows, numeric=9)


def _marks(made: Sequence[Board]) -> dict[str, Mark]:
    """One mark per set for the whole page, whatever its rank."""
    tested = sorted({placed.entry.label for board in made for placed in board.placed})
    return set_marks(tested, sorted({entry.label for board in made for entry in board.rulers}))


def _ranked(i: int, board: Board, marks: Mapping[str, Mark]) -> RankedTable:
    entries = [placed.entry for placed in board.placed]
    svg = dot_plot([replace(e.row, generator=e.label) for e in (*entries, *board.rulers)], marks, f"board-{i}")
    rows = [_placed_row(placed) for placed in board.placed] + [_ruler_row(entry) for entry in board.rulers]
    heads = [Head("Rank"), Head("Set"), Head("Value", True), Head("Over seeds", True), Head("Floor", True),
             Head("Not separated from")]  # fmt: skip
    better = "higher is better" if entries[0].row.higher_is_better else "lower is better"
    return RankedTable(board.question.title, Panel(metric_name(board.question.metric), svg, better), Table(heads, rows))


def _placed_row(placed: Placed) -> Row:
    rank = str(placed.best) if placed.best == placed.worst else f"{placed.best} to {placed.worst}"
    soft = placed.entry.row.status != "ok"
    tied = Cell(", ".join(clean(label) for label in placed.tied) or ABSENT)
    reason = Cell(rank, f"{placed.entry.row.status}: {why(placed.entry.row)}") if soft else Cell(rank)
    return Row([reason, *_common(placed.entry), tied], soft)


def _ruler_row(entry: Entry) -> Row:
    return Row([Cell(ABSENT, "a control is a ruler, not a competitor"), *_common(entry), Cell("ruler")], True)


def _common(entry: Entry) -> list[Cell]:
    """Set, value, spread over seeds, floor."""
    decimals = row_decimals(entry.row)
    seeds = ", ".join(str(s.seed) for s in entry.sightings)
    if entry.spread is None:
        spread = Cell(ABSENT, "one seed", f"seed {seeds}")
    else:
        spread = Cell(interval(*entry.spread, decimals), minor=f"seeds {seeds}")
    floor = Cell(floor_text(entry.row), "" if entry.row.floor is not None else "no floor")
    return [Cell(clean(entry.label)), value_cell(entry.row), spread, floor]
