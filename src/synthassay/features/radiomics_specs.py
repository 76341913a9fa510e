"""Settings of the radiomic features. Light: the libraries are imported when images are encoded."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from synthassay.features.specs import EncoderSpec
from synthassay.specs import Resources

if TYPE_CHECKING:
    from synthassay.features.radiomics import RadiomicEncoder


class RadiomicsSpec(EncoderSpec):
    """First-order and texture features, for the Fréchet radiomics distance; no network and no weights.

    The library is chosen here and never by what happens to be installed: the two give different features.
    """

    kind: Literal["radiomics"] = "radiomics"
    library: Literal["skimage", "pyradiomics"] = "skimage"
    levels: int = Field(32, ge=8, le=256)  # grey levels into which the full range of the pixels is cut

    @field_validator("levels")
    @classmethod
    def _whole_bins(cls, value: int) -> int:
        if 256 % value:
            raise ValueError(f"encoder.levels={value} does not divide the 256 values of 8-bit pixels; use 32")
        return value

    def build(self, resources: Resources) -> "RadiomicEncoder":
        """The encoder of :mod:`synthassay.features.radiomics`."""
        from synthassay.features.radiomics import radiomic_encoder

        return radiomic_encoder(self.library, self.levels, resources)
