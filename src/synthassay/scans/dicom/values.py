"""From stored values to the units that a cohort asks for."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_rescale, apply_voi, apply_windowing

from synthassay.scans.dicom.attributes import listed, value_of
from synthassay.scans.dicom.groups import functional
from synthassay.scans.dicom.suv import suv_factor
from synthassay.scans.unreadable import Unreadable

Units = Literal["stored", "rescaled", "suv"]
Rescale = Callable[[NDArray[Any], Any], NDArray[Any]]
DISPLAY_BITS = 16  # of the values between the window and 0 to 1
SINGLE = 2**24  # up to here float32 holds every integer


def in_units(dataset: Any, frame: NDArray[Any], index: int, units: Units) -> NDArray[np.float32]:
    """One grey frame ``[h, w]``, MONOCHROME1 inverted: as stored, through rescale or modality LUT, or as SUV."""
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    if inverted and not dataset.get("ModalityLUTSequence"):
        frame = _mirrored(frame, int(dataset.BitsStored), int(dataset.PixelRepresentation) == 1)
    if units == "stored":
        return np.asarray(frame, np.float32)
    values = _rescaled(dataset, frame, index, _in_single)
    if inverted and dataset.get("ModalityLUTSequence"):  # its entries stand for the values as they are stored
        values = _mirrored(values, int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]), False)
    if units == "suv":
        values = np.multiply(values, suv_factor(dataset), dtype=np.float64)
    return np.asarray(values, np.float32)


def _mirrored(frame: NDArray[Any], bits: int, signed: bool) -> NDArray[Any]:
    """The mirror image within the stored range, so that equal values stay equal across files of one depth."""
    mirrored: NDArray[Any] = (-1 if signed else 2**bits - 1) - frame.astype(np.int64)
    return mirrored


def _rescaled(dataset: Any, frame: NDArray[Any], index: int, rescale: Rescale = apply_rescale) -> NDArray[Any]:
    """Its own transformation goes before the shared one, that before the file's."""
    transform = functional(dataset, index, "PixelValueTransformationSequence")
    if transform is None and dataset.get("ModalityLUTSequence"):
        return apply_modality_lut(frame, dataset)
    transform = dataset if transform is None else transform
    slope, intercept = (value_of(transform, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if (slope is None and intercept in (None, 0)) or (intercept is None and slope == 1):  # what is absent adds nothing
        return frame
    if slope is None or intercept is None:
        absent, present = ("RescaleSlope", "intercept") if slope is None else ("RescaleIntercept", "slope")
        raise Unreadable(absent, "absent", f"a rescale {present} alone does not tell the values (cohort.units=stored)")
    if slope == 0:
        raise Unreadable("RescaleSlope", "0", "it would make all values one (cohort.units=stored)")
    return rescale(frame, transform)


def _in_single(frame: NDArray[Any], transform: Any) -> NDArray[Any]:
    """What double precision gives, in a third of the time where all values are integers that float32 holds."""
    slope, intercept = (transform.get(keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if frame.dtype.kind not in "iu" or not _is_whole(slope) or not _is_whole(intercept):
        return apply_rescale(frame, transform)
    if abs(slope) * 2 ** (8 * frame.dtype.itemsize) + abs(intercept) > SINGLE:
        return apply_rescale(frame, transform)
    values = frame.astype(np.float32)
    values *= float(slope)
    values += float(intercept)
    return values


def _is_whole(number: Any) -> bool:
    return isinstance(number, float) and number.is_integer()


def displayed(dataset: Any, frame: NDArray[Any], index: int) -> NDArray[np.float32]:
    """One grey frame ``[h, w]`` in [0, 1] by the VOI LUT or window of its header, the first where it has several.

    Raises :class:`Unreadable` where the header has none.
    """
    values = _rescaled(dataset, frame, index)
    view = functional(dataset, index, "FrameVOILUTSequence") or dataset
    if view.get("VOILUTSequence"):
        bits = int(view.VOILUTSequence[0].LUTDescriptor[2])
        shown = apply_voi(np.rint(values).astype(np.int64), view) / (2**bits - 1)
    else:
        shown = apply_windowing(values, _window(view)) / (2**DISPLAY_BITS - 1)
    return np.asarray(1 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown, np.float32)


def _window(view: Any) -> Dataset:
    """What pydicom's windowing needs of a header, with a range of values that does not depend on the file's depth."""
    centre, width = (next(iter(listed(value_of(view, name))), None) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        raise Unreadable("WindowCenter, WindowWidth", "absent", "no window in the header (cohort.window.mode=header)")
    linear = str(view.get("VOILUTFunction") or "LINEAR") == "LINEAR"
    if not (float(width) >= 1 if linear else float(width) > 0) or float(width) == math.inf:  # PS3.3, C.11.2.1
        raise Unreadable("WindowWidth", "below 1" if linear else "not above 0",
                         "the window in the header shows nothing (cohort.window.mode=header)")  # fmt: skip
    window = Dataset()
    window.PhotometricInterpretation, window.BitsStored, window.PixelRepresentation = "MONOCHROME2", DISPLAY_BITS, 0
    window.WindowCenter, window.WindowWidth = centre, width
    if view.get("VOILUTFunction"):
        window.VOILUTFunction = view.VOILUTFunction
    return window
