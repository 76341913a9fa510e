"""Settings of the memorisation assessment. Pydantic only: importing this file stays fast."""

from typing import Literal, Self

from pydantic import Field, model_validator

from synthassay.specs import Spec

CopyKind = Literal["exact", "mirrored", "rotated", "noise", "jpeg"]


class MemorisationSpec(Spec):
    """How copies of training patients are looked for, and what it takes to say that there are none.

    The defaults of ``pixel_size`` and ``pixel_blur`` were chosen on brain MRI slices, where they find nearly all copies
    rotated by 5 degrees. ``min_recall``, ``min_panel_patients`` and ``min_control_patients`` follow from what a sample
    can show; ``tolerated_share`` has no precedent and is a project default. Raises ``ValueError`` for a kind of copy
    that is named twice.
    """

    kind: Literal["memorisation"] = "memorisation"
    neighbours: int = Field(5, ge=1)  # train patients, after the nearest, whose mean distance is the ratio's scale
    false_alarms: float = Field(0.01, gt=0, lt=0.5)  # share of control A's images that the threshold may flag
    pixel_size: int = Field(32, ge=4)  # rows and columns of the pixel space
    pixel_blur: float = Field(1.0, ge=0)  # standard deviation of its Gaussian blur, in pixels of that size
    panel_kinds: tuple[CopyKind, ...] = ("exact", "mirrored", "rotated", "noise")  # positive control: planted copies
    panel_patients: int = Field(200, ge=1)  # train patients per kind of copy in the panel, where there are as many
    min_panel_patients: int = Field(35, ge=1)  # fewer per kind cannot show a recall of 0.9 with 95% confidence
    min_recall: float = Field(0.9, gt=0, lt=1)  # lower bound below which "no copying found" is not said
    tolerated_share: float = Field(0.02, ge=0, lt=1)  # "no copying found" needs the copied share's upper limit below it
    min_control_patients: int = Field(100, ge=1)  # control A and B together; fewer are insufficient evidence
    replicates: int = Field(2000, ge=200)  # of every bootstrap

    @model_validator(mode="after")
    def _kinds_differ(self) -> Self:
        if len(set(self.panel_kinds)) != len(self.panel_kinds):
            raise ValueError(f"panel_kinds names a kind of copy twice: {list(self.panel_kinds)}")
        return self
