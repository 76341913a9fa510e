"""Settings of the choice between the snapshots of a training. Light: no array library is imported."""

from typing import Literal

from pydantic import Field

from synthassay.specs import Spec


class SelectSpec(Spec):
    """Which state of a training is sampled.

    ``kid-validation``: the snapshot whose images have the smallest KID against validation patients; of those within its
    standard error the last. ``last``: the end of the training, whatever it looks like. Test and control images take no
    part in either.
    """

    kind: Literal["select"] = "select"
    rule: Literal["kid-validation", "last"] = "kid-validation"
    images: int = Field(default=1000, ge=2)  # of each snapshot, and as many of validation; all if it has fewer
    min_patients: int = Field(
        default=10, ge=2
    )  # of validation; with fewer the last snapshot is sampled, and it is said
    min_images: int = Field(default=20, ge=2)  # the same
