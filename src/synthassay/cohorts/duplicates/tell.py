"""What is said about images that stand under two patients: counts in notes and a table, the pairs in the keyring."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from synthassay.cohorts.duplicates.moved import CORRELATION, SMALLEST
from synthassay.cohorts.duplicates.pairs import Doubles
from synthassay.cohorts.duplicates.resolve import KINDS, leaks
from synthassay.cohorts.pseudonyms import write_private_table
from synthassay.cohorts.sources import Image
from synthassay.cohorts.specs import DuplicateSpec
from synthassay.records import CohortTable


def told(doubles: Doubles, images: Sequence[Image], splits: Mapping[int, str], spec: DuplicateSpec) -> list[str]:
    """Sentences about the pairs: how many, of how many patients, what was done about them, and what is left."""
    sentences = []
    for kind, text in KINDS.items():
        pairs = [pair for pair in doubles.pairs if pair.kind == kind]
        if not pairs:
            continue
        people = {_own(images[row]) for pair in pairs for row in (pair.first, pair.second)}
        action = getattr(spec, kind)
        leaking = sum(leaks(pair, splits) for pair in pairs)
        left = f"{leaking:,} of the pairs stand in two splits." if leaking else "None stands in two splits."
        done = {"merge": "Their patients count as one.", "drop": "Only the first image of each was kept."}
        sentences.append(f"{len(pairs):,} pairs of images of {len(people):,} patients are {text}: patients may be "
                         f"present under two ids. {done.get(action, left)}")  # fmt: skip
    return sentences


def _own(image: Image) -> str:
    return image.source.merged_from or image.source.patient


def table_of(doubles: Doubles, images: Sequence[Image], splits: Mapping[int, str]) -> CohortTable:
    """Pairs, pairs of patients and pairs in two splits by kind, and by what a near double was told from chance."""
    rows, people = [], []
    for kind, text in KINDS.items():
        for change in sorted({pair.change for pair in doubles.pairs if pair.kind == kind} | {""}):
            pairs = [pair for pair in doubles.pairs if pair.kind == kind and pair.change == change]
            couples = {(_own(images[pair.first]), _own(images[pair.second])) for pair in pairs}
            leaking = sum(leaks(pair, splits) for pair in pairs)
            rows.append((f"{text}, {change}" if change else text,
                         *(f"{count:,}" for count in (len(pairs), len(couples), leaking))))  # fmt: skip
            people.append(len({person for couple in couples for person in couple}))
    usual = f"{doubles.usual:.3f}" if doubles.usual == doubles.usual else "unknown"
    return CohortTable(
        title="Images under two patients",
        columns=("Pairs that are", "Pairs of images", "Pairs of patients", "In two splits"),
        rows=tuple(rows), patients=tuple(people),
        note=f"An image and the nearest one of another patient usually correlate by {usual}; near doubles by "
             f"{doubles.threshold:.3f} or more, and by perceptual hash{_of_moved(doubles)}. Images of one value are "
             "left out.",
    )  # fmt: skip


def _of_moved(doubles: Doubles) -> str:
    if doubles.moved_threshold != doubles.moved_threshold:
        return f"; for shifted ones images of fewer than {SMALLEST} pixels a side are too small"
    return f"; shifted ones, laid on each other, by {CORRELATION:g}, and by {doubles.moved_threshold:.3f} in details"


def write_pairs(stem: Path, doubles: Doubles, images: Sequence[Image], splits: Mapping[int, str]) -> None:
    """``<stem>.doubles.parquet``: the pairs with their files and source ids, for the owner of the keyring only."""
    path = stem.with_name(f"{stem.name}.doubles.parquet")
    if doubles.pairs:
        write_private_table(path, _private_columns(doubles, images, splits))
    else:
        path.unlink(missing_ok=True)


def _private_columns(doubles: Doubles, images: Sequence[Image], splits: Mapping[int, str]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        "kind": [pair.kind for pair in doubles.pairs], "change": [pair.change for pair in doubles.pairs],
        "correlation": [pair.correlation for pair in doubles.pairs],
    }  # fmt: skip
    for side in ("first", "second"):
        rows = [getattr(pair, side) for pair in doubles.pairs]
        columns |= {
            f"{side}_path": [images[row].source.path for row in rows],
            f"{side}_frame": [images[row].plane.frame for row in rows],
            f"{side}_patient": [_own(images[row]) for row in rows],
            f"{side}_split": [splits.get(row, "") for row in rows],
        }
    return columns
