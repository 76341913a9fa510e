"""Images in NPZ and HDF5 files: each row of an array a scan, or the rows together the slices of one."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.facts import attach
from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import ArraySpec, CohortSpec, ImagesSpec
from synthassay.cohorts.volumes import images_of
from synthassay.scans.arrays import ArrayInfo, check_array, list_arrays, read_attributes, read_row, read_texts
from synthassay.scans.limits import check_frames, check_size
from synthassay.scans.orientation import unstack
from synthassay.scans.planes import RawPlane
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume


def describe(root: Path, path: str, spec: ImagesSpec) -> list[Source]:
    """A source for each scan in one array file; ``FILE/ARRAY/ROW`` is its path. Raises :class:`Unreadable`."""
    check_size(root / path, spec.limits)
    arrays = list_arrays(root / path)
    images = [arrays[name] for name in arrays if fnmatchcase(name, spec.arrays.images)]
    if not images:
        raise Unreadable("arrays", f"{len(arrays)} others", "no array is called as cohort.arrays.images says")
    common = _attributes(root / path, spec.arrays)
    found: list[Source] = []
    for info in images:
        check_array(info, spec.limits)
        name = f"{path}/{info.name}" if len(images) > 1 or spec.arrays.first_axis == "scans" else path
        if spec.arrays.first_axis == "slices":
            found.append(_source(name, path, info, None, common, spec))
            continue
        if info.shape[0] > spec.limits.images:
            raise Unreadable("shape", f"{info.shape[0]} images", "more than limits.images")
        columns = _columns(root / path, info, arrays, spec)
        for row in range(info.shape[0]):
            facts = common | {fact: texts[row] for fact, texts in columns.items()}
            found.append(_source(f"{name}/{row:06d}", path, info, row, facts, spec))
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


def _columns(path: Path, info: ArrayInfo, arrays: Mapping[str, ArrayInfo], spec: ImagesSpec) -> dict[str, list[str]]:
    """The texts of each fact for the rows of one array of images; ``*`` is what it is in the name of the images."""
    before, _, after = spec.arrays.images.partition("*")
    star = info.name[len(before) : len(info.name) - len(after)]
    columns: dict[str, list[str]] = {}
    for fact, pattern in spec.arrays.rows.items():
        name = pattern.replace("*", star)
        if name not in arrays:
            raise Unreadable(
                "arrays", f"no array for the {fact}", "an array that cohort.arrays.rows names is not there"
            )
        check_array(arrays[name], spec.limits)
        if arrays[name].shape[0] != info.shape[0]:
            raise Unreadable("arrays", f"{arrays[name].shape[0]} rows for {info.shape[0]} images",
                             f"the array of the {fact} has another length than the images")  # fmt: skip
        columns[fact] = read_texts(path, arrays[name], spec.arrays.column)
    return columns


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """The picture or volume of one row, or all rows as slices. Raises :class:`Unreadable`."""
    stored = _stored(root / source.on_disk, source, spec)
    sha256 = hashlib.sha256(np.ascontiguousarray(stored).tobytes()).hexdigest()
    values = _values(stored)
    volume = source.row is None or _is_volume(values)
    if spec.dimensions == 3:
        return _whole(values, volume, spec, sha256)
    images = list(values) if volume else [values]
    last = len(images) - 1
    planes = [
        RawPlane(values=_image(image), frame=index, slice_index=index if last else None,
                 slice_position=index / last if last else None)
        for index, image in enumerate(images)
    ]  # fmt: skip
    return finish(planes, spec, sha256)


def _stored(path: Path, source: Source, spec: CohortSpec) -> NDArray[Any]:
    info = list_arrays(path)[source.array]
    if source.row is not None:
        return read_row(path, info, source.row)
    check_frames(info.shape[0], spec.limits)
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


def _is_volume(values: NDArray[np.float32]) -> bool:
    """``[d, h, w]`` or ``[d, h, w, c]``; three axes of which the last is as short as channels are a picture."""
    return values.ndim == 4 or (values.ndim == 3 and values.shape[2] > 4)


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
