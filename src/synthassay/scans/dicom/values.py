"""From stored values to rescaled units."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut, apply_rescale

from synthassay.scans.dicom.groups import functional


def rescaled(dataset: Any, frame: NDArray[Any], index: int) -> NDArray[np.float32]:
    """One grey frame ``[h, w]`` in rescaled units, MONOCHROME1 inverted; its own transformation before the shared."""
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        signed = int(dataset.PixelRepresentation) == 1
        # The mirror image within the stored range, so that equal values stay equal across files of one depth.
        frame = (-1 if signed else 2 ** int(dataset.BitsStored) - 1) - frame.astype(np.int64)
    transform = functional(dataset, index, "PixelValueTransformationSequence")
    values = apply_modality_lut(frame, dataset) if transform is None else apply_rescale(frame, transform)
    return np.asarray(values, np.float32)
