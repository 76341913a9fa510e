"""The frames of one file as planes in rescaled units."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from synthassay.scans.dicom.files import guarded, open_content
from synthassay.scans.dicom.geometry import along_normal, orientation_name, spacing_of
from synthassay.scans.dicom.groups import functional
from synthassay.scans.dicom.header import check_shape
from synthassay.scans.dicom.values import rescaled
from synthassay.scans.limits import LimitSpec
from synthassay.scans.planes import RawPlane
from synthassay.scans.unreadable import Unreadable

NO_DECODER = "no decoder for this compression is installed (for JPEG Lossless: pip install python-gdcm)"
DAMAGED = "the pixel data are truncated or damaged"


def read_planes(content: bytes, limits: LimitSpec) -> list[RawPlane]:
    """All frames of one file's bytes in rescaled units, MONOCHROME1 inverted, colour 0 to 255.

    Raises :class:`Unreadable` for what holds no image, is over ``limits``, or is damaged.
    """
    dataset = open_content(content)
    with guarded("PixelData", DAMAGED):
        check_shape(dataset, limits)
        planes = [_plane(dataset, frame, index) for index, frame in enumerate(_frames(dataset))]
        return _positioned(dataset, planes)


def _frames(dataset: Any) -> NDArray[Any]:
    """Stored values ``[frames, h, w]`` or, for colour, ``[frames, h, w, 3]`` scaled to 0..255 as float32."""
    frames = _decoded(dataset)
    photometric = dataset.PhotometricInterpretation
    bits = int(dataset.BitsStored)
    if photometric == "PALETTE COLOR":
        frames = apply_color_lut(frames, dataset)
        bits = 8 * frames.dtype.itemsize
    colour = photometric == "PALETTE COLOR" or int(dataset.SamplesPerPixel) == 3
    if frames.ndim == (3 if colour else 2):
        frames = frames[None]
    return frames[..., :3].astype(np.float32) * np.float32(255 / (2**bits - 1)) if colour else frames


def _decoded(dataset: Any) -> NDArray[Any]:
    try:
        return pixel_array(dataset)
    except NotImplementedError as error:
        raise Unreadable("TransferSyntaxUID", "unsupported", NO_DECODER) from error
    except RuntimeError as error:
        if "missing dependencies" in str(error):
            raise Unreadable("TransferSyntaxUID", "no decoder", NO_DECODER) from error
        raise


def _plane(dataset: Any, frame: NDArray[Any], index: int) -> RawPlane:
    measures = functional(dataset, index, "PixelMeasuresSequence") or dataset
    plane = functional(dataset, index, "PlaneOrientationSequence") or dataset
    values = rescaled(dataset, frame, index) if frame.ndim == 2 else np.asarray(frame, np.float32)
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
