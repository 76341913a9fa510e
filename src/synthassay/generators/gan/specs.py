"""Settings of the GAN. Light: the networks are imported when a spec is built."""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from synthassay.generators.specs import GeneratorSpec, Name, TrainingSpec
from synthassay.specs import Spec

if TYPE_CHECKING:
    from synthassay.generators.protocol import TrainedFamily


class R3GanNetworkSpec(Spec):
    """Generator and discriminator after R3GAN; both use the same widths, the generator from the last to the first."""

    kind: Literal["r3gan"] = "r3gan"
    patch: Literal[1, 2, 4] = 2  # both networks work at 1/patch of the images' size, in patches that overlap by half
    channels: tuple[int, ...] = Field(default=(32, 64, 96, 128), min_length=2)  # finest level first, each half the last
    blocks: int = Field(default=1, ge=1)  # residual blocks per level
    expansion: int = Field(default=2, ge=1)  # inner width of a block over its outer width
    group_width: int = Field(default=16, ge=1)  # channels per group of the 3×3 convolutions
    latent_size: int = Field(default=64, ge=1)
    embedding_size: int = Field(default=64, ge=1)  # of the condition

    @model_validator(mode="after")
    def _grouped(self) -> Self:
        for width in self.channels:
            if (width * self.expansion) % self.group_width:
                raise ValueError(f"channels={list(self.channels)}: {width}·expansion={width * self.expansion} is not a "
                                 f"multiple of group_width={self.group_width}")  # fmt: skip
        return self


class AugmentationSpec(Spec):
    """What the discriminator sees images through (Karras et al. 2020, arXiv 2006.06676)."""

    kind: Literal["augmentation"] = "augmentation"
    limit: float = Field(default=0.8, ge=0, le=0.8)  # largest probability of each transform; 0: no augmentation
    start: float = Field(default=0.0, ge=0, le=0.8)  # probability at the first step
    target: float = Field(default=0.6, gt=0, lt=1)  # mean sign of D(real) − D(fake) above which it rises
    speed: int = Field(default=500_000, ge=1)  # images in which it goes from 0 to 1
    window: int = Field(default=1000, ge=1)  # images over which that sign is averaged
    flips: tuple[Literal[-1, -2, -3], ...] = (-1,)  # axes that may be mirrored; -1: left and right of an image
    turns: bool = False  # by quarters, in the plane of the last two axes, where it is square
    rotation: float = Field(default=15.0, ge=0, le=180)  # largest angle, degrees, in the same plane
    intensity: bool = True  # brightness and contrast

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start > self.limit:
            raise ValueError(f"start={self.start} must not be above limit={self.limit}")
        return self


class GanSpec(GeneratorSpec):
    """A GAN after R3GAN (Huang et al. 2024, arXiv 2501.05441), of images or of volumes."""

    not_private: ClassVar[str] = (
        "its discriminator learns by gradient penalties (R1, R2), whose gradients are second derivatives that would be "
        "needed of every patient alone, and its losses and augmentation compare patients with generated images"
    )

    kind: Literal["gan", "gan3d"] = "gan"  # the networks have as many dimensions as the images
    name: Name = "gan"
    network: R3GanNetworkSpec = R3GanNetworkSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    training: TrainingSpec = TrainingSpec(learning_rate=5e-4, gradient_clip=0.0, beta1=0.0)
    gamma: float = Field(default=1.0, ge=0)  # weight of R1 and of R2 at first; each adds gamma/2 · E|gradient|²
    gamma_end: float = Field(default=0.1, ge=0)  # after the burn-in
    burn_in: float = Field(default=0.5, ge=0, le=1)  # share of the steps in which gamma and beta2 go to their ends
    beta2_start: float = Field(default=0.9, ge=0, lt=1)  # of AdamW at first; goes to training.beta2
    penalty_every: int = Field(default=1, ge=1)  # steps from one penalty to the next, which weighs as much more

    def build(self) -> "TrainedFamily":
        """The GAN family."""
        from synthassay.generators.gan.family import GanFamily

        return GanFamily(self)
