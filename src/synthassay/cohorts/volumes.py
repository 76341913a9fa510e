"""From the volume of one file, of whatever format, to the images of a cohort: its slices, or the volume itself."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.masks import classes_of, marked
from synthassay.cohorts.planes import digest, finish, scan_window
from synthassay.cohorts.sources import FileImages, Image, Plane
from synthassay.cohorts.specs import CohortSpec
from synthassay.records import UNKNOWN_MASK
from synthassay.scans.orientation import described, from_stack_order, stack, stack_spacing, upright
from synthassay.scans.planes import RawPlane
from synthassay.scans.resampling import boxed, centre_of, regrid
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume

SQUARE = 1.05  # longer by shorter side of a pixel that counts as square


def images_of(volume: Volume, spec: CohortSpec, sha256: str) -> FileImages:
    """The images of one volume: with ``cohort.dimensions=2`` all its slices along ``slices.axis``, else itself.

    Raises :class:`Unreadable` where the rules cannot be followed.
    """
    axis, rules = spec.slices.axis, spec.volume
    orientation = described(volume, axis)  # of the source, before anything is resampled
    straighten = rules.oblique == "resample"
    if straighten and not volume.placed:
        raise Unreadable("affine", "not stated", "cohort.volume.oblique=resample needs a header that says how it lies")
    spacing = rules.stack_spacing()
    volume = regrid(
        upright(volume), None if spacing is None else from_stack_order(spacing, axis), straighten, spec.limits
    )
    if spec.dimensions == 3:
        return _whole(volume, spec, orientation, sha256)
    values, mask = stack(volume.values, axis), None if volume.mask is None else stack(volume.mask, axis)
    if min(values.shape[1:3]) < 2:
        reason = "one pixel high or wide along cohort.slices.axis; slice it along another"
        raise Unreadable("dim", "x".join(map(str, volume.values.shape)), reason)
    count = len(values)
    planes = [
        RawPlane(
            values=values[index], frame=index, slice_index=index,
            slice_position=index / (count - 1) if count > 1 else None,
            mask=None if mask is None else mask[index],
            spacing_mm=stack_spacing(volume, axis), orientation=orientation,
        )
        for index in range(count)
    ]  # fmt: skip
    return finish(planes, spec, sha256)


def told(images: Sequence[Image], spec: CohortSpec) -> list[str]:
    """Sentences about volumes that lie askew, do not say how they lie, or may not be what they are taken for."""
    planes = {image.source.path: image.plane for image in images}  # one of each file
    everything = f"of {len(planes):,} volumes"
    lying = [plane.orientation for plane in planes.values()]
    tilted = [int(match[1]) for text in lying if (match := re.search(r"oblique by (\d+)", text or ""))]
    notes = []
    if tilted and spec.volume.oblique == "keep":
        notes.append(f"{len(tilted):,} {everything} are tilted by up to {max(tilted)} degrees against the patient's "
                     "axes and were left so (cohort.volume.oblique).")  # fmt: skip
    unknown = lying.count(None) if spec.kind == "nifti" else 0
    if unknown:
        notes.append(f"{unknown:,} {everything} do not say how they lie (neither qform nor sform, or Analyze files): "
                     "their left and right may be swapped.")  # fmt: skip
    disputed = sum(plane.disputed for plane in planes.values())
    if disputed:
        notes.append(f"{disputed:,} {everything} say with their sform and with their qform how they lie, and not the "
                     "same; the sform was taken (cohort.volume.affine).")  # fmt: skip
    filled = [plane.filled for plane in planes.values() if plane.filled]
    if filled:
        notes.append(f"{len(filled):,} {everything} have voxels that are not a number, {sum(filled):,} in all and up "
                     f"to {max(filled):,} in one; they count as background (cohort.not_a_number).")  # fmt: skip
    few = sum(plane.few_values for plane in planes.values())
    if few:
        notes.append(f"{few:,} of {len(planes):,} files have hardly any different values. If they are masks, say in "
                     "cohort.label.mask where the mask of a scan lies, or leave them out with "
                     "cohort.exclude.")  # fmt: skip
    return [*notes, *_squeezed(planes, spec)]


def _squeezed(planes: Mapping[str, Plane], spec: CohortSpec) -> list[str]:
    """A sentence about slices whose pixels are higher than wide, or wider than high."""
    sides = [plane.spacing_mm[:2] for plane in planes.values() if plane.spacing_mm and min(plane.spacing_mm[:2]) > 0]
    uneven = [ratio for pair in sides if (ratio := max(pair) / min(pair)) > SQUARE]
    if not uneven or spec.dimensions == 3:
        return []
    remedy = "; cohort.volume.spacing_mm resamples them" if spec.kind == "nifti" else ""
    counted = "files" if spec.kind == "dicom" else "scans"  # of DICOM a file is a slice, or several
    return [f"The pixels of {len(uneven):,} of {len(planes):,} {counted} are not square, with sides of up to "
            f"{max(uneven):.3g} to 1, and are shown as if they were{remedy}."]  # fmt: skip


def _whole(volume: Volume, spec: CohortSpec, orientation: str | None, sha256: str) -> FileImages:
    """``[1, c, d, h, w]``: the volume, cropped or padded to the cohort's shape."""
    axis = spec.slices.axis
    if volume.values.ndim > 3:
        raise Unreadable("datatype", "colours", "volumes of colours are read as slices only (cohort.dimensions=2)")
    values = stack(volume.values, axis)
    raw = None if volume.mask is None else stack(volume.mask, axis)
    mask = None if raw is None else marked(raw, spec.label.mask_values)
    lowest = float(values.min())
    foreground = values > (lowest if spec.slices.foreground_above is None else spec.slices.foreground_above)
    centre = _centre(spec, foreground, mask)
    box = boxed(values, spec.image_shape, centre, lowest)
    if spec.window.mode == "scan":
        low, high = scan_window([values], spec.window.low, spec.window.high)
        box = (box - np.float32(low)) / np.float32(high - low)
    pixels = np.repeat(box[None, None], spec.channels, axis=1)
    counted = None if mask is None else int(boxed(mask, spec.image_shape, centre, 0).sum())
    kept = _kept_mask(raw, centre, spec) if spec.masks.keep else None
    plane = Plane(
        frame=0, slice_index=None, slice_position=None, foreground=float(foreground.mean()),
        digest=digest(pixels[0]), mask_digest=None if kept is None else digest(kept), mask_pixels=counted,
        spacing_mm=stack_spacing(volume, axis), orientation=orientation,
    )  # fmt: skip
    return FileImages(pixels=pixels, planes=(plane,), sha256=sha256, masks=None if kept is None else kept[None])


def _kept_mask(
    raw: NDArray[np.float32] | None, centre: tuple[float, ...] | None, spec: CohortSpec
) -> NDArray[np.uint8]:
    """``[d, h, w]`` classes, cropped or padded as the volume is."""
    if raw is None:
        return np.full(spec.image_shape, UNKNOWN_MASK, np.uint8)
    return boxed(classes_of(raw, spec.masks), spec.image_shape, centre, 0)


def _centre(
    spec: CohortSpec, foreground: NDArray[np.bool_], mask: NDArray[np.bool_] | None
) -> tuple[float, ...] | None:
    if spec.volume.centre == "volume":
        return None
    if spec.volume.centre == "foreground":
        return centre_of(foreground)
    centre = None if mask is None else centre_of(mask)
    if centre is None:
        raise Unreadable("mask", "marks nothing", "cohort.volume.centre=mask needs a mask that marks something")
    return centre
