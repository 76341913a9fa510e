"""Sample grids and copied pairs: the parts of the page that show images."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from synthassay.reports.data import CopiedPair, GridCell, ReportData
from synthassay.reports.images import montage, png_uri
from synthassay.reports.numbers import number, plural
from synthassay.reports.words import clean, short

_PIXELATED_BELOW = 160  # images with fewer rows are shown as the pixels that they are
_PAIRS_SHOWN = 8  # per set


@dataclass(frozen=True, slots=True)
class Column:
    """A set in the grid."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A montage of one cell."""

    uri: str
    alt: str
    kind: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One label at one site."""

    label: str
    site: str
    cells: Sequence[Picture | None]


@dataclass(frozen=True, slots=True)
class Samples:
    """The grid: sets as columns, labels and sites as rows."""

    columns: Sequence[Column]
    rows: Sequence[SampleRow]
    explained: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A generated image and its nearest training image."""

    synthetic: str
    train: str
    score: str
    detail: str
    kind: str


@dataclass(frozen=True, slots=True)
class PairGroup:
    """The pairs of one set."""

    title: str
    pairs: Sequence[Pair]


def samples(data: ReportData) -> Samples | None:
    """The sample grid, or None without images."""
    if not data.grids:
        return None
    origins = {item.name: item.origin for item in data.sets}
    names = list(dict.fromkeys(cell.set_name for cell in data.grids))
    places = list(dict.fromkeys((cell.label, cell.site) for cell in data.grids))
    by_place = {(cell.set_name, cell.label, cell.site): cell for cell in data.grids}
    sited = {(cell.set_name, cell.label) for cell in data.grids if cell.site}
    siteless = {(cell.set_name, cell.label): cell for cell in data.grids if not cell.site}
    shared = {key: cell for key, cell in siteless.items() if key not in sited}
    alone = {label for _, label in siteless.keys() & sited} | ({label for label, _ in places} - {x for _, x in sited})
    rows = []
    for label, site in places:
        if not site and label not in alone:
            continue  # a set without sites shows its images in the rows of every site
        cells = [by_place.get((name, label, site)) or shared.get((name, label)) for name in names]
        rows.append(SampleRow(short(label), short(site), [_picture(cell) for cell in cells]))
    columns = [Column(short(name, 18), _role(origins.get(name))) for name in names]
    return Samples(columns, rows, f"{_explained(origins.values())}{_left_out(data.grid_left_out)}")


def _explained(origins: Collection[str]) -> str:
    if not origins:
        return "Images drawn at random, as generators and classifiers get them. One row per label and site."
    controls = "; the controls on the right are rulers made without training" if "control" in origins else ""
    return ("Images drawn by seed, not chosen. One row per label and site, real images in the first "
            f"column{controls}.")  # fmt: skip


def _left_out(left_out: Mapping[str, int]) -> str:
    """That places have no row, after what precedes it; empty where all have one."""
    parts = [plural(number, what) for what, number in left_out.items() if number]
    return f" Not shown: {' and '.join(parts)}." if parts else ""


def _role(origin: str | None) -> str:
    return {"generator": "generated", "external": "generated elsewhere", "control": "control"}.get(origin or "", "real")


def _picture(cell: GridCell | None) -> Picture | None:
    if cell is None or not len(cell.images):
        return None
    wide = cell.images.shape[3] > 1.5 * cell.images.shape[2]  # such as the three planes of a volume
    sheet = montage(cell.images, 1 if wide else 2 if len(cell.images) <= 4 else 3)
    alt = " ".join(filter(None, [str(len(cell.images)), "images:", cell.set_name, cell.label, cell.site]))
    return Picture(png_uri(sheet), clean(alt), pixel_kind(cell.images.shape[2]), sheet.shape[2], sheet.shape[1])


def pixel_kind(rows: int) -> str:
    """How the page enlarges images of so many rows."""
    return "pixelated" if rows < _PIXELATED_BELOW else "smooth"


def pairs(data: ReportData) -> list[PairGroup]:
    """The most copied pairs by set, the sets under test first, the most alike first."""
    order = [item.name for item in data.sets if item.origin != "control"]
    order += [item.name for item in data.sets if item.origin == "control"]
    groups = []
    for name in order:
        mine = sorted(
            (p for p in data.pairs if p.generator == name and math.isfinite(p.score)), key=lambda pair: pair.score
        )
        if mine:
            groups.append(PairGroup(short(name), [_pair(pair) for pair in mine[:_PAIRS_SHOWN]]))
    return groups


def _pair(pair: CopiedPair) -> Pair:
    detail = clean(pair.space) + (", mirrored" if pair.mirrored else "")
    kind = pixel_kind(pair.synthetic.shape[1])
    return Pair(png_uri(pair.synthetic), png_uri(pair.train), number(pair.score, 2), detail, kind)
