"""The frames of one file as planes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels

from synthassay.scans.dicom.decoders import decoder_of, uncover
from synthassay.scans.dicom.files import guarded, open_content
from synthassay.scans.dicom.geometry import along_normal, orientation_name, spacing_of
from synthassay.scans.dicom.groups import functional
from synthassay.scans.dicom.header import check_shape
from synthassay.scans.dicom.values import Units, displayed, in_units
from synthassay.scans.limits import LimitSpec
from synthassay.scans.planes import FloatArray, RawPlane
from synthassay.scans.unreadable import Unreadable

DAMAGED = "the pixel data are truncated or damaged"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_planes(
    content: bytes, limits: LimitSpec, units: Units = "rescaled", header_window: bool = False
) -> list[RawPlane]:
    """All frames of one file's bytes: grey in ``units`` with MONOCHROME1 inverted, colour as RGB from 0 to 255.

    ``header_window``: grey in [0, 1] by the window of the header instead, colour in [0, 1]. Overlays are not burnt in.
    Raises :class:`Unreadable` for what holds no image, is over ``limits``, or is damaged.
    """
    dataset = open_content(content, limits)
    with guarded("PixelData", DAMAGED):
        check_shape(dataset, limits)
        planes = []
        for index, frame in enumerate(stored_frames(dataset, limits)):
            if frame.ndim == 3:
                values = _unit_colour(dataset, frame) * np.float32(1 if header_window else 255)
            elif header_window:
                values = displayed(dataset, frame, index)
            else:
                values = in_units(dataset, frame, index, units)
            planes.append(_plane(dataset, values, index))
        return _positioned(dataset, planes)


def stored_frames(dataset: Any, limits: LimitSpec) -> Iterator[NDArray[Any]]:
    """Frame by frame, stored values ``[h, w]`` or RGB ``[h, w, 3]``, bits outside those stored removed."""
    if not any(keyword in dataset for keyword in PIXELS):
        raise Unreadable("PixelData", "absent", "not a scan: the DICOM file holds no image")
    uncover(dataset, limits)
    plugin = decoder_of(str(dataset.file_meta.TransferSyntaxUID), int(dataset.get("BitsStored") or 8))
    shift = _low_bits(dataset)
    reading: dict[str, Any] = {"correct_unused_bits": False} if shift else {}
    palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
    for frame in iter_pixels(dataset, decoding_plugin=plugin, **reading):
        if shift:
            frame = _shifted(frame, shift, int(dataset.BitsStored))
        yield apply_color_lut(frame, dataset)[..., :3] if palette else frame[..., :3] if frame.ndim == 3 else frame


def _low_bits(dataset: Any) -> int:
    """How many bits lie below the stored ones: 0 by today's standard, which old files do not keep."""
    if "PixelData" not in dataset or "HighBit" not in dataset:
        return 0
    below = int(dataset.HighBit) + 1 - int(dataset.BitsStored)
    if below and (below < 0 or int(dataset.HighBit) >= int(dataset.BitsAllocated)):
        raise Unreadable("HighBit", "not within Bits Allocated", "the header contradicts itself")
    if below and dataset.file_meta.TransferSyntaxUID.is_compressed:
        raise Unreadable("HighBit", "not Bits Stored - 1", "the header contradicts the compression")
    return below


def _shifted(frame: NDArray[Any], below: int, bits: int) -> NDArray[Any]:
    """``bits`` bits from the position ``below`` on, with the sign of a signed frame."""
    above = 8 * frame.dtype.itemsize - bits - below
    shifted: NDArray[Any] = (frame << above) >> (above + below)
    return shifted


def _unit_colour(dataset: Any, frame: NDArray[Any]) -> FloatArray:
    palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
    bits = 8 * frame.dtype.itemsize if palette else int(dataset.BitsStored)
    return np.asarray(frame * (1 / (2**bits - 1)), np.float32)


def _plane(dataset: Any, values: FloatArray, index: int) -> RawPlane:
    measures = functional(dataset, index, "PixelMeasuresSequence") or dataset
    plane = functional(dataset, index, "PlaneOrientationSequence") or dataset
    return RawPlane(values=values, frame=index, spacing_mm=spacing_of(measures),
                    orientation=orientation_name(plane.get("ImageOrientationPatient")))  # fmt: skip


def _positioned(dataset: Any, planes: list[RawPlane]) -> list[RawPlane]:
    """Give the frames of a multi-frame file their place along the normal, or in the file where none is written."""
    if len(planes) < 2:
        return planes
    places = []
    for index in range(len(planes)):
        position = functional(dataset, index, "PlanePositionSequence") or {}
        orientation = functional(dataset, index, "PlaneOrientationSequence") or {}
        places.append(along_normal(position.get("ImagePositionPatient"), orientation.get("ImageOrientationPatient")))
    written = [place for place in places if place is not None]
    order = sorted(set(written)) if len(written) == len(planes) and len(set(written)) > 1 else None
    ranks = [order.index(place) for place in written] if order else list(range(len(planes)))
    last = max(ranks)
    return [replace(plane, slice_index=rank, slice_position=rank / last)
            for plane, rank in zip(planes, ranks, strict=True)]  # fmt: skip
