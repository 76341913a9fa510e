"""Settings of the encoders. Light: torch is imported when a spec is built."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from synthassay.features.protocol import Encoder
from synthassay.specs import Resources, Spec

if TYPE_CHECKING:
    from synthassay.features.encoders import NetworkEncoder

__all__ = [
    "ClipSpec", "Dinov2Spec", "EfficientNetLite0Spec", "Encoder", "EncoderSpec", "FidInceptionSpec", "MedicalNetSpec",
    "RadDinoSpec", "RadImageNetSpec", "TorchXRayVisionSpec",
]  # fmt: skip


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
    resize: Literal["tf1", "clean", "antialias"] = "tf1"  # of torch-fidelity, clean-fid, torchmetrics from 1.8
    weights: str | None = Field(None, exclude=True)  # None: from the cache, else downloaded into it

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.inception`."""
        from synthassay.features.inception import fid_inception

        return fid_inception(self.resize, self.weights, resources)


class PublishedSpec(EncoderSpec):
    """Base of encoders with published weights.

    ``weights`` is a path, and no part of a key: the digest decides. ``sha256`` is the digest of weights of the user's
    own in the same format, and part of the key; without it the file has to be the published one.
    """

    weights: str | None = Field(None, exclude=True)  # None: from the cache, else downloaded into it
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")


def _whole_patches(value: int) -> int:
    if value % 14:
        raise ValueError(f"encoder.resolution={value} is not a multiple of 14, the side of a patch")
    return value


Patches = Annotated[int, Field(ge=56, le=1036), AfterValidator(_whole_patches)]  # side of an image in pixels


class Dinov2Spec(PublishedSpec):
    """DINOv2 ViT-B/14 (768 features) or ViT-L/14 (1,024), trained on photographs without labels."""

    kind: Literal["dinov2-vitb14", "dinov2-vitl14"] = "dinov2-vitb14"
    resolution: Patches = 224

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.vit`."""
        from synthassay.features.vit import dinov2

        return dinov2(self.kind, self.resolution).encoder(self.weights, self.sha256, resources)


class RadDinoSpec(PublishedSpec):
    """RAD-DINO, a DINOv2 ViT-B/14 trained on chest radiographs; 768 features."""

    kind: Literal["rad-dino"] = "rad-dino"
    resolution: Patches = 518

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.vit`."""
        from synthassay.features.vit import rad_dino

        return rad_dino(self.resolution).encoder(self.weights, self.sha256, resources)


class ClipSpec(PublishedSpec):
    """The image embedding of CLIP ViT-L/14-336, on which CMMD is defined; 768 features."""

    kind: Literal["clip-vitl14-336"] = "clip-vitl14-336"

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.vit`."""
        from synthassay.features.vit import clip

        return clip().encoder(self.weights, self.sha256, resources)


class RadImageNetSpec(PublishedSpec):
    """ResNet-50 trained on RadImageNet (CT, MRI, ultrasound); 2,048 features."""

    kind: Literal["radimagenet-resnet50"] = "radimagenet-resnet50"
    resolution: int = Field(224, ge=64, le=512)

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.convnets`."""
        from synthassay.features.convnets import radimagenet

        return radimagenet(self.resolution).encoder(self.weights, self.sha256, resources)


class TorchXRayVisionSpec(PublishedSpec):
    """DenseNet-121 of torchxrayvision, trained on seven sets of chest radiographs; 1,024 features."""

    kind: Literal["torchxrayvision"] = "torchxrayvision"

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.convnets`."""
        from synthassay.features.convnets import torchxrayvision

        return torchxrayvision().encoder(self.weights, self.sha256, resources)


class MedicalNetSpec(PublishedSpec):
    """MedicalNet's 3-D ResNet for volumes; 512 features of a channel, 2,048 from depth 50."""

    kind: Literal["medicalnet"] = "medicalnet"
    depth: Literal[10, 18, 34, 50] = 50
    resolution: int = Field(128, ge=32, le=512)  # side of the cube in voxels at which the network sees a volume
    intensity: Literal["fixed", "zscore"] = "fixed"  # zscore: each volume by its own voxels, as MedicalNet was trained

    def build(self, resources: Resources) -> "NetworkEncoder":
        """The encoder of :mod:`synthassay.features.medicalnet`."""
        from synthassay.features.medicalnet import medicalnet

        return medicalnet(self.depth, self.resolution, self.intensity, self.weights, self.sha256, resources)
