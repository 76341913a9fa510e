"""From the arrays of one file to square images of one size."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from synthassay.cohorts.masks import classes_of, marked
from synthassay.cohorts.sources import FileImages, Plane
from synthassay.cohorts.specs import CohortSpec
from synthassay.records import UNKNOWN_MASK
from synthassay.scans.burned_in import IN_PIXELS, shows_text
from synthassay.scans.findings import Findings
from synthassay.scans.planes import FloatArray, RawPlane
from synthassay.scans.unreadable import Unreadable

Scalar = TypeVar("Scalar", bound=np.generic)
LOOKED_AT = 1 << 16  # about so many values of a file, to count different ones
VALUES_OF_A_MASK = 16
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow's conversion to grey


def finish(planes: Sequence[RawPlane], spec: CohortSpec, sha256: str) -> FileImages:
    """Resize all planes of one file; the window's ``scan`` mode is applied here, where the whole file is at hand."""
    if not sum(plane.values.size for plane in planes):
        raise Unreadable("size", "0 pixels", "not an image: it has no pixels")
    lowest = min(_lowest(plane.values) for plane in planes)
    low, high = (0.0, 1.0)
    if spec.window.mode == "scan":
        low, high = scan_window([plane.values for plane in planes], spec.window.low, spec.window.high)
    background = lowest if spec.slices.foreground_above is None else spec.slices.foreground_above
    pixels, masks, described = [], [], []
    for plane in planes:
        grey = plane.values if plane.values.ndim == 2 else _brightest(plane.values)
        square = _channels((plane.values - low) / (high - low) if (low, high) != (0.0, 1.0) else plane.values, spec)
        resized = resize(fit(square, spec.fit, (lowest - low) / (high - low)), spec.size)
        pixels.append(resized)
        masks += [_kept_mask(plane.mask, spec)] if spec.masks.keep else []
        foreground = np.count_nonzero(grey > background) / grey.size
        described.append(_described(plane, foreground, resized, masks[-1] if masks else None, spec))
    return FileImages(pixels=np.stack(pixels), planes=tuple(described), sha256=sha256,
                      masks=np.stack(masks) if masks else None, carried=_burned_in(planes, spec))  # fmt: skip


def with_few_values(images: FileImages, parts: Iterable[NDArray[Any]]) -> FileImages:
    """``images``, which say whether all ``parts`` of their file have hardly any different values, as masks have."""
    found: set[float] = set()
    for part in parts:
        step = max(1, round((part.size / LOOKED_AT) ** (1 / part.ndim)))  # along each axis, so that nothing is copied
        found.update(np.unique(part[(slice(None, None, step),) * part.ndim]).tolist())
        if len(found) > VALUES_OF_A_MASK:
            break
    few = 1 < len(found) <= VALUES_OF_A_MASK  # one value is an empty image
    return replace(images, planes=tuple(replace(plane, few_values=few) for plane in images.planes))


def _kept_mask(mask: FloatArray | None, spec: CohortSpec) -> NDArray[np.uint8]:
    """``[size, size]`` classes, cut as the image is and then scaled by the nearest pixel."""
    if mask is None:
        return np.full((spec.size, spec.size), UNKNOWN_MASK, np.uint8)
    square = PillowImage.fromarray(np.ascontiguousarray(fit(classes_of(mask, spec.masks)[None], spec.fit, 0)[0]))
    return np.asarray(square.resize((spec.size, spec.size), PillowImage.Resampling.NEAREST))


def _lowest(values: FloatArray) -> float:
    """The least value. Raises :class:`Unreadable` where some are no numbers."""
    if not values.size:
        return math.inf
    extremes = float(values.min()), float(values.max())  # NaN if any value is
    if not all(map(math.isfinite, extremes)):
        bad = int((~np.isfinite(values)).sum())
        raise Unreadable("pixels", f"{bad} values are NaN or infinite", "holds NaN or infinite values")
    return extremes[0]


def _burned_in(planes: Sequence[RawPlane], spec: CohortSpec) -> Findings:
    """Whether evenly spaced images of the file, at the resolution of the source, show text; off by default."""
    asked = spec.deidentification
    if not asked.ocr:
        return frozenset()
    chosen = {round(place) for place in np.linspace(0, len(planes) - 1, min(len(planes), asked.images_per_file))}
    return frozenset({IN_PIXELS} if any(shows_text(planes[index].values) for index in sorted(chosen)) else ())


def _brightest(colour: FloatArray) -> FloatArray:
    # Many times faster than a maximum over an axis of three.
    return np.maximum(np.maximum(colour[..., 0], colour[..., 1]), colour[..., 2])


def scan_window(values: Sequence[FloatArray], low: float, high: float) -> tuple[float, float]:
    """The two percentiles of one scan's own values. Raises :class:`Unreadable` where they are equal."""
    everything = np.concatenate([value.ravel() for value in values])
    bottom, top = (float(value) for value in np.percentile(everything, [low, high]))
    if not bottom < top:
        raise Unreadable("pixels", "one value throughout", "the scan's own percentiles (window.mode=scan) are equal")
    return bottom, top


def _described(
    plane: RawPlane, foreground: float, resized: FloatArray, kept: NDArray[np.uint8] | None, spec: CohortSpec
) -> Plane:
    mask_pixels = None
    if plane.mask is not None:  # counted in the part of the slice that is kept
        mask_pixels = int(fit(marked(plane.mask, spec.label.mask_values)[None], spec.fit, 0).sum())
    return Plane(
        frame=plane.frame, slice_index=plane.slice_index, slice_position=plane.slice_position, foreground=foreground,
        digest=digest(resized), mask_digest=None if kept is None else digest(kept), mask_pixels=mask_pixels,
        spacing_mm=plane.spacing_mm, orientation=plane.orientation, source_rows=plane.values.shape[0],
        source_columns=plane.values.shape[1],
    )  # fmt: skip


def digest(image: NDArray[Any]) -> str:
    """A short digest of the pixels of one image or mask."""
    return hashlib.blake2b(image.tobytes(), digest_size=12).hexdigest()


def _channels(values: FloatArray, spec: CohortSpec) -> FloatArray:
    """``[c, h, w]`` with the cohort's number of channels."""
    if values.ndim == 2:
        return values[None] if spec.channels == 1 else np.repeat(values[None], spec.channels, axis=0)
    return np.moveaxis(values, 2, 0) if spec.channels == 3 else (values @ LUMA)[None]


def fit(planes: NDArray[Scalar], how: str, padding: float) -> NDArray[Scalar]:
    """``[c, h, w]`` → ``[c, s, s]``: the central square, or padded to one with ``padding``; ``stretch`` keeps all."""
    height, width = planes.shape[1:]
    if how == "stretch" or height == width:
        return planes
    if how == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return planes[:, top : top + side, left : left + side]
    side = max(height, width)
    rows, columns = side - height, side - width
    widths = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.pad(planes, widths, constant_values=padding)


def resize(planes: FloatArray, size: int) -> FloatArray:
    """``[c, h, w]`` → ``[c, size, size]`` float32 by Pillow's bilinear filter, which averages when it shrinks."""
    if planes.shape[1:] == (size, size):
        return np.ascontiguousarray(planes, dtype=np.float32)
    images = [PillowImage.fromarray(np.ascontiguousarray(plane, dtype=np.float32)) for plane in planes]
    return np.stack([np.asarray(i.resize((size, size), PillowImage.Resampling.BILINEAR), np.float32) for i in images])
