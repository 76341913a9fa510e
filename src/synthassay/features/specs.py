"""Settings of the encoders. Light: torch is imported when a spec is built."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from synthassay.features.protocol import Encoder
from synthassay.specs import Resources, Spec

if TYPE_CHECKING:
    from synthassay.features.encoders import NetworkEncoder

__all__ = ["EfficientNetLite0Spec", "Encoder", "EncoderSpec", "FidInceptionSpec"]


class EncoderSpec(Spec):
    """Base of every encoder's settings."""

    def build(self, resources: Resources) -> Encoder:
        """The encoder, after a check that its weights are there and are the right ones.

        Raises :class:`~synthassay.errors.UserError` when they are not.
        """
        raise NotImplementedError(f"{type(self).__name__} has no encoder")


class EfficientNetLite0Spec(EncoderSpec):
    """EfficientNet-Lite0 with ImageNet weights that come with the installation; 1,280 features, no network needed."""

    kind: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    resolution: int = Field(224, ge=64, le=512)  # side in pixels at which the network sees the images

    @field_validator("resolution")
    @classmethod
    def _whole_cells(cls, value: int) -> int:
        if value % 32:
            raise ValueError(f"encoder.resolution={value} is not a multiple of 32, the network's stride; use 224")
        return value

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.efficientnet`."""
        from synthassay.features.efficientnet import efficientnet_lite0

        return efficientnet_lite0(self.resolution, resources)


class FidInceptionSpec(EncoderSpec):
    """The Inception-v3 of the FID (Heusel et al. 2017, as ported by torch-fidelity); 2,048 features.

    ``weights`` is a path; it is no part of a key, because every file that passes the digest check is the same file.
    """

    kind: Literal["fid-inception"] = "fid-inception"
    weights: str | None = Field(None, exclude=True)  # None: from the cache, else downloaded into it

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.inception`."""
        from synthassay.features.inception import fid_inception

        return fid_inception(self.weights, resources)
