"""The intensity policy: one written rule from source values to stored integers, for every image of a cohort."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.specs import CohortSpec, DicomSpec, NiftiSpec
from synthassay.errors import UserError

MAX_VALUES = 1 << 24  # percentiles are taken from at most this many evenly spaced pixels (64 MiB)
FEWEST_LEVELS = 4  # stored integers at either end of a window; images that have no others show nothing
TAKEN_FROM = {"percentiles": "generator-train", "scan": "each scan", "fixed": "settings", "header": "each header"}
DICOM_UNITS = {
    "stored": "as stored, MONOCHROME1 inverted, colour 0..255",
    "rescaled": "modality LUT or rescale slope and intercept applied, MONOCHROME1 inverted, colour 0..255",
    "suv": "standardised uptake values by body weight, colour 0..255",
    "header": "0..1 by the window or VOI LUT of each header, MONOCHROME1 inverted, colour 0..1",
}
DTYPES: dict[int, type[np.unsignedinteger]] = {8: np.uint8, 16: np.uint16}


def make_policy(spec: CohortSpec, train_pixels: Iterable[NDArray[np.float32]], n_values: int) -> dict[str, Any]:
    """The written policy, as plain JSON values.

    ``train_pixels`` are blocks ``[k, c, (d,) h, w]`` float32 of generator-train, in rescaled units, ``n_values``
    numbers in all; they are looked at for ``window.mode=percentiles`` only. Raises :class:`UserError` where they hold
    one value.
    """
    window = spec.window
    low, high = {"fixed": (window.low, window.high), "percentiles": (0.0, 0.0)}.get(window.mode, (0.0, 1.0))
    percentiles = [window.low, window.high] if window.mode in ("percentiles", "scan") else None
    used = 0
    if window.mode == "percentiles":
        values = _thinned(train_pixels, max(1, -(-n_values // MAX_VALUES)))
        low, high = (float(value) for value in np.percentile(values, [window.low, window.high]))
        used = len(values)
        if not low < high:
            raise UserError(
                f"the percentiles {window.low:g} and {window.high:g} of generator-train's pixels are both {low:g}.\n"
                "Widen cohort.window.low and high, or set cohort.window.mode=fixed with two values in rescaled units."
            )
    spacing = spec.volume.stack_spacing()
    return {
        "mode": window.mode, "window": window.name, "low": low, "high": high, "percentiles": percentiles,
        "taken_from": TAKEN_FROM[window.mode], "pixels_used": used, "units": _units(spec),
        "source_units": spec.units if isinstance(spec, DicomSpec) else "rescaled",
        "bits": spec.bits, "size": spec.size, "channels": spec.channels, "fit": spec.fit,
        "resize": "bilinear, averaging when shrinking", "outside_window": "clipped", "dimensions": spec.dimensions,
        "axis": spec.slices.axis, "spacing_mm": spacing and list(spacing), "oblique": spec.volume.oblique,
        **({"not_a_number": "background"} if isinstance(spec, NiftiSpec) and spec.not_a_number == "background" else {}),
        **({"shape": list(spec.image_shape), "centre": spec.volume.centre} if spec.dimensions == 3 else {}),
    }  # fmt: skip


def _units(spec: CohortSpec) -> str:
    if isinstance(spec, DicomSpec):
        return DICOM_UNITS["header" if spec.window.mode == "header" else spec.units]
    return {
        "nifti": "scale slope and intercept applied",
        "images": "0..255, 16-bit files divided by 257",
    }[spec.kind]


def _thinned(blocks: Iterable[NDArray[np.float32]], every: int) -> NDArray[np.float32]:
    """Every ``every``-th value of the blocks as if they were one array."""
    taken, offset = [np.empty(0, np.float32)], 0
    for block in blocks:
        flat = block.reshape(-1)
        taken.append(flat[(-offset) % every :: every].copy())
        offset += len(flat)
    return np.concatenate(taken)


def check_range(lowest: float, highest: float, policy: Mapping[str, Any]) -> None:
    """Raises :class:`UserError` where all source values, from ``lowest`` to ``highest``, are one end of the window."""
    low, high = policy["low"], policy["high"]
    end = FEWEST_LEVELS * (high - low) / (2 ** policy["bits"] - 1)
    if highest <= low + end or lowest >= high - end:
        raise UserError(
            f"all values of the images, {lowest:.6g} to {highest:.6g}, are hardly a grey in the window from {low:g} to "
            f"{high:g}.\nSet cohort.window.mode=percentiles, or cohort.window.low and high to what the images hold."
        )


def apply_policy(images: NDArray[Any], policy: Mapping[str, Any]) -> NDArray[Any]:
    """Source values as stored integers.

    ``images`` is ``[n, c, (d,) h, w]`` in rescaled units; returns uint8 or uint16 of the same shape: the window's low
    end is 0, its high end the dtype's maximum, values outside are clipped. With the policy's mode ``scan``, ``images``
    are all images of one scan and the window is their own. Raises ``ValueError`` for NaN or infinite values.
    """
    values = np.asarray(images, np.float32)
    low, high = float(policy["low"]), float(policy["high"])
    if policy["mode"] == "scan":
        low, high = (float(value) for value in np.percentile(values, policy["percentiles"]))
    return quantise(values, low, high, int(policy["bits"]))


def quantise(values: NDArray[np.float32], low: float, high: float, bits: int) -> NDArray[Any]:
    """``low`` becomes 0 and ``high`` the largest integer of ``bits`` bits; rounded to the nearest, clipped.

    Raises ``ValueError`` for NaN or infinite values, or an empty window.
    """
    if not np.isfinite(values).all():
        raise ValueError("images hold NaN or infinite values")
    if not low < high:
        raise ValueError(f"the window is empty: {low} to {high}")
    scaled = values.astype(np.float64)
    scaled -= low
    scaled /= high - low
    np.clip(scaled, 0.0, 1.0, out=scaled)
    scaled *= 2**bits - 1
    stored: NDArray[Any] = np.rint(scaled, out=scaled).astype(DTYPES[bits])
    return stored
