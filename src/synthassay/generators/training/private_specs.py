"""Settings of differentially private training."""

from typing import Literal, Self

from pydantic import Field, model_validator

from synthassay.specs import Spec


class DpSpec(Spec):
    """DP-SGD (Abadi et al. 2016, arXiv 1607.00133) whose unit is the patient.

    Each step draws every patient with the same probability, clips the gradient of each to ``clip``, and adds noise of
    deviation ``noise·clip`` to their sum. ``patients`` takes the place of ``training.batch_size``.
    """

    kind: Literal["dp"] = "dp"
    epsilon: float | None = Field(default=8.0, gt=0)  # of the whole training; None: what follows from noise
    noise: float | None = Field(default=None, gt=0)  # deviation over clip; None: the least that keeps to epsilon
    delta: float | None = Field(default=None, gt=0, lt=1)  # None: 1 / (10 · patients of generator-train)
    clip: float = Field(default=1.0, gt=0)  # largest norm of one patient's gradient
    patients: int = Field(default=32, ge=1)  # expected in a step; their number varies, as Poisson sampling wants
    views: int = Field(
        default=4, ge=1
    )  # rows of a patient in a step, each with noise of its own: images in random order
    accountant: Literal["prv", "rdp"] = "prv"  # of Opacus; prv is the tighter, rdp the faster
    secure: bool = False  # draw patients and noise from the operating system, so that nobody can draw them again

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.epsilon is None) == (self.noise is None):
            raise ValueError(
                f"epsilon={self.epsilon} and noise={self.noise}: give one of them and set the other to null"
            )
        return self
