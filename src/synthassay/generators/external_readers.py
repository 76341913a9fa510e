"""One file of an external set → images. Files are untrusted: sizes are checked before anything is decoded."""

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_rescale
from pydicom.pixels.utils import pixel_array

from synthassay.generators.external_specs import ExternalSpec
from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import open_file, read_volume
from synthassay.scans.orientation import from_stack_order, stack, upright
from synthassay.scans.resampling import regrid
from synthassay.scans.unreadable import Unreadable

# Each [c, (d,) h, w], float32 for pictures; float64 after the window, so that values round as those of the cohort do.
Planes = list[NDArray[np.float32] | NDArray[np.float64]]

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "TIFF")  # no other of Pillow's decoders is offered a file
VOLUMES = (".nii", ".nii.gz")
_DEFLATED = (  # transfer syntaxes whose content may inflate without bound before a header can be checked
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.95",
    "1.2.840.10008.1.2.4.205",
    "1.2.840.10008.1.2.8.1",
)
_TOO_LARGE = "more values than generator.max_values; it was not decoded"


def read_planes(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """All images of one file, each ``[c, (d,) h, w]`` with c = 1 or 3: 0 is black, 1 white, values outside may occur.

    Pictures of 8 or 16 bits keep their full range. DICOM and NIfTI values pass the cohort's intensity ``policy``.
    Raises :class:`Unreadable` for every file that is not such an image, or is damaged.
    """
    reader = _reader(path)
    if policy.get("dimensions", 2) == 3 and reader is not _volume:
        raise Unreadable("file", "no volume", "the cohort's images are volumes; give NIfTI files")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's and Pillow's warnings quote headers
        try:
            return reader(path, spec, policy)
        except Unreadable:
            raise
        except MemoryError as error:
            raise Unreadable("size", "more than the memory holds", "too large for this machine's memory") from error
        except Exception as error:  # decoders raise whatever they like on damaged data
            raise Unreadable(
                "pixels", type(error).__name__, "the file is truncated, damaged or not decodable"
            ) from error


def _reader(path: Path) -> Callable[[Path, ExternalSpec, Mapping[str, Any]], Planes]:
    name = path.name.lower()
    if name.endswith(PICTURES):
        return _picture
    if name.endswith(VOLUMES):
        return _volume
    with path.open("rb") as stream:
        if stream.read(132)[128:] == b"DICM":
            return _dicom
    raise Unreadable("file", "another format", "not a PNG, JPEG, TIFF, DICOM or NIfTI file")


def _refuse_large(values: int, spec: ExternalSpec, field: str) -> None:
    if values > spec.max_values:
        raise Unreadable(field, f"{values} values", _TOO_LARGE)


def _picture(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                planes: Planes = []
                values = 0
                for page in ImageSequence.Iterator(image) if image.format == "TIFF" else [image]:
                    values += page.width * page.height * len(page.getbands())  # pages may differ in size
                    _refuse_large(values, spec, "size")
                    planes.append(_unit(page, str(image.format)))
                return planes
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Unreadable("size", "a decompression bomb", "far too many pixels; it was not decoded") from error


def _unit(page: Image.Image, file_format: str) -> NDArray[np.float32]:
    """``[c, h, w]`` in [0, 1] over the full range of the file's depth; transparency is dropped."""
    upright = ImageOps.exif_transpose(page)
    if upright.mode.startswith("I;16") or (upright.mode == "I" and file_format == "PNG"):
        return np.asarray(upright).astype(np.float32)[None] / np.float32(65535)
    if upright.mode in ("I", "F"):
        raise Unreadable(
            "mode", f"32-bit values ({upright.mode})", "32-bit pictures have no full range; save 8 or 16 bits"
        )
    colour = upright.mode not in ("1", "L", "LA")
    values = np.asarray(upright.convert("RGB" if colour else "L"), np.float32) / np.float32(255)
    return np.moveaxis(values, -1, 0) if colour else values[None]


def window(planes: Planes, policy: Mapping[str, Any]) -> Planes:
    """Source values of one file by the cohort's written policy: 0 is the window's low end, 1 its high end, unclipped.

    Clipping comes after resampling, as it does for the cohort.
    """
    if not all(np.isfinite(plane).all() for plane in planes):
        raise Unreadable("pixels", "NaN or infinite values", "holds NaN or infinite values")
    low, high = float(policy["low"]), float(policy["high"])
    if policy["mode"] == "scan":  # the window is that of the file's own values
        everything = np.concatenate([plane.ravel() for plane in planes])
        low, high = (float(value) for value in np.percentile(everything, policy["percentiles"]))
        if not low < high:
            raise Unreadable("pixels", "one value throughout", "the scan's own percentiles are equal")
    return [(plane.astype(np.float64) - low) / (high - low) for plane in planes]


def _volume(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """Slices along ``spec.axis`` as the cohort's, or the volume ``[1, d, h, w]`` where the cohort's images are volumes.

    With ``spec.resize`` the volume is brought to the cohort's spacing first.
    """
    limits = LimitSpec(voxels=spec.max_values)
    volume = upright(read_volume(open_file(path, limits), limits))
    whole = policy.get("dimensions", 2) == 3
    axis = policy["axis"] if whole else spec.axis
    if spec.resize:
        spacing = policy.get("spacing_mm")
        grid = None if spacing is None else from_stack_order(spacing, axis)
        volume = regrid(volume, grid, policy.get("oblique") == "resample", limits)
    slices = stack(volume.values, axis)
    return window([slices[None]], policy) if whole else window([s[None] for s in slices], policy)[:: spec.every_n]


def _dicom(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    if str(read_file_meta_info(path).get("TransferSyntaxUID", "")).strip() in _DEFLATED:
        raise Unreadable("TransferSyntaxUID", "deflated", "deflated DICOM is not read; save it without deflation")
    header = pydicom.dcmread(path, stop_before_pixels=True)
    counts = [int(header.get(k) or 0) for k in ("Rows", "Columns")]
    counts += [int(header.get(k) or 1) for k in ("NumberOfFrames", "SamplesPerPixel")]
    if not all(counts):
        raise Unreadable("Rows, Columns", "absent", "the DICOM file holds no image")
    _refuse_large(math.prod(counts), spec, "Rows, Columns, NumberOfFrames")
    dataset = pydicom.dcmread(path)
    try:
        frames = pixel_array(dataset)
    except (NotImplementedError, RuntimeError) as error:
        if isinstance(error, NotImplementedError) or "missing dependencies" in str(error):
            raise Unreadable(
                "TransferSyntaxUID", "unsupported", "no decoder for this compression is installed"
            ) from error
        raise
    return window(_rescaled(frames, dataset), policy)


def _rescaled(frames: NDArray[Any], dataset: Any) -> Planes:
    """Frames in rescaled units, MONOCHROME1 inverted within the stored range; colour in 0 to 255."""
    photometric, bits = dataset.PhotometricInterpretation, int(dataset.BitsStored)
    if photometric == "PALETTE COLOR":
        frames = apply_color_lut(frames, dataset)
        bits = 8 * frames.dtype.itemsize
    colour = photometric == "PALETTE COLOR" or int(dataset.SamplesPerPixel) == 3
    stack = frames[None] if frames.ndim == (3 if colour else 2) else frames
    if colour:
        scaled = stack[..., :3].astype(np.float32) * np.float32(255 / (2**bits - 1))
        return list(np.moveaxis(scaled, -1, 1))
    if photometric == "MONOCHROME1":
        stack = (-1 if int(dataset.PixelRepresentation) == 1 else 2**bits - 1) - stack.astype(np.int64)
    return [_in_units(frame, dataset, index)[None] for index, frame in enumerate(stack)]


def _in_units(frame: NDArray[Any], dataset: Any, index: int) -> NDArray[np.float32]:
    """One frame in rescaled units; an enhanced file says how for each frame, or for all, in a functional group."""
    own, shared = dataset.get("PerFrameFunctionalGroupsSequence"), dataset.get("SharedFunctionalGroupsSequence")
    for group in (*(own[index : index + 1] if own else ()), *(shared or ())):
        if group.get("PixelValueTransformationSequence"):
            return np.asarray(apply_rescale(frame, group.PixelValueTransformationSequence[0]), np.float32)
    return np.asarray(apply_modality_lut(frame, dataset), np.float32)
