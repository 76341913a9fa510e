"""Encoders of images on volumes, "2.5D": the mean of the features of slices along all three axes."""

from dataclasses import replace
from typing import Literal

import numpy as np

from synthassay.errors import UserError
from synthassay.features.protocol import Encoder
from synthassay.records import FeatureSet, Identity, ImageSet, Progress, identity

PLACES = (0.25, 0.5, 0.75)  # along each axis; the outer slices of most volumes are empty
AXES = (2, 3, 4)  # of [n, c, d, h, w]
SUFFIX = "-2.5d"


class SlicedEncoder:
    """An :class:`~synthassay.features.protocol.Encoder` of volumes made of one of images.

    Nine slices of a volume, three across each axis, are encoded as images, and their features are averaged: one row a
    volume, so that volumes stay what is counted and patients what is resampled. Slices across the third axis show
    what slices across the other two are stacked to. What three slices an axis do not show is not seen, and neither is
    which of the axes a feature came from.
    """

    spatial: Literal[2, 3] = 3

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.name = encoder.name + SUFFIX
        self.identity: Identity = _identity(encoder.identity)

    @property
    def dimension(self) -> int:
        """Features per volume."""
        return self.encoder.dimension

    def encode(self, images: ImageSet, progress: Progress) -> FeatureSet:
        """The features of ``images``; see :meth:`synthassay.features.protocol.Encoder.encode`."""
        if images.pixels.ndim != 5:
            raise UserError(f"{images.name}: found images, but {self.name} takes volumes [n, c, d, h, w]")
        parts = [
            self.encoder.encode(_slices(images, axis, place), progress) for axis in AXES for place in PLACES
        ]  # fmt: skip
        mean = np.stack([part.features for part in parts]).mean(0, np.float64)
        return replace(
            parts[0], name=images.name, features=mean.astype(np.float32), encoder=self.name,
            encoder_identity=_identity(parts[0].encoder_identity), content_id=images.content_id,
        )  # fmt: skip


def _identity(parts: Identity) -> Identity:
    places = "/".join(f"{place:g}" for place in PLACES)
    return identity(**dict(parts) | {"volumes": f"mean over slices at {places} of each of three axes"})


def _slices(images: ImageSet, axis: int, place: float) -> ImageSet:
    """The slice at ``place`` of every volume, across ``axis``."""
    index = round(place * (images.pixels.shape[axis] - 1))
    pixels = np.ascontiguousarray(np.take(images.pixels, index, axis))
    return replace(
        images, name=f"{images.name}, slice {index} across axis {axis - 2}", pixels=pixels, masks=None, mask_names=(),
        content_id="slices",
    )  # fmt: skip
