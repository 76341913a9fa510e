"""Preparation: a folder of scans in; pixels, records, splits, pseudonyms, intensity policy and quarantine table out."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts import volumes
from synthassay.cohorts.carried import header_tables, nothing_carried, with_findings
from synthassay.cohorts.dicom_series import places_of, write_series
from synthassay.cohorts.duplicates.find import find_doubles
from synthassay.cohorts.duplicates.pairs import Doubles
from synthassay.cohorts.duplicates.resolve import refuse_leaks, refused_files, resolve
from synthassay.cohorts.duplicates.tell import table_of, told, write_pairs
from synthassay.cohorts.files import source_fingerprint
from synthassay.cohorts.intensity import DTYPES, check_range, make_policy, quantise
from synthassay.cohorts.journal import PixelMaps
from synthassay.cohorts.labels import Classes, labels_of
from synthassay.cohorts.notes import limits_of
from synthassay.cohorts.pseudonyms import Pseudonyms, load_key, write_private_table
from synthassay.cohorts.reading import read_pixels
from synthassay.cohorts.selection import select, with_places
from synthassay.cohorts.sources import Image
from synthassay.cohorts.specs import CohortSpec
from synthassay.cohorts.splits import SplitPlan, assign_splits
from synthassay.cohorts.survey import Survey, nothing_left, survey, whereabouts
from synthassay.cohorts.tables import without_absent_participants
from synthassay.errors import UserError
from synthassay.records import MISSING, UNKNOWN_MASK, Cohort, ImageSet, Progress, Quarantined, ScanRecord
from synthassay.scans.burned_in import check_installed
from synthassay.scans.pool import worker_count
from synthassay.scans.text import age_band
from synthassay.scans.vendors import manufacturer
from synthassay.specs import Resources
from synthassay.whole_files import replacing

__all__ = ["prepare_cohort", "source_fingerprint", "table_stem"]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The images of the cohort in order, with label and split."""

    images: list[Image]
    labels: NDArray[np.int64]
    splits: NDArray[np.str_]


def prepare_cohort(
    spec: CohortSpec,
    root: Path,
    keys: Path,
    workdir: Path,
    resources: Resources,
    progress: Progress,
    trained_on: Collection[str] | None = None,
) -> Cohort:
    """Prepare the scans under ``root``.

    Pixels, order, labels and splits depend on the files, their paths and the settings, not on the pseudonyms' key.
    ``keys`` gets ``<name>.key`` and, called by :func:`table_stem`, ``<stem>.sources.parquet`` (pseudonyms and what
    they stand for), ``<stem>.quarantine.parquet`` (full paths), of DICOM files ``<stem>.series.parquet`` (what was made
    of each series) and, where images stand under two patients, ``<stem>.doubles.parquet`` (which do), all of mode 600.
    ``workdir`` gets ``pixels.npy``, which the cohort's pixels map, and with ``masks.keep`` ``masks.npy``; a call that
    was killed goes on after the files that it had read. ``trained_on`` are the source ids of the patients that an
    external generator has seen; they become generator-train. Raises :class:`UserError` for what a user can mend.
    """
    if spec.deidentification.ocr:
        check_installed()
    workdir.mkdir(parents=True, exist_ok=True)
    asked, spec = spec, without_absent_participants(spec, root)
    found, classes = survey(spec, root, resources, progress)
    if spec is not asked:
        found.notes.append("There is no participants.tsv: nothing is known about the patients beside their scans.")
    pseudonyms, stem = Pseudonyms(load_key(spec, keys)), keys / table_stem(spec, root)
    chunks = workdir / "chunks"
    images = _selected(_read(found, root, spec, chunks, resources, progress), found, spec)
    maps = PixelMaps(chunks, (spec.channels, *spec.image_shape))
    doubles = find_doubles(images, maps, worker_count(resources), progress)
    chosen = _split(images, doubles, found, classes, spec, stem, trained_on)
    policy, pixels = _pixels(chosen, spec, maps, workdir / "pixels.npy", progress)
    masks = _masks(chosen, PixelMaps(chunks, spec.image_shape, "masks"), workdir, spec) if spec.masks.keep else None
    records = _records(chosen, pseudonyms)
    _check_unique(records)
    found.refused.sort(key=lambda row: (row.path, row.field))
    _write_private(stem, chosen, records, found.refused)
    if found.stacks:
        write_series(stem, found.stacks)
    made = _image_set(spec, pixels, masks, records, classes)
    cohort = Cohort(
        name=spec.name, images=made, splits=chosen.splits, records=records, label=spec.label.name,
        positive=classes.positive, policy=policy, quarantined=[pseudonyms.quarantined(row) for row in found.refused],
        notes=[*found.notes, *volumes.told(chosen.images, spec), *limits_of(made, chosen.splits, classes, spec)],
        tables=found.tables,
    )  # fmt: skip
    shutil.rmtree(chunks)
    return cohort


def table_stem(spec: CohortSpec, root: Path) -> str:
    """What the two private tables of these sources are called: the cohort's name and 8 digits of the fingerprint.

    So that cohorts of one name from several folders keep a way back each.
    """
    return f"{spec.name}-{source_fingerprint(spec, root)[:8]}"


def _read(
    found: Survey, root: Path, spec: CohortSpec, chunks: Path, resources: Resources, progress: Progress
) -> list[Image]:
    """All images of the sources, and into ``found`` what could not be read and what the files carry about people."""
    images, damaged = read_pixels(root, found.sources, spec, chunks, resources, progress)
    found.refused += damaged
    about_people = header_tables(with_findings(found.carried, images))
    found.tables += about_people
    found.notes += [] if about_people else [nothing_carried(found.carried, spec.kind)]
    return images


def _selected(read: Sequence[Image], found: Survey, spec: CohortSpec) -> list[Image]:
    """The images that the rules for slices keep."""
    if not read:
        raise UserError(nothing_left(f"none of {len(found.sources):,} scans can be read", found.refused, spec))
    images, refused, notes = select(with_places(read, places_of(found.stacks) if spec.dimensions == 2 else {}), spec)
    found.refused += refused
    found.notes += notes
    if not images:
        raise UserError(nothing_left("the rules for slices keep no image", found.refused, spec))
    patients = {image.source.patient for image in images}
    if len(patients) == 1:
        raise UserError(f"all {len(images):,} images are of one patient; splits need several.\nAdd patients, or map "
                        "the patient column (cohort.table.patient) if this is wrong.")  # fmt: skip
    return images


def _split(
    images: Sequence[Image], doubles: Doubles, found: Survey, classes: Classes, spec: CohortSpec, stem: Path,
    trained_on: Collection[str] | None,
) -> _Chosen:  # fmt: skip
    """Split the images by patient, after what is to be done about those that stand under two patients."""
    images, dropped = resolve(images, doubles.pairs, spec.duplicates, trained_on)
    kept = [row for row in range(len(images)) if row not in dropped]
    everything, images = images, [images[row] for row in kept]
    found.refused += refused_files(everything, dropped)
    labels_of(images, classes, spec)  # one class only is a mistake to name before any about splits
    plan = assign_splits(whereabouts([image.source for image in images]), spec.split, trained_on)
    nowhere = {kept[place] for place in plan.left_out} | dropped
    placed = {row: plan.split_of[image.source.patient] for row, image in enumerate(everything) if row not in nowhere}
    write_pairs(stem, doubles, everything, placed)
    refuse_leaks(doubles.pairs, placed, spec.duplicates)
    found.notes += [*plan.notes, *told(doubles, everything, placed, spec.duplicates)]
    found.tables.append(table_of(doubles, everything, placed))
    images = _without_left_out(images, plan, found)
    splits = np.array([plan.split_of[image.source.patient] for image in images], dtype=np.str_)
    return _Chosen(images, np.array(labels_of(images, classes, spec), dtype=np.int64), splits)


def _without_left_out(images: Sequence[Image], plan: SplitPlan, found: Survey) -> list[Image]:
    rows = set(plan.left_out)
    kept = [image for row, image in enumerate(images) if row not in rows]
    paths = {images[row].source.path for row in rows} - {image.source.path for image in kept}
    reason = "from a seen site or device, of a patient who was also scanned at an external one"
    found.refused += [
        Quarantined(path=path, field="patient", found="seen and external", reason=reason) for path in sorted(paths)
    ]
    return kept


def _pixels(
    chosen: _Chosen, spec: CohortSpec, maps: PixelMaps, path: Path, progress: Progress
) -> tuple[dict[str, Any], NDArray[Any]]:
    """The policy, and the stored pixels ``[n, c, (d,) h, w]`` as a read-only memory map of ``path``.

    Raises :class:`UserError` where the window shows nothing of them.
    """
    train = chosen.splits == "generator-train"
    shape = (len(chosen.images), *maps.shape)

    def train_blocks() -> Iterator[NDArray[np.float32]]:
        for where, block in maps.blocks(chosen.images):
            yield block[train[where]]

    policy = make_policy(spec, train_blocks(), int(train.sum()) * int(np.prod(shape[1:])))
    progress.start("write pixels", len(chosen.images))
    ends: list[float] = []

    def stored() -> Iterator[NDArray[Any]]:
        for _, block in maps.blocks(chosen.images):
            ends.extend((float(block.min()), float(block.max())))
            yield quantise(block, policy["low"], policy["high"], spec.bits)
            progress.advance(len(block))

    pixels = _mapped(path, np.dtype(DTYPES[spec.bits]), shape, stored())
    progress.finish()
    check_range(min(ends), max(ends), policy)
    return policy, pixels


def _masks(chosen: _Chosen, maps: PixelMaps, workdir: Path, spec: CohortSpec) -> NDArray[np.uint8]:
    """The masks ``[n, (d,) h, w]`` as a read-only memory map. Raises :class:`UserError` where none marks anything."""
    blocks = (block for _, block in maps.blocks(chosen.images))
    masks = _mapped(workdir / "masks.npy", np.dtype(np.uint8), (len(chosen.images), *maps.shape), blocks)
    if not any(((mask > 0) & (mask != UNKNOWN_MASK)).any() for mask in masks):
        values = ", ".join(map(str, spec.masks.class_values)) or "above 0"
        raise UserError(f"no mask of {len(masks):,} images has a value that counts ({values}).\nSay in "
                        "cohort.masks.values what stands for each class in the files of the masks.")  # fmt: skip
    return masks


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], blocks: Iterator[NDArray[Any]]) -> NDArray[Any]:
    """``blocks`` along the first axis written to the ``.npy`` file ``path``, as a read-only memory map of it."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for block in blocks:
            stream.write(block.tobytes())
    mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _records(chosen: _Chosen, pseudonyms: Pseudonyms) -> list[ScanRecord]:
    first_day: dict[str, int] = {}
    for image in chosen.images:
        if image.source.day is not None:
            day = first_day.get(image.source.patient, image.source.day)
            first_day[image.source.patient] = min(day, image.source.day)
    records = []
    for image, label in zip(chosen.images, chosen.labels.tolist(), strict=True):
        source, plane = image.source, image.plane
        shift = None if source.day is None else source.day - first_day[source.patient]
        records.append(ScanRecord(
            scan_id=pseudonyms.scan(source.path, plane.frame), patient_id=pseudonyms.patient(source.patient),
            study_id=pseudonyms.study(source.patient, source.study), label=label, site=source.site,
            device=source.device, manufacturer=manufacturer(source.scanner.manufacturer), model=source.scanner.model,
            software=source.scanner.software, field_strength_t=source.scanner.field_strength_t,
            kvp=source.scanner.kvp, kernel=source.scanner.kernel, view=source.view, sex=source.sex, age=source.age,
            date_shift_days=shift,
            path_hmac=pseudonyms.digest("file", source.path), content_hmac=pseudonyms.digest("content", image.sha256),
            spacing_mm=plane.spacing_mm, orientation=plane.orientation, slice_index=plane.slice_index,
            slice_position=plane.slice_position, source_rows=plane.source_rows, source_columns=plane.source_columns,
        ))  # fmt: skip
    return records


def _check_unique(records: Sequence[ScanRecord]) -> None:
    if len({record.scan_id for record in records}) < len(records):
        raise UserError("two scans have the same pseudonym under this key, which is very rare.\n"
                        "Delete the cohort's key file to get a new key, and prepare again.")  # fmt: skip


def _image_set(
    spec: CohortSpec, pixels: NDArray[Any], masks: NDArray[np.uint8] | None, records: Sequence[ScanRecord],
    classes: Classes,
) -> ImageSet:  # fmt: skip
    def text(values: Sequence[str | None]) -> NDArray[np.str_]:
        return np.array([value or MISSING for value in values], dtype=np.str_)

    def numbers(values: Sequence[float | None]) -> NDArray[np.float32]:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float32)

    groups = {name: text([getattr(record, name) for record in records]) for name in ("site", "device", "view", "sex")}
    groups["age_band"] = text([age_band(record.age) for record in records])
    return ImageSet(
        name=f"real/{spec.name}", origin="real", pixels=pixels, ids=text([record.scan_id for record in records]),
        patients=text([record.patient_id for record in records]),
        labels=np.array([record.label for record in records], dtype=np.int64), label_names=classes.names, groups=groups,
        covariates={"age": numbers([record.age for record in records]),
                    "slice_position": numbers([record.slice_position for record in records])},
        masks=masks, mask_names=() if masks is None else spec.masks.class_names,
    )  # fmt: skip


def _write_private(stem: Path, chosen: _Chosen, records: Sequence[ScanRecord], refused: Sequence[Quarantined]) -> None:
    """The two tables that lead back to the source, ``<stem>.sources.parquet`` and ``<stem>.quarantine.parquet``."""
    images = chosen.images
    write_private_table(stem.with_name(f"{stem.name}.sources.parquet"), {
        "scan_id": [record.scan_id for record in records], "patient_id": [record.patient_id for record in records],
        "study_id": [record.study_id for record in records], "path": [image.source.path for image in images],
        "frame": [image.plane.frame for image in images], "sha256": [image.sha256 for image in images],
        "source_patient": [image.source.merged_from or image.source.patient for image in images],
        "source_study": [image.source.study for image in images],
        "source_series": [image.source.series for image in images], "split": chosen.splits.tolist(),
    })  # fmt: skip
    columns = ("path", "field", "found", "reason")
    write_private_table(stem.with_name(f"{stem.name}.quarantine.parquet"),
                        {column: [getattr(row, column) for row in refused] for column in columns})  # fmt: skip
