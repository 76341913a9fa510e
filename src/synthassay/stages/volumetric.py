"""What is said where a stage meets volumes that it cannot work on."""

from synthassay.errors import UserError
from synthassay.records import ImageSet

_WORKS = (
    "Volumes can be prepared, sampled (generator=external controls.copycat=null controls.blend=null) and encoded\n"
    "(encoder=medicalnet also_encode.radiomics=null). For everything else prepare slices: cohort.dimensions=2."
)


def is_volumetric(images: ImageSet) -> bool:
    """Whether the pixels are ``[n, c, d, h, w]``."""
    return images.pixels.ndim == 5


def need_slices(images: ImageSet, what: str) -> None:
    """Raises :class:`UserError` for volumes; ``what`` is who cannot work on them, as the subject of a sentence."""
    if is_volumetric(images):
        raise UserError(f"{what} cannot work on volumes, and the cohort holds them (cohort.dimensions=3).\n{_WORKS}")
