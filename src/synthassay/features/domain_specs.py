"""Settings of the domain encoder. Light: torch is imported when it is trained or loaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from synthassay.errors import UserError
from synthassay.features.protocol import Encoder
from synthassay.features.specs import EncoderSpec
from synthassay.records import ImageSet, Progress
from synthassay.specs import Resources, Spec

if TYPE_CHECKING:
    from synthassay.features.encoders import NetworkEncoder


class ViewSpec(Spec):
    """How two views of an image may differ, so how alike two images are that the domain encoder need not tell apart.

    Each is drawn evenly from its range. 0 (``crop`` 1) switches a change off.
    """

    kind: Literal["views"] = "views"
    crop: float = Field(default=0.5, gt=0, le=1)  # smallest share of the area that is kept
    rotation: float = Field(default=10.0, ge=0, le=180)  # degrees to either side
    flip: bool = True  # left and right; switch it off where sides matter
    brightness: float = Field(default=0.1, ge=0, le=1)  # added, of the full range
    contrast: float = Field(default=0.2, ge=0, lt=1)  # relative change of the deviation from the image's mean
    noise: float = Field(default=0.02, ge=0, le=1)  # largest standard deviation, of the full range


class DomainSpec(EncoderSpec):
    """An encoder trained on the cohort's own generator-train images by contrast (SimCLR, Chen et al. 2020).

    It is trained by :meth:`train` and read by :meth:`load`; 8·``width`` features. ``seed`` is its own, so that runs
    with different seeds share one encoder.
    """

    kind: Literal["domain"] = "domain"
    width: int = Field(default=16, ge=8, le=128, multiple_of=8)  # channels of the first stage of the ResNet-18
    steps: int = Field(default=600, ge=1)
    batch_size: int = Field(default=32, ge=8)  # patients in a batch, one image of each; fewer when there are fewer
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=50, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    temperature: float = Field(default=0.2, gt=0)
    positives: Literal["image", "patient"] = "image"  # the second view: of the same image, or of any of its patient
    projection: int = Field(default=64, ge=8)  # width of the space that the loss sees, which is thrown away
    views: ViewSpec = Field(default_factory=ViewSpec)
    seed: int = 0

    def build(self, resources: Resources) -> Encoder:
        """An error: this encoder needs images first."""
        raise UserError("encoder=domain is trained on a cohort's generator-train images: it exists only within a run")

    def train(self, images: ImageSet, folder: Path, resources: Resources, progress: Progress) -> None:
        """Train on ``images`` and leave the encoder in ``folder``; a killed training goes on where it was."""
        from synthassay.features.domain_training import train_domain

        train_domain(self, images, folder, resources, progress)

    def load(self, folder: Path, resources: Resources) -> "NetworkEncoder":
        """The encoder that :meth:`train` left in ``folder``."""
        from synthassay.features.domain import domain_encoder

        return domain_encoder(folder, resources)
