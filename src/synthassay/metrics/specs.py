"""Settings of the fidelity metrics."""

from typing import Literal

from pydantic import Field, field_validator

from synthassay.specs import Spec

LABEL_COLUMN = "label"
SET_LEVEL = (
    "clipped_density", "clipped_coverage", "kid_subsets", "cmmd", "mmd_rbf", "frechet_infinity", "frd", "vendi",
    "mifid", "c_t", "tail_copies",
)  # fmt: skip
KNOWN_COLUMNS = (LABEL_COLUMN, "site", "device", "view", "sex", "age_band")


class FidelitySpec(Spec):
    """How a set is compared with real images. Everything here changes a result or its interval."""

    kind: Literal["fidelity"] = "fidelity"
    k: int = Field(default=5, ge=1, description="neighbours that make a neighbourhood; prdc's default is 5")
    replicates: int = Field(default=200, ge=20, description="half-samples of patients behind neighbour intervals")
    permutations: int = Field(default=1000, ge=100, description="exchanges of patients behind closer_to_train")
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    min_group_images: int = Field(default=20, ge=2, description="on the real and on the synthetic side")
    min_group_patients: int = Field(default=5, ge=2, description="on the real side")
    groups: tuple[str, ...] = (LABEL_COLUMN, "site", "device", "sex", "age_band")
    set_level: tuple[str, ...] = Field(default=SET_LEVEL, description="metrics computed once, over all images")

    @field_validator("set_level")
    @classmethod
    def _known_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in SET_LEVEL]
        if unknown or len(set(value)) != len(value):
            raise ValueError(f"set_level must be distinct metrics out of {', '.join(SET_LEVEL)}; got {list(value)}")
        return value

    @field_validator("groups")
    @classmethod
    def _known_columns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [column for column in value if column not in KNOWN_COLUMNS]
        if unknown or len(set(value)) != len(value):
            raise ValueError(f"groups must be distinct columns out of {', '.join(KNOWN_COLUMNS)}; got {list(value)}")
        return value
