"""MS-SSIM of pairs of images: flat ones, opposite ones, repeated ones and noise."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from synthassay.metrics.ms_ssim import ms_ssim_diversity
from synthassay.metrics.selftest.checks import RELATIVE, Check, Place, exact
from synthassay.seeding import numpy_generator

METRIC = "ms_ssim"
SIDE = 44  # pixels: three scales
LUMINANCE, CONTRAST = 0.01**2, 0.03**2  # C₁ and C₂ of images in [0, 1]
SINGLE = 4 * 2.0**-24  # relative: MONAI takes variances as differences in single precision, four roundings each
NEAR_ZERO = 0.1
Pixels = NDArray[np.uint8]


def similar_images(place: Place) -> Iterator[Check]:
    """Sets whose pairs are known to be alike, opposite, or unrelated."""
    generator = numpy_generator("selftest", "similarity")
    smooth = gaussian_filter(generator.standard_normal((60, 1, SIDE, SIDE)), (0, 0, 2, 2), mode="wrap")
    different = np.clip(np.rint(128 + 400 * smooth), 0, 255).astype(np.uint8)

    def found(pixels: Pixels) -> float:
        return ms_ssim_diversity(pixels, generator=numpy_generator("selftest", "pairs"), device=place.device).value

    alike = found(np.repeat(different[:1], 40, axis=0))
    yield exact(METRIC, 1.0, alike, "one image, 40 times", RELATIVE)
    grey = np.array([51, 204], np.uint8)  # 0.2 and 0.8
    flat = np.broadcast_to(grey[:, None, None, None], (2, 1, 11, 11))
    yield exact(METRIC, (2 * 0.2 * 0.8 + LUMINANCE) / (0.2**2 + 0.8**2 + LUMINANCE), found(flat),
                "(2ab + C₁)/(a² + b² + C₁) for flat images a = 0.2 and b = 0.8", SINGLE / CONTRAST)  # fmt: skip
    negative = np.concatenate([different[:1], 255 - different[:1]])
    yield exact(METRIC, 0.0, found(negative), "an image and its negative: covariances below 0 count as 0")
    noise = (255 * generator.integers(0, 2, (200, 1, SIDE, SIDE))).astype(np.uint8)
    yield Check(METRIC, 0.0, NEAR_ZERO, found(noise), "independent noise: covariances of pairs average to 0")
    repeated = np.repeat(different[:6], 10, axis=0)
    higher = float(found(repeated) > found(different))
    yield exact(METRIC, 1.0, higher, "times that 6 images, repeated 10 times, are called more alike than 60 different")
