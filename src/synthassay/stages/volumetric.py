"""What is said where a part of the line meets volumes that it cannot work on."""

from synthassay.errors import UserError
from synthassay.features.domain_specs import DomainSpec
from synthassay.records import ImageSet
from synthassay.stages.context import RunSpec


def is_volumetric(images: ImageSet) -> bool:
    """Whether the pixels are ``[n, c, d, h, w]``."""
    return images.pixels.ndim == 5


def check_parts(images: ImageSet, spec: RunSpec) -> None:
    """Raises :class:`UserError` for an encoder of ``spec`` that cannot work on ``images``."""
    if is_volumetric(images) and any(isinstance(e, DomainSpec) for e in (spec.encoder, *spec.also_encode)):
        raise UserError("encoder=domain learns from images, and the cohort holds volumes (cohort.dimensions=3).\n"
                        "Choose another encoder, or prepare slices: cohort.dimensions=2.")  # fmt: skip
