"""export: one image set of a finished run → DICOM or NIfTI files with a table, for other software.

Pixels are those of the store, bit for bit. What is known of an image is carried: for real images the spacing that is
left after cutting and scaling, for generated ones that of generator-train where all its images share one. The place in
the patient is not known; a volume's slices are placed from its first voxel. Masks go along as NIfTI files of class
indices; to DICOM files they are not exported.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.records import SPLITS, UNKNOWN_MASK, Cohort, ImageSet, Origin, Progress
from synthassay.scans.facts import TABLE, Grid, ImageFacts, slice_grid, table_row
from synthassay.stages.grids import real_grids, shared_grid
from synthassay.store.files import disk_errors_explained, write_json
from synthassay.store.tables import load_cohort, load_images
from synthassay.whole_files import replacing

Format = Literal["dicom", "nifti"]
SUFFIX: dict[Format, str] = {"dicom": ".dcm", "nifti": ".nii.gz"}
SETS = ("sample", "control", "external")  # stages that leave an image set
FOLDER = re.compile(r"[a-z]+/[0-9a-f]{24}")  # of a stage in the store; run.json may come from anybody
MODALITY = re.compile(r"[A-Z]{2,16}")
MAX_BYTES = 1 << 26  # of run.json
IMAGES, MASKS, LISTED, SUMMARY = "images", "masks", "images.tsv", "export.json"
Encode = Callable[[Any, ImageFacts], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to export: the set ``name`` of the run whose report lies in ``run``; ``store`` None: ``store`` beside it.

    ``real``: whether images of patients may be written, who stay patients under a pseudonym.
    """

    run: Path
    store: Path | None
    name: str
    format: Format
    out: Path
    real: bool = False
    modality: str | None = None


def export(order: Order, progress: Progress) -> Path:
    """Write ``images/``, ``images.tsv`` and ``export.json``, of known masks ``masks/``; returns the table's path."""
    if order.modality is not None and not MODALITY.fullmatch(order.modality):
        raise UserError(f"modality={order.modality} is no DICOM modality; give one such as MR, CT, DX or OT")
    found = _found(order)
    if found.origin not in ("generator", "external") and not order.real:
        what = "a control made of real images" if found.origin == "control" else "real images"
        raise UserError(f"{order.name} is {what}: under a pseudonym, but patients all the same.\n"
                        "If whoever receives them may have them, add real=true.")  # fmt: skip
    if order.format == "dicom" and found.images.pixels.ndim == 5:
        _check_placed(found)
    if order.out.exists() and (not order.out.is_dir() or any(order.out.iterdir())):
        raise UserError(f"{order.out} is not an empty folder; choose another one with out=DIR")
    with disk_errors_explained(order.out):
        order.out.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = order.out / IMAGES
        folder.mkdir()
        if _with_masks(found, order):
            (order.out / MASKS).mkdir()
        rows = list(_written(found, order, folder, progress))
        with replacing(order.out / LISTED, durable=True) as path:
            _table(path, rows)
        write_json(order.out / SUMMARY, _summary(found, order))
    return order.out / LISTED


@dataclass(frozen=True, slots=True)
class Exported:
    """A set and where it comes from (``"simulated"``: the cohort is a phantom). ``studies`` and ``grids`` are by id.

    ``grid``: of images that have none of their own.
    """

    images: ImageSet
    origin: Origin | Literal["simulated"]
    studies: Mapping[str, str]
    grids: Mapping[str, Grid | None]
    grid: Grid | None

    @property
    def scanned(self) -> bool:
        """Whether the images, or those that they were made of, come from a scanner."""
        return self.origin in ("real", "control")


def _found(order: Order) -> Exported:
    held = _run(order.run)
    store = order.store or order.run.resolve().parent / "store"
    cohort, names = None, []
    for stage in held["stages"]:
        folder = store / stage["folder"]
        if stage["stage"] == "prepare" and (folder / "cohort.json").is_file():
            cohort = load_cohort(folder)
            names += [split for split in SPLITS if split in cohort.splits]
            if order.name in names:
                break
        if stage["stage"] in SETS and (folder / "set.json").is_file():
            names.append(json.loads((folder / "set.json").read_text())["name"])
            if names[-1] == order.name:
                break
    else:
        if not names:
            raise UserError(f"the sets of this run are not in {store}.\nName the store that it was run with: store=DIR")
        raise UserError(f"the run has no set {order.name}; it has: {', '.join(dict.fromkeys(names))}")
    return _described(folder, cohort, held["spec"]["cohort"], order.name)


def _described(folder: Path, cohort: Cohort | None, spec: Mapping[str, Any], name: str) -> Exported:
    """The set in ``folder``, or the split ``name`` where that is the cohort."""
    if cohort is None:
        images = load_images(folder)
        return Exported(images, images.origin, {}, {}, None)
    turned = spec.get("kind") == "nifti" or cohort.policy.get("dimensions") == 3
    grids = real_grids(cohort, turned)
    trained = [grids.get(image) for image in cohort.split("generator-train").ids.tolist()]
    if (folder / "cohort.json").is_file():
        studies = {record.scan_id: record.study_id for record in cohort.records}
        split = next(split for split in SPLITS if split == name)
        origin: Origin | Literal["simulated"] = "real" if spec.get("phantom") is None else "simulated"
        return Exported(cohort.split(split), origin, studies, grids, None)
    images = load_images(folder)
    # Whoever made an external set may have taken any spacing.
    return Exported(images, images.origin, {}, {}, None if images.origin == "external" else shared_grid(trained))


def _run(folder: Path) -> dict[str, Any]:
    """``run.json``, as far as it is used here."""
    path = folder / "run.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no run.json; give the folder that `synthassay run out=DIR` wrote to")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        good = all(FOLDER.fullmatch(s["folder"]) and s["folder"].startswith(f"{s['stage']}/") for s in held["stages"])
        if not good or not isinstance(held["spec"]["cohort"], dict):
            raise ValueError("a stage has a folder of another kind")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is not as `synthassay run` writes it; run it again") from None
    return held


def _written(found: Exported, order: Order, folder: Path, progress: Progress) -> Iterator[dict[str, str]]:
    encode, images, masked = _encoder(order.format), found.images, _with_masks(found, order)
    progress.start(f"export {order.name}", len(images))
    for row in range(len(images)):
        facts, pixels = facts_of(found, row, order.modality), np.asarray(images.pixels[row])
        parts = _slices(facts, pixels) if order.format == "dicom" and pixels.ndim == 4 else [(facts, pixels)]
        for number, (said, part) in enumerate(parts, 1):
            path = folder / f"{row + 1:06d}{f'-{number:04d}' if len(parts) > 1 else ''}{SUFFIX[order.format]}"
            path.write_bytes(encode(part, said))
            if order.format == "nifti":
                _sidecar(path, said)
            row_of_table = {"path": f"{IMAGES}/{path.name}"} | table_row(said)
            if masked:
                row_of_table["mask"] = _mask(images, row, order.out / MASKS / path.name, encode, said)
            yield row_of_table
        progress.advance()
    progress.finish()


def _with_masks(found: Exported, order: Order) -> bool:
    return order.format == "nifti" and bool(found.images.mask_known.any())


def _mask(images: ImageSet, row: int, path: Path, encode: Encode, facts: ImageFacts) -> str:
    """Write the mask of one image; returns its path as the table has it, "" where the mask is unknown."""
    if images.masks is None or images.masks[row].flat[0] == UNKNOWN_MASK:
        return ""
    path.write_bytes(encode(np.asarray(images.masks[row])[None], facts))
    return f"{MASKS}/{path.name}"


def _slices(facts: ImageFacts, pixels: NDArray[Any]) -> list[tuple[ImageFacts, NDArray[Any]]]:
    """A volume ``[c, d, h, w]`` as the slices of a series of its own."""
    said = replace(facts, series=facts.image)
    return [(replace(said, image=f"{facts.image}/{index + 1}", number=index + 1,
                     grid=None if facts.grid is None else slice_grid(facts.grid, index)), pixels[:, index])
            for index in range(pixels.shape[1])]  # fmt: skip


def _check_placed(found: Exported) -> None:
    for image in found.images.ids.tolist():
        grid = found.grids.get(image) or found.grid
        if grid is None or grid.axis is None or grid.step is None:
            raise UserError("how these volumes lie and how far apart their slices are is not known, which a DICOM "
                            "series must say.\nUse format=nifti.")  # fmt: skip


def _encoder(format: Format) -> Encode:
    if format == "dicom":
        from synthassay.scans.dicom.write import encode_dicom

        return encode_dicom
    from synthassay.scans.nifti.write import encode_image

    return encode_image


def _sidecar(path: Path, facts: ImageFacts) -> None:
    from synthassay.scans.nifti.write import sidecar

    text = json.dumps(sidecar(facts), indent=1, ensure_ascii=False)
    path.with_name(path.name.removesuffix(SUFFIX["nifti"]) + ".json").write_text(text + "\n", encoding="utf-8")


def facts_of(found: Exported, row: int, modality: str | None = None) -> ImageFacts:
    """What the set says about one of its images. A study that is not known is one for each patient."""
    images = found.images

    def group(name: str) -> str | None:
        return str(images.groups[name][row]) or None if name in images.groups else None

    label, age = int(images.labels[row]), images.covariates.get("age")
    image, patient = str(images.ids[row]), str(images.patients[row])
    study = found.studies.get(image, patient)
    return ImageFacts(
        namespace=images.content_id, source=images.name, image=image, patient=patient,
        study=study, series=study, number=row + 1, made="scanned" if found.scanned else "generated",
        maker="unknown" if found.origin == "external" else "Synthassay",
        label=images.label_names[label] if 0 <= label < len(images.label_names) else None, split=images.split,
        seed=None if images.seeds is None else int(images.seeds[row]), site=group("site"), device=group("device"),
        view=group("view"), sex=group("sex"), modality=modality,
        grid=found.grids.get(image) or found.grid,
        age=None if age is None or np.isnan(age[row]) else round(float(age[row]), 1),
    )  # fmt: skip


def _table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        columns = ["path", *TABLE, *(["mask"] if rows and "mask" in rows[0] else [])]
        writer = csv.DictWriter(stream, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _summary(found: Exported, order: Order) -> dict[str, Any]:
    images = found.images
    return {
        "set": images.name, "origin": found.origin, "images": len(images), "patients": len(np.unique(images.patients)),
        "format": order.format, "content_id": images.content_id, "generator_key": images.generator_key,
        "label_names": list(images.label_names), "shape": list(images.pixels.shape[1:]),
        "dtype": images.pixels.dtype.name, "mask_names": list(images.mask_names) if _with_masks(found, order) else [],
    }  # fmt: skip
