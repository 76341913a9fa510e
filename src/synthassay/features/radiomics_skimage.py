"""First-order and texture features of one grey image with scikit-image: the set ``radiomics-skimage``.

- First order, on intensities in [0, 1]: moments, percentiles, and entropy and uniformity of the histogram of levels.
- Co-occurrence of levels (GLCM; Haralick et al. 1973) at 1, 2 and 4 pixels, symmetric; each property is averaged over
  four directions, so that it does not depend on how a scan lies.
- Local binary patterns (Ojala et al. 2002): shares of the rotation-invariant uniform codes of 8 neighbours at 1 and
  2 pixels on 8-bit intensities, which are finer than the levels because a code is an order and not a difference.

Minimum and maximum are left out, since one pixel decides them. So is the last share of each set of patterns: shares
add up to one, and a feature that follows from others makes every covariance singular.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

DISTRIBUTION = "scikit-image"  # its name on PyPI
PERCENTILES = (10, 25, 50, 75, 90)
DISTANCES = (1, 2, 4)  # pixels
ANGLES = tuple(quarter * math.pi / 4 for quarter in range(4))
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "ASM", "correlation", "entropy")
NEIGHBOURS, RADII = 8, (1, 2)
MIN_SIDE = 8  # pixels; twice the largest distance

FIRST_ORDER = ("mean", "sd", "skewness", "kurtosis", "energy", "mean_absolute_deviation", "entropy", "uniformity",
               *(f"percentile_{q}" for q in PERCENTILES))  # fmt: skip


def feature_names() -> tuple[str, ...]:
    """The names of the features, in the order of :func:`features`."""
    return (
        *(f"firstorder_{name}" for name in FIRST_ORDER),
        *(f"glcm_{name}_{distance}" for name in PROPERTIES for distance in DISTANCES),
        *(f"lbp_{radius}_{code}" for radius in RADII for code in range(NEIGHBOURS + 1)),
    )


def features(pixels: NDArray[np.unsignedinteger], levels: int) -> NDArray[np.float64]:
    """The features of ``pixels`` ``[h, w]``, uint8 or uint16 over the full range of the dtype."""
    bits = 8 * pixels.dtype.itemsize
    binned = ((pixels.astype(np.uint32) * levels) >> bits).astype(np.uint8)
    eight_bit = (pixels >> (bits - 8)).astype(np.uint8)
    return np.concatenate([_first_order(pixels, binned, levels), _co_occurrence(binned, levels), _patterns(eight_bit)])


def _first_order(
    pixels: NDArray[np.unsignedinteger], binned: NDArray[np.uint8], levels: int
) -> NDArray[np.float64]:  # fmt: skip
    values = pixels.astype(np.float64).ravel() / float(np.iinfo(pixels.dtype).max)
    mean = values.mean()
    centred = values - mean
    # Of a constant image the rounding of the mean would be standardised.
    spread = math.sqrt(float(np.mean(centred**2))) if pixels.min() < pixels.max() else 0.0
    skewness, kurtosis = (float(np.mean(centred**k)) / spread**k if spread else 0.0 for k in (3, 4))
    shares = np.bincount(binned.ravel(), minlength=levels) / binned.size
    taken = shares[shares > 0]
    return np.array([
        mean, spread, skewness, kurtosis, np.mean(values**2), np.mean(np.abs(centred)),
        -np.sum(taken * np.log2(taken)), np.sum(shares**2), *np.percentile(values, PERCENTILES),
    ])  # fmt: skip


def _co_occurrence(binned: NDArray[np.uint8], levels: int) -> NDArray[np.float64]:
    texture = _texture()
    matrices = texture.graycomatrix(binned, DISTANCES, ANGLES, levels=levels, symmetric=True)
    return np.concatenate([texture.graycoprops(matrices, name).mean(axis=1) for name in PROPERTIES])


def _patterns(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    shares = []
    for radius in RADII:
        codes = _texture().local_binary_pattern(pixels, NEIGHBOURS, radius, method="uniform")
        inside = codes[radius:-radius, radius:-radius].astype(np.int64)  # nothing is known beyond the edge
        shares.append(np.bincount(inside.ravel(), minlength=NEIGHBOURS + 2)[:-1] / inside.size)
    return np.concatenate(shares)


def _texture() -> Any:
    from skimage import feature

    return feature
