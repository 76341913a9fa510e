"""The features of one grey image with pyradiomics (van Griethuysen et al. 2017): the set ``radiomics-pyradiomics``.

All features that six of its classes compute by default, on the unfiltered image, with the whole image as the region of
interest. Intensities are measured in grey levels of the full range and binned with width 1, so that the edges of the
bins are the same for every image. Bins are numbered from the darkest one that an image has, as pyradiomics does it;
features that use the number itself, such as autocorrelation, shift with it.

frd-score extracts the same classes but standardises each image first, which hides a shift of intensity, halves its
resolution and adds wavelet images; values from its own extraction are another quantity.
"""

import logging
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

DISTRIBUTION = "pyradiomics"  # its name on PyPI
CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")
MIN_SIDE = 8  # pixels
SETTINGS = {"binWidth": 1, "force2D": True, "force2Ddimension": 0, "label": 1}


@cache
def _library() -> dict[str, Any]:
    """The feature classes by name."""
    import radiomics

    logging.getLogger("radiomics").setLevel(logging.ERROR)  # else a line for every image
    known = radiomics.getFeatureClasses()
    return {name: known[name] for name in CLASSES}


@cache
def feature_names() -> tuple[str, ...]:
    """The names of the features, in the order of :func:`features`."""
    return tuple(
        f"{name}_{feature}"
        for name, kind in _library().items()
        for feature, deprecated in kind.getFeatureNames().items()
        if not deprecated
    )


def features(pixels: NDArray[np.unsignedinteger], levels: int) -> NDArray[np.float64]:
    """The features of ``pixels`` ``[h, w]``, uint8 or uint16 over the full range of the dtype."""
    import SimpleITK

    values = pixels.astype(np.float32) * np.float32(levels / 2 ** (8 * pixels.dtype.itemsize))
    image = SimpleITK.GetImageFromArray(values[None])
    region = SimpleITK.GetImageFromArray(np.ones((1, *pixels.shape), np.uint8))
    found: dict[str, float] = {}
    for name, kind in _library().items():
        extractor = kind(image, region, **SETTINGS)
        extractor.enableAllFeatures()
        found |= {f"{name}_{feature}": float(value) for feature, value in extractor.execute().items()}
    return np.array([found[name] for name in feature_names()])
