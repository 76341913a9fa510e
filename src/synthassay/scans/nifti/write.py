"""Images and volumes as NIfTI-1 files, gzipped, with a JSON sidecar that says what the header cannot.

A grey image ``[1, h, w]`` becomes voxels ``[w, h, 1]``, a volume ``[1, d, h, w]`` voxels ``[w, h, d]``; a colour one
RGB24 voxels, or a vector of three where it has 16 bits, for which NIfTI has no colour. Where not even the plane that is
shown is known, both affine codes are 0 and rows go from the bottom up, as software takes voxels that lie nowhere; the
unit is mm where the spacing is known and unknown where it is not.
"""

import gzip
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from synthassay.scans.facts import Grid, ImageFacts

nib: Any = nibabel  # its stubs are partial
RGB24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
SCANNER, ALIGNED = 1, 2  # codes of an affine: a place in the scanner, and one of another origin
LEVEL = 6  # of gzip; higher ones cost much and save little on images


def encode_image(pixels: NDArray[np.uint8] | NDArray[np.uint16], facts: ImageFacts) -> bytes:
    """``.nii.gz`` bytes of one image ``[1 or 3, (d,) h, w]``; equal arguments give equal bytes."""
    if pixels.ndim not in (3, 4) or pixels.shape[0] not in (1, 3) or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be [1 or 3, (d,) h, w] uint8 or uint16, got {pixels.shape} {pixels.dtype}")
    volume = pixels if pixels.ndim == 4 else pixels[:, None]
    turned = volume.transpose(3, 2, 1, 0)  # [w, h, d, c]
    affine = None if facts.grid is None else facts.grid.affine()
    if affine is None:
        turned = turned[:, ::-1]
    voxels: NDArray[Any]
    if len(pixels) == 1:
        voxels = turned[..., 0]
    elif pixels.dtype == np.uint8:
        voxels = np.ascontiguousarray(turned).view(RGB24)[..., 0]
    else:
        voxels = turned[:, :, :, None]
    return _encoded(voxels, affine, facts.grid)


def encode_volume(voxels: NDArray[Any], affine: NDArray[np.float64]) -> bytes:
    """``.nii.gz`` bytes of ``[x, y, z]`` voxels of any type that NIfTI has, and their ``[4, 4]`` affine to RAS+ mm."""
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    return _zipped(image, affine, SCANNER)


def sidecar(facts: ImageFacts) -> dict[str, Any]:
    """What stands beside the image, under the names of BIDS where it has one; nothing that is unknown."""
    found = {
        "ImageID": facts.image, "PatientID": facts.patient, "PatientSex": facts.sex, "PatientAge": facts.age,
        "InstitutionName": facts.site, "ManufacturersModelName": facts.device, "Modality": facts.modality,
        "View": facts.view, "Label": facts.label, "Split": facts.split, "Seed": facts.seed, "Set": facts.source,
        "SyntheticData": "YES" if facts.made == "generated" else None,
        "MadeBy": facts.maker if facts.made == "generated" else None,
        "SpacingKnown": facts.grid is not None,
        "PlaneKnown": facts.grid is not None and facts.grid.affine() is not None,
        "PositionKnown": facts.grid is not None and facts.grid.position is not None,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def _encoded(voxels: NDArray[Any], affine: NDArray[np.float64] | None, grid: Grid | None) -> bytes:
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("unknown" if grid is None else "mm")
    if voxels.ndim == 5:
        image.header.set_intent("vector")
    if grid is not None and affine is None:
        lengths = (grid.spacing[1], grid.spacing[0], grid.step or 1.0)
        image.header.set_zooms(lengths + (1.0,) * (voxels.ndim - 3))
    if affine is None:
        return gzip.compress(image.to_bytes(), LEVEL, mtime=0)
    return _zipped(image, affine, ALIGNED if grid is None or grid.position is None else SCANNER)


def _zipped(image: Any, affine: NDArray[np.float64], code: int) -> bytes:
    for name in ("sform", "qform"):
        getattr(image, f"set_{name}")(affine, code)
    return gzip.compress(image.to_bytes(), LEVEL, mtime=0)
