"""What every encoder offers to the stages."""

from dataclasses import dataclass
from typing import Literal, Protocol

from synthassay.records import FeatureSet, Identity, ImageSet, Progress


class Encoder(Protocol):
    """Turns images into features. Making one is cheap: the network is loaded at the first :meth:`encode`."""

    @property
    def name(self) -> str:
        """Short name for tables, for example ``"efficientnet-lite0"``."""

    @property
    def identity(self) -> Identity:
        """Everything that changes a feature: weights digest, layer, channel rule, resize rule, normalisation, dtype."""

    @property
    def dimension(self) -> int:
        """Features per image."""

    @property
    def spatial(self) -> Literal[2, 3]:
        """2 for an encoder of images, 3 for one of volumes."""

    def encode(self, images: ImageSet, progress: Progress) -> FeatureSet:
        """The features of ``images``, ``[n, dimension]`` float32, in the order of its rows.

        Row i depends on image i only: to 1e-5 of the typical feature whatever the images beside it. Pixels are uint8
        or uint16. Grey is repeated to the channels that a network takes and three channels are read as RGB, unless
        the identity says otherwise; with any other number each channel is encoded as a grey image and their features
        stand beside each other, ``[n, channels · dimension]``. An encoder of images takes slices of volumes through
        :class:`~synthassay.features.sliced.SlicedEncoder`, and an encoder of volumes takes volumes only.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderStatus:
    """Whether the weights of an encoder are at hand; ``detail`` says where they are or how to get them."""

    encoder: str
    present: bool
    detail: str
