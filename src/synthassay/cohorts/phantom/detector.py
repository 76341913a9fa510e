"""The phantom's own lesion detector: a matched filter that needs no training, for tests that must know the answer."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label
from scipy.signal import fftconvolve
from scipy.special import expit

from synthassay.cohorts.phantom.lesion import EDGE_MM
from synthassay.cohorts.phantom.scene import pixel_spacing_mm

RADII_MM = (9.0, 12.0, 16.0)
REFERENCE = 1  # the radius whose discs set the scale
FLAT = 1e-6  # a spread below this is rounding, not anatomy
MARGIN_MM = 28.0  # from the skin: scalp, skull and cortex are brighter than many a lesion
SMALLEST_INTERIOR = 20  # pixels; with fewer there is no head in the image


def lesion_detector(images: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far the brightest lesion-sized disc inside the brain stands out from the brain's other discs.

    ``images`` ``[n, h, w]`` float in [0, 1], h = w, showing the phantom's whole field of view at any resolution.
    Returns ``[n]`` scores, higher is more likely a lesion: (largest - median) / (median - 10th percentile) of the mean
    over a disc. The lower half of the discs sets the scale, since a lesion moves only the upper; so a score does not
    change with the image's brightness and contrast. It is 0.0 where no head is found.
    Raises ``ValueError`` for another shape or dtype.
    """
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype.kind != "f":
        raise ValueError(f"images must be [n, h, h] float in [0, 1], got {images.shape} {images.dtype}")
    spacing = pixel_spacing_mm(images.shape[1])
    responses = [fftconvolve(images, _disc(radius, spacing)[None], mode="same", axes=(1, 2)) for radius in RADII_MM]
    scores = np.zeros(len(images))
    for row, image in enumerate(images):
        inside = brain_interior(image, spacing)
        if inside.sum() < SMALLEST_INTERIOR:
            continue
        low, middle = np.quantile(responses[REFERENCE][row][inside], (0.1, 0.5))
        largest = max(float(response[row][inside].max()) for response in responses)
        if middle - low > FLAT:
            scores[row] = (largest - middle) / (middle - low)
    return scores


def brain_interior(image: NDArray[np.floating], spacing_mm: float) -> NDArray[np.bool_]:
    """Pixels of ``image`` ``[h, w]`` that lie deeper than :data:`MARGIN_MM` under the skin; all false without a head.

    The head is the largest region above 30% of the image's bright end, its holes filled.
    """
    smooth = gaussian_filter(image.astype(np.float64), 3.4 / spacing_mm)
    head = binary_fill_holes(smooth > 0.3 * np.quantile(smooth, 0.98))
    regions, count = label(head)
    if count == 0:
        return np.zeros(image.shape, np.bool_)
    largest = int(np.bincount(regions.ravel())[1:].argmax()) + 1
    depth = distance_transform_edt(regions == largest) * spacing_mm
    return np.asarray(depth > MARGIN_MM)


def _disc(radius_mm: float, spacing_mm: float) -> NDArray[np.float64]:
    """The lesion's profile as a filter whose weights add up to 1."""
    reach = int(np.ceil((radius_mm + 3 * EDGE_MM) / spacing_mm))
    axis = np.arange(-reach, reach + 1) * spacing_mm
    weights = expit((radius_mm - np.hypot(axis[:, None], axis[None, :])) / EDGE_MM)
    return np.asarray(weights / weights.sum())
