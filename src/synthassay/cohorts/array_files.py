"""Images in NPZ and HDF5 files: each row of an array a scan, the rows together the slices of one, or one picture."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.facts import attach
from synthassay.cohorts.planes import finish, with_few_values
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import ArraySpec, CohortSpec, ImagesSpec
from synthassay.cohorts.volumes import images_of
from synthassay.scans.array_rows import (
    check_rows,
    image_arrays,
    is_picture,
    is_volume,
    refuse_colours_first,
    row_path,
    texts_of,
)
from synthassay.scans.arrays import ArrayInfo, list_arrays, read_attributes, read_row
from synthassay.scans.limits import check_frames
from synthassay.scans.orientation import unstack
from synthassay.scans.planes import RawPlane
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume


def describe(root: Path, path: str, spec: ImagesSpec) -> list[Source]:
    """A source for each scan in one array file; ``FILE/ARRAY/ROW`` is its path. Raises :class:`Unreadable`."""
    images, arrays = image_arrays(root / path, spec.arrays.images, spec.limits)
    common = _attributes(root / path, spec.arrays)
    found: list[Source] = []
    for info in images:
        if spec.arrays.first_axis == "slices" or is_picture(info.shape):
            if spec.arrays.rows:
                raise Unreadable("shape", "x".join(map(str, info.shape)), "the array is one scan, of whose rows "
                                 "arrays.rows cannot tell anything; use arrays.attributes or a table")  # fmt: skip
            name = f"{path}/{info.name}" if len(images) > 1 else path
            found.append(_source(name, path, info, None, common, spec))
            continue
        check_rows(info, spec.limits)
        columns = {
            fact: texts_of(root / path, info, spec.arrays.images, pattern, arrays, spec.limits, spec.arrays.column)
            for fact, pattern in spec.arrays.rows.items()
        }
        for row in range(info.shape[0]):
            facts = common | {fact: texts[row] for fact, texts in columns.items()}
            found.append(_source(row_path(path, info, row), path, info, row, facts, spec))
    return found


def _source(path: str, file: str, info: ArrayInfo, row: int | None, facts: Mapping[str, str],
            spec: CohortSpec) -> Source:  # fmt: skip
    bare = Source(path=path, patient=path, study=path, series=path, file=file, array=info.name, row=row)
    return attach(bare, facts, spec.recode)


def _attributes(path: Path, spec: ArraySpec) -> dict[str, str]:
    if not spec.attributes:
        return {}
    written = read_attributes(path)
    return {fact: written[name] for fact, name in spec.attributes.items() if name in written}


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """The picture or volume of one row, all rows as slices, or the picture that the array is.

    Raises :class:`Unreadable`.
    """
    stored = _stored(root / source.on_disk, source, spec)
    sha256 = hashlib.sha256(np.ascontiguousarray(stored).tobytes()).hexdigest()
    values = _values(stored)
    volume = is_volume(values.shape)
    if spec.dimensions == 3:
        return with_few_values(_whole(values, volume, spec, sha256), [values])
    if source.row is not None:
        refuse_colours_first(values.shape)
    images = list(values) if volume else [values]
    last = len(images) - 1
    planes = [
        RawPlane(values=_image(image), frame=index, slice_index=index if last else None,
                 slice_position=index / last if last else None)
        for index, image in enumerate(images)
    ]  # fmt: skip
    return with_few_values(finish(planes, spec, sha256), [values])


def _stored(path: Path, source: Source, spec: CohortSpec) -> NDArray[Any]:
    info = list_arrays(path)[source.array]
    if source.row is not None:
        return read_row(path, info, source.row)
    check_frames(1 if is_picture(info.shape) else info.shape[0], spec.limits)
    count = info.row_values * info.shape[0]
    if count > spec.limits.voxels:
        raise Unreadable("shape", f"{count} values", "more than limits.voxels")
    return np.stack([read_row(path, info, row) for row in range(info.shape[0])])


def _whole(values: NDArray[np.float32], is_volume: bool, spec: CohortSpec, sha256: str) -> FileImages:
    """A grey volume as it is, cropped or padded; array files do not say how large a voxel is, or how it lies."""
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if not is_volume or values.ndim != 3:
        raise Unreadable(
            "shape", "x".join(map(str, values.shape)), "not a grey volume, as cohort.dimensions=3 asks for"
        )
    if spec.volume.spacing_mm is not None:
        raise Unreadable("spacing", "not stated", "cohort.volume.spacing_mm needs a file that says its spacing")
    volume = Volume(values=unstack(values, spec.slices.axis), affine=np.eye(4), placed=False)
    found = images_of(volume, spec, sha256)
    return replace(found, planes=tuple(replace(plane, spacing_mm=None) for plane in found.planes))


def _values(stored: NDArray[Any]) -> NDArray[np.float32]:
    """0 to 255 for whole depths of 1, 8 and 16 bits, as of pictures; other numbers as they are."""
    if stored.dtype.kind not in "biuf":
        raise Unreadable("dtype", "text", "not an array of numbers")
    scale = {np.dtype(bool): 255.0, np.dtype(np.uint16): 1 / 257}.get(stored.dtype, 1.0)
    return stored.astype(np.float32) * np.float32(scale)


def _image(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if min(values.shape) < 1 or not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)):
        raise Unreadable("shape", "x".join(map(str, values.shape)), "neither a grey image nor one of three colours")
    return values


def note_parts(sources: Sequence[Source]) -> list[str]:
    """A sentence about the arrays that the images come from, where there are several."""
    counts = Counter(source.array for source in sources if source.row is not None)
    if len(counts) < 2:
        return []
    parts = ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items()))
    return [f"The array files hold {parts}; splits are drawn anew, whatever part an image comes from."]
