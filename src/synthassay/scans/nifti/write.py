"""Images and volumes as NIfTI-1 files, gzipped, with a JSON sidecar that says what the header cannot.

A grey image ``[1, h, w]`` becomes voxels ``[w, h, 1]``, a colour one RGB24 voxels (16-bit colour: a vector of three, as
NIfTI has no type for it). The affine is that of the plane; where the place in the patient is not known, columns run to
the left and rows to the back, as axial slices are shown, at the spacing that is known, and where none is at 1 mm with
the unit left unknown. The sidecar says which of these is so.
"""

import gzip
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from synthassay.scans.facts import ImageFacts, Plane

nib: Any = nibabel  # its stubs are partial
RGB24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
AS_SHOWN = np.diag([-1.0, -1.0, 1.0, 1.0])  # to the left, to the back, upwards; RAS+
SCANNER, ALIGNED = 1, 2  # codes of an affine: a place in the scanner, and one that fits the picture only
VECTOR = 1007  # NIFTI_INTENT_VECTOR
LEVEL = 6  # of gzip; higher ones cost much and save little on images


def encode_image(pixels: NDArray[np.uint8] | NDArray[np.uint16], facts: ImageFacts) -> bytes:
    """``.nii.gz`` bytes of one image ``[1 or 3, h, w]``; equal arguments give equal bytes."""
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be [1 or 3, h, w] uint8 or uint16, got {pixels.shape} {pixels.dtype}")
    turned = np.moveaxis(pixels, 0, 2).swapaxes(0, 1)  # [w, h, c]
    if len(pixels) == 1:
        return _encoded(turned, facts.plane, 0)
    if pixels.dtype == np.uint8:
        return _encoded(np.ascontiguousarray(turned).view(RGB24), facts.plane, 0)
    return _encoded(turned[:, :, None, None, :], facts.plane, VECTOR)


def encode_volume(voxels: NDArray[Any], affine: NDArray[np.float64]) -> bytes:
    """``.nii.gz`` bytes of ``[x, y, z]`` voxels of any type that NIfTI has, and their ``[4, 4]`` affine to RAS+ mm."""
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    for name in ("sform", "qform"):
        getattr(image, f"set_{name}")(affine, SCANNER)
    return _zipped(image)


def sidecar(facts: ImageFacts) -> dict[str, Any]:
    """What stands beside the image, under the names of BIDS where it has one; nothing that is unknown."""
    plane = facts.plane
    found = {
        "ImageID": facts.image, "PatientID": facts.patient, "PatientSex": facts.sex, "PatientAge": facts.age,
        "InstitutionName": facts.site, "ManufacturersModelName": facts.device, "Modality": facts.modality,
        "View": facts.view, "Label": facts.label, "Split": facts.split, "Seed": facts.seed, "Set": facts.source,
        "SyntheticData": "YES" if facts.made == "generated" else None,
        "MadeBy": facts.maker if facts.made == "generated" else None,
        "SpacingKnown": plane is not None, "PlaceKnown": plane is not None and plane.directions is not None,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def _encoded(voxels: NDArray[Any], plane: Plane | None, intent: int) -> bytes:
    placed = None if plane is None else plane.affine()
    affine = _as_shown(plane) if placed is None else placed
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("unknown" if plane is None else "mm")
    if intent:
        image.header["intent_code"] = intent
    for name in ("sform", "qform"):
        getattr(image, f"set_{name}")(affine, ALIGNED if placed is None else SCANNER)
    return _zipped(image)


def _as_shown(plane: Plane | None) -> NDArray[np.float64]:
    affine = AS_SHOWN.copy()
    if plane is not None:
        affine[0, 0], affine[1, 1] = -plane.spacing[1], -plane.spacing[0]
        affine[2, 2] = plane.thickness or 1.0
    return affine


def _zipped(image: Any) -> bytes:
    return gzip.compress(image.to_bytes(), LEVEL, mtime=0)
