"""What every encoder offers to the stages."""

from dataclasses import dataclass
from typing import Protocol

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

    def encode(self, images: ImageSet, progress: Progress) -> FeatureSet:
        """The features of ``images``, ``[n, dimension]`` float32, in the order of its rows.

        Takes 1 or 3 channels, uint8 or uint16. Row i depends on image i only: to 1e-5 of the typical feature whatever
        the images beside it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderStatus:
    """Whether the weights of an encoder are at hand; ``detail`` says where they are or how to get them."""

    encoder: str
    present: bool
    detail: str
