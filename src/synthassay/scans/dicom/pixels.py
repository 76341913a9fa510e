"""The frames of one file as planes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels

from synthassay.scans.dicom.attributes import value_of, whole_of
from synthassay.scans.dicom.decoders import decoder_of, reconcile, uncover
from synthassay.scans.dicom.files import guarded, open_content
from synthassay.scans.dicom.geometry import along_normal, orientation_name
from synthassay.scans.dicom.header import check_shape
from synthassay.scans.dicom.mosaic import is_mosaic, mosaic_of
from synthassay.scans.dicom.slices import SliceFacts, slice_facts
from synthassay.scans.dicom.values import Units, displayed, in_units
from synthassay.scans.limits import LimitSpec
from synthassay.scans.planes import FloatArray, RawPlane
from synthassay.scans.unreadable import Unreadable

DAMAGED = "the pixel data are truncated or damaged"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
CINE = ("FrameTime", "FrameTimeVector", "CineRate")  # frames that follow one another in time, not in space
NEEDED = ("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")  # to know what the pixel data mean
NEEDED_OF_WHOLE, NEEDED_OF_COLOUR = ("BitsStored", "PixelRepresentation"), ("PlanarConfiguration",)


def read_planes(
    content: bytes, limits: LimitSpec, units: Units = "rescaled", header_window: bool = False,
    known: Sequence[SliceFacts] = (),
) -> list[RawPlane]:  # fmt: skip
    """All frames of one file's bytes (of a mosaic, its tiles): grey in ``units``, MONOCHROME1 inverted, RGB 0 to 255.

    ``header_window``: grey in [0, 1] by the window of the header instead, colour in [0, 1]. Overlays are not burnt in.
    ``known`` are the facts of its slices (:func:`slice_facts`), where its header was read before.
    Raises :class:`Unreadable` for what holds no image, is over ``limits``, or is damaged.
    """
    dataset = open_content(content, limits)
    with guarded("PixelData", DAMAGED):
        check_shape(dataset, limits)
        layout = mosaic_of(dataset) if is_mosaic(dataset) else None
        count = layout.count if layout else max(1, whole_of(dataset, "NumberOfFrames") or 1)
        facts = known if len(known) == count else slice_facts(dataset)
        planes: list[RawPlane] = []
        for index, frame in enumerate(stored_frames(dataset, limits)):
            values = _values(dataset, frame, index, units, header_window)
            for part in layout.tiles(values) if layout else [values]:
                planes.append(_plane(part, facts[len(planes)]))
        follow = any(value_of(dataset, keyword) is not None for keyword in CINE)
        return _positioned(planes, facts, in_time=follow)


def _values(dataset: Any, frame: NDArray[Any], index: int, units: Units, header_window: bool) -> FloatArray:
    if frame.ndim == 3:
        return _unit_colour(dataset, frame) * np.float32(1 if header_window else 255)
    return displayed(dataset, frame, index) if header_window else in_units(dataset, frame, index, units)


def stored_frames(dataset: Any, limits: LimitSpec) -> Iterator[NDArray[Any]]:
    """Frame by frame, stored values ``[h, w]`` or RGB ``[h, w, 3]``, bits outside those stored removed."""
    if not any(keyword in dataset for keyword in PIXELS):
        raise Unreadable("PixelData", "absent", "not a scan: the DICOM file holds no image")
    coloured = whole_of(dataset, "SamplesPerPixel") != 1
    for keyword in (*NEEDED, *NEEDED_OF_WHOLE * ("PixelData" in dataset), *NEEDED_OF_COLOUR * coloured):
        if value_of(dataset, keyword) is None:
            raise Unreadable(keyword, "absent", "the header does not say how its pixels are stored")
    uncover(dataset, limits)
    reconcile(dataset)
    count = max(1, whole_of(dataset, "NumberOfFrames") or 1)
    held = 0
    for held, frame in enumerate(_decoded(dataset), 1):
        if held > count:
            break
        yield frame
    if held != count:
        raise Unreadable("NumberOfFrames", str(count), f"the file holds {'more' if held > count else 'fewer'} frames")


def _decoded(dataset: Any) -> Iterator[NDArray[Any]]:
    plugin = decoder_of(str(dataset.file_meta.TransferSyntaxUID), int(dataset.get("BitsStored") or 8))
    shift = _low_bits(dataset)
    reading: dict[str, Any] = {"correct_unused_bits": False} if shift else {}
    palette = dataset.PhotometricInterpretation == "PALETTE COLOR"
    frames: Iterable[NDArray[Any]]
    # Frames of single bits may begin within a byte, which pydicom reads all at once only.
    if dataset.BitsAllocated == 1 and not plugin:
        frames = np.reshape(dataset.pixel_array, (-1, dataset.Rows, dataset.Columns))
    else:
        frames = iter_pixels(dataset, decoding_plugin=plugin, **reading)
    for frame in frames:
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
    bits = _palette_bits(dataset, frame) if palette else int(dataset.BitsStored)
    return np.asarray(frame * (1 / (2**bits - 1)), np.float32)


def _palette_bits(dataset: Any, frame: NDArray[Any]) -> int:
    """Of the colours in ``frame``: 8 also where bytes are written as words, as some devices do."""
    count, first, _ = dataset.RedPaletteColorLookupTableDescriptor
    colours = apply_color_lut(np.arange(first, first + (count or 1 << 16)), dataset)
    return 8 if colours.max() < 1 << 8 else 8 * frame.dtype.itemsize


def _plane(values: FloatArray, facts: SliceFacts) -> RawPlane:
    spacing = facts.spacing
    if spacing and facts.between:
        spacing = (*spacing, facts.between)
    return RawPlane(values=values, frame=facts.frame, spacing_mm=spacing,
                    orientation=orientation_name(facts.orientation))  # fmt: skip


def _positioned(planes: list[RawPlane], facts: Sequence[SliceFacts], in_time: bool) -> list[RawPlane]:
    """Give the slices of one file their place along the normal, or in the file where none is written.

    Frames ``in_time``, or of one place, have only their number.
    """
    if len(planes) < 2:
        return planes
    written = [place for slice_ in facts if (place := along_normal(slice_.position, slice_.orientation)) is not None]
    order = sorted(set(written)) if len(written) == len(planes) and len(set(written)) > 1 else None
    ranks = [order.index(place) for place in written] if order else list(range(len(planes)))
    last = max(ranks)
    placed = order is not None or not (in_time or written)
    return [replace(plane, slice_index=rank, slice_position=rank / last if placed else None)
            for plane, rank in zip(planes, ranks, strict=True)]  # fmt: skip
