"""From the arrays of one file to square images of one size."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage

from synthassay.cohorts.sources import FileImages, Plane
from synthassay.cohorts.specs import CohortSpec
from synthassay.scans.burned_in import IN_PIXELS, shows_text
from synthassay.scans.findings import Findings
from synthassay.scans.planes import FloatArray, RawPlane
from synthassay.scans.unreadable import Unreadable

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
    pixels, described = [], []
    for plane in planes:
        grey = plane.values if plane.values.ndim == 2 else _brightest(plane.values)
        square = _channels((plane.values - low) / (high - low) if (low, high) != (0.0, 1.0) else plane.values, spec)
        resized = resize(fit(square, spec.fit, (lowest - low) / (high - low)), spec.size)
        pixels.append(resized)
        described.append(_described(plane, np.count_nonzero(grey > background) / grey.size, resized, spec))
    return FileImages(pixels=np.stack(pixels), planes=tuple(described), sha256=sha256, carried=_burned_in(planes, spec))


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


def _described(plane: RawPlane, foreground: float, resized: FloatArray, spec: CohortSpec) -> Plane:
    mask_pixels = None
    if plane.mask is not None:  # counted in the part of the slice that is kept
        mask_pixels = int(fit(plane.mask[None].astype(np.float32), spec.fit, 0.0).sum())
    return Plane(
        frame=plane.frame, slice_index=plane.slice_index, slice_position=plane.slice_position, foreground=foreground,
        digest=digest(resized), mask_pixels=mask_pixels,
        spacing_mm=plane.spacing_mm, orientation=plane.orientation, source_rows=plane.values.shape[0],
        source_columns=plane.values.shape[1],
    )  # fmt: skip


def digest(image: FloatArray) -> str:
    """A short digest of one image's float32 pixels."""
    return hashlib.blake2b(image.tobytes(), digest_size=12).hexdigest()


def _channels(values: FloatArray, spec: CohortSpec) -> FloatArray:
    """``[c, h, w]`` with the cohort's number of channels."""
    if values.ndim == 2:
        return values[None] if spec.channels == 1 else np.repeat(values[None], spec.channels, axis=0)
    return np.moveaxis(values, 2, 0) if spec.channels == 3 else (values @ LUMA)[None]


def fit(planes: FloatArray, how: str, padding: float) -> FloatArray:
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
