"""What is said where a part of the line meets volumes that it cannot work on."""

from synthassay.errors import UserError
from synthassay.features.domain_specs import DomainSpec
from synthassay.records import ImageSet
from synthassay.stages.context import RunSpec

FLAT_GENERATORS = ("gan",)  # families that make images only
_WORKS = (
    "Volumes are learnt by edm, ddpm, flow, vae, latent_edm and latent_flow; every encoder but domain takes them.\n"
    "For everything else prepare slices: cohort.dimensions=2."
)


def is_volumetric(images: ImageSet) -> bool:
    """Whether the pixels are ``[n, c, d, h, w]``."""
    return images.pixels.ndim == 5


def need_slices(images: ImageSet, what: str) -> None:
    """Raises :class:`UserError` for volumes; ``what`` is who cannot work on them, as the subject of a sentence."""
    if is_volumetric(images):
        raise UserError(f"{what} cannot work on volumes, and the cohort holds them (cohort.dimensions=3).\n{_WORKS}")


def check_parts(images: ImageSet, spec: RunSpec) -> None:
    """Raises :class:`UserError` for a generator or encoder of ``spec`` that cannot work on ``images``."""
    for generator in spec.generators:
        if generator.to_key()["kind"] in FLAT_GENERATORS:
            need_slices(images, f"the generator {generator.name}")
    if any(isinstance(encoder, DomainSpec) for encoder in (spec.encoder, *spec.also_encode)):
        need_slices(images, "encoder=domain")
