"""What there is to read in a folder: files, rows of array files and, for a cohort of volumes, series of DICOM files."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthassay.generators.external.specs import ExternalSpec
from synthassay.records import Progress, Quarantined
from synthassay.scans.array_rows import check_rows, image_arrays, is_volume, row_path, texts_of
from synthassay.scans.arrays import SUFFIXES as ARRAYS
from synthassay.scans.arrays import ArrayInfo
from synthassay.scans.dicom.header import read_header
from synthassay.scans.dicom.series import Slice, Stack, split_series
from synthassay.scans.pictures import SUFFIXES as PICTURES
from synthassay.scans.pool import Pool, explained, worker_count
from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Resources

VOLUMES = (".nii", ".nii.gz")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to read. ``path`` is what it is called: that of its (first) file, going on inside an array file.

    ``label`` is as an array of labels writes it. ``single``: it is known to hold one image.
    """

    path: str
    array: ArrayInfo | None = None
    row: int = 0
    stack: Stack | None = None
    label: str = ""
    single: bool = False

    @property
    def file(self) -> str:
        """Path of the (first) file, relative to the root."""
        return self.path if self.array is None else self.path.removesuffix(row_path("", self.array, self.row))

    @property
    def names(self) -> tuple[str, ...]:
        """The paths by which a table may name it."""
        return (self.path,) if self.stack is None else self.stack.paths


@dataclass(frozen=True, slots=True)
class _Slices:
    """The slices of one DICOM file, and the series that it belongs to."""

    series: tuple[str, str]
    slices: tuple[Slice, ...]


def find_items(
    root: Path, paths: Sequence[str], spec: ExternalSpec, volumes: bool, resources: Resources, progress: Progress
) -> tuple[list[Item], list[Quarantined]]:
    """What ``paths`` (relative to ``root``) hold, in the order of its paths, and a row for what cannot be used.

    ``volumes``: the cohort's images are volumes. Headers are read in processes that they cannot take the run down with.
    """
    items: list[Item] = []
    refused: list[Quarantined] = []
    described: list[str] = []  # by a header that has to be read first
    for path in paths:
        if is_described(path, volumes):
            described.append(path)
        else:
            items.append(Item(path))
    series: dict[tuple[str, str], list[Slice]] = defaultdict(list)
    for path, answer in _described(root, described, spec, volumes, resources, progress):
        if isinstance(answer, Unreadable):
            refused.append(answer.row(path))
        elif isinstance(answer, _Slices):
            series[answer.series] += answer.slices
        else:
            items += answer
    stacks, problems = _volumes(list(series.values()))
    return sorted([*items, *stacks], key=lambda item: item.path), [*refused, *problems]


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, whatever it is called."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def is_described(path: str, volumes: bool) -> bool:
    """Whether only the header of a file tells what items it holds, or with which others it is one."""
    name = path.lower()
    return name.endswith(ARRAYS) or (volumes and not name.endswith((*VOLUMES, *PICTURES)))


def _described(
    root: Path, paths: Sequence[str], spec: ExternalSpec, volumes: bool, resources: Resources, progress: Progress
) -> list[tuple[str, list[Item] | _Slices | Unreadable]]:  # fmt: skip
    """What the header of each file says, in the order of ``paths``."""
    answers: list[list[Item] | _Slices | Unreadable] = [[] for _ in paths]
    if not paths:
        return []
    pool = Pool(_HeaderReader(root, spec, volumes), worker_count(resources), spec.limits)
    progress.start(f"read headers of {spec.name}", len(paths))
    for index, answer in pool.answers(paths):
        answers[index] = answer
        progress.advance()
    progress.finish()
    return list(zip(paths, answers, strict=True))


@dataclass(frozen=True, slots=True)
class _HeaderReader:
    root: Path
    spec: ExternalSpec
    volumes: bool

    def __call__(self, path: str) -> list[Item] | _Slices | Unreadable:
        try:
            if path.lower().endswith(ARRAYS):
                return rows_of(self.root, path, self.spec, self.volumes)
            if not is_dicom(self.root / path):
                return [Item(path)]  # its reader says what it is not
            header = read_header(self.root / path, self.spec.limits)
            slices = tuple(Slice(path=path, facts=facts) for facts in header.slices)
            return _Slices((header.patient_id, header.series_uid or path), slices)
        except BaseException as error:
            return explained(error)


def rows_of(root: Path, path: str, spec: ExternalSpec, volumes: bool) -> list[Item]:
    """An item for each row of the arrays of images in one file. Raises :class:`Unreadable`."""
    rules, items = spec.arrays, list[Item]()
    images, arrays = image_arrays(root / path, rules.images, spec.limits)
    for info in images:
        check_rows(info, spec.limits)
        labels = [""] * info.shape[0]
        if rules.labels is not None:
            labels = texts_of(root / path, info, rules.images, rules.labels, arrays, spec.limits)
        single = volumes or not is_volume(info.shape[1:])
        items += [Item(row_path(path, info, row), info, row, label=label, single=single)
                  for row, label in enumerate(labels)]  # fmt: skip
    return items


def _volumes(series: Sequence[Sequence[Slice]]) -> tuple[list[Item], list[Quarantined]]:
    """An item for each volume, and a row for each file of which no slice is in one."""
    stacks = [stack for slices in series for stack in split_series(slices)]
    items = [Item(stack.paths[0], stack=stack, single=True) for stack in stacks if stack.problem is None]
    used = {path for item in items for path in item.names}
    problems = {path: stack.problem for stack in stacks if stack.problem for path in stack.paths}
    return items, [problem.row(path) for path, problem in problems.items() if path not in used]
