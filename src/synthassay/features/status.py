"""Which encoders this machine can run, for ``synthassay doctor``."""

from synthassay.errors import UserError
from synthassay.features import convnets, domain, efficientnet, inception, medicalnet, vit
from synthassay.features.protocol import EncoderStatus
from synthassay.features.radiomics import radiomics_status
from synthassay.features.weights import PinnedFile, cache_folder, cached_weights


def encoder_status() -> list[EncoderStatus]:
    """One row per encoder. Checks the digests of what is in the cache; downloads nothing."""
    published = {inception.NAME: inception.WEIGHTS, **vit.WEIGHTS, **convnets.WEIGHTS}
    published |= {f"medicalnet-resnet{depth}": pinned for depth, pinned in medicalnet.WEIGHTS.items()}
    trained = "trained by a run on its own generator-train images"
    return [
        _efficientnet(),
        *(_published(name, pinned) for name, pinned in published.items()),
        EncoderStatus(encoder=domain.NAME, present=True, detail=trained),
        radiomics_status("skimage"),
        radiomics_status("pyradiomics"),
    ]


def _efficientnet() -> EncoderStatus:
    try:
        path = efficientnet.weights_path()
    except (UserError, ImportError) as error:
        return EncoderStatus(encoder=efficientnet.NAME, present=False, detail=str(error).splitlines()[0])
    return EncoderStatus(encoder=efficientnet.NAME, present=True, detail=f"installed with the package: {path.name}")


def _published(name: str, pinned: PinnedFile) -> EncoderStatus:
    path = cached_weights(pinned)
    if path is not None:
        return EncoderStatus(encoder=name, present=True, detail=str(path))
    size = f" ({pinned.size / 1e6:.0f} MB)" if pinned.size else ""
    how = "it is downloaded when first used" if pinned.direct else f"put it there: {pinned.url}"
    detail = f"{pinned.name}{size} is not in {cache_folder()}; {how}, or give encoder.weights=FILE"
    return EncoderStatus(encoder=name, present=False, detail=detail)
