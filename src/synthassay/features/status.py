"""Which encoders this machine can run, for ``synthassay doctor``."""

from synthassay.errors import UserError
from synthassay.features import efficientnet, inception
from synthassay.features.protocol import EncoderStatus
from synthassay.features.weights import cache_folder, cached_weights


def encoder_status() -> list[EncoderStatus]:
    """One row per encoder. Checks digests; downloads nothing."""
    return [_efficientnet(), _inception()]


def _efficientnet() -> EncoderStatus:
    try:
        path = efficientnet.weights_path()
    except (UserError, ImportError) as error:
        return EncoderStatus(encoder=efficientnet.NAME, present=False, detail=str(error).splitlines()[0])
    return EncoderStatus(encoder=efficientnet.NAME, present=True, detail=f"installed with the package: {path.name}")


def _inception() -> EncoderStatus:
    pinned = inception.WEIGHTS
    path = cached_weights(pinned)
    if path is not None:
        return EncoderStatus(encoder=inception.NAME, present=True, detail=str(path))
    detail = f"{pinned.name} is not in {cache_folder()}; it is downloaded when first used, or give encoder.weights=FILE"
    return EncoderStatus(encoder=inception.NAME, present=False, detail=detail)
