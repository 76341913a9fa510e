"""Where images are compared: a copy-robust pixel space, and the features of an encoder."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import from_numpy
from torch.nn.functional import interpolate

from synthassay.records import FeatureSet, Identity, ImageSet, content_digest, identity

PIXEL = "pixel"
_BLOCK = 256  # images that are resized at once
_FLAT = 1e-6  # standard deviation under which an image counts as empty


@dataclass(frozen=True, slots=True)
class Space:
    """One image set as points, so that Euclidean distance says how alike two images are.

    ``vectors`` is ``[n, d]`` float32, finite. ``patients`` ``[n]`` is the resampling unit of each row, as in
    :class:`~synthassay.records.ImageSet`. ``name`` is the set's name, ``encoder`` the space's (``"pixel"`` or an
    encoder), ``definition`` what must be equal for two points to be comparable, ``content_id`` that of the images.
    Raises ``ValueError`` for other shapes, for integers (differences of unsigned bytes wrap) and for NaN.
    """

    name: str
    vectors: NDArray[np.float32]
    patients: NDArray[np.str_]
    encoder: str = PIXEL
    definition: Identity = ()
    content_id: str = ""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32:
            raise ValueError(f"Space.vectors must be [n, d] float32, got {self.vectors.shape} {self.vectors.dtype}")
        if len(self.patients) != len(self.vectors):
            raise ValueError(f"Space.patients has {len(self.patients)} rows, expected {len(self.vectors)}")
        if not np.isfinite(self.vectors).all():
            raise ValueError(f"Space {self.name!r} holds values that are not finite")
        if not self.content_id:
            object.__setattr__(self, "content_id", content_digest(self.vectors))

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def n_patients(self) -> int:
        """How many different patients (or other units) the rows come from."""
        return len(np.unique(self.patients))


def pixel_space(images: ImageSet, size: int = 32, blur: float = 1.0) -> Space:
    """Images as small, slightly blurred pictures of zero mean and unit deviation each.

    Averaging over areas and blurring (``blur`` is a standard deviation in pixels of the small picture) keep a copy
    near its original although it was rotated by a few degrees or noise was added; standardising each picture over all
    its channels does so for brightness and contrast. Images smaller than ``size`` keep their size. An empty image
    becomes the zero vector. Returns vectors ``[n, c * size * size]``, of volumes ``[n, c * size * size * size]``.
    """
    sides = [min(size, side) for side in images.pixels.shape[2:]]
    vectors = np.empty((len(images), images.pixels.shape[1] * math.prod(sides)), np.float32)
    done = 0
    for block in _float_blocks(images):
        small = interpolate(from_numpy(block), size=sides, mode="area").numpy()
        if blur:
            small = gaussian_filter(small, (0, 0, *[blur] * len(sides)), mode="nearest")
        vectors[done : done + len(block)] = _standardised(small.reshape(len(block), -1))
        done += len(block)
    grid = "x".join(map(str, sides))
    definition = identity(space="pixel", size=grid, resize="area", blur=blur, scale="image mean and sd")
    return Space(images.name, vectors, images.patients, PIXEL, definition, images.content_id)


def _float_blocks(images: ImageSet) -> Iterator[NDArray[np.float32]]:
    """Pixels as floats in [0, 1], converted before any arithmetic: differences of unsigned integers would wrap."""
    for start in range(0, len(images), _BLOCK):
        yield images.pixels[start : start + _BLOCK].astype(np.float32) / np.float32(images.pixel_max)


def _standardised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.where(deviation > _FLAT, centred / np.maximum(deviation, _FLAT), 0.0)
    return scaled


def feature_space(features: FeatureSet) -> Space:
    """Encoder features scaled to unit length, so that distance is a monotone function of cosine similarity."""
    length = np.linalg.norm(features.features.astype(np.float64), axis=1, keepdims=True)
    vectors = (features.features / np.maximum(length, 1e-12)).astype(np.float32)
    parts: dict[str, Any] = {f"encoder_{name}": value for name, value in features.encoder_identity}
    definition = identity(space=features.encoder, scale="unit length", **parts)
    return Space(features.name, vectors, features.patients, features.encoder, definition, features.content_id)


def mirrored_images(images: ImageSet) -> ImageSet:
    """The images reflected left to right, in the same order: the second half of what copies are searched in."""
    return replace(
        images, name=f"{images.name}/mirrored", pixels=np.ascontiguousarray(images.pixels[..., ::-1]), masks=None,
        mask_names=(), content_id="",
    )  # fmt: skip
