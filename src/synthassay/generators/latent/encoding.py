"""The latents of the training images: computed once, kept for a resumed training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synthassay.errors import UserError
from synthassay.generators.devices import autocast
from synthassay.generators.latent.autoencoder import Autoencoder
from synthassay.generators.specs import Precision
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.scaling import Standardiser
from synthassay.team import current_team
from synthassay.tensorfiles import read_tensors, write_tensors

LATENTS = ".latents.safetensors"  # begins with a dot: the store drops it, since latents are images of patients
BLOCK = 16  # images encoded at once; fixed, since rounding may depend on it


@dataclass(frozen=True, slots=True)
class Encoded:
    """``latents`` ``[n, k, *s]`` float32 on the CPU or the device, and the error of decoding them."""

    latents: Tensor
    error: float  # mean |x̂ − x|, of the full range


def encoded(
    autoencoder: Autoencoder, data: TrainingData, folder: Path, fingerprint: str, precision: Precision,
    block: int = BLOCK,
) -> Encoded:  # fmt: skip
    """The mean latent of every image of ``data``, from ``folder`` where an earlier call left them.

    ``block``: how many are encoded at once. Alone, an image has the same latent to the bit whatever the others are.
    """
    path = folder / LATENTS
    tensors, header = read_tensors(path) if path.exists() else ({}, {})
    if header.get("fingerprint") == fingerprint:
        latents, error = tensors["latents"], float(header["error"])
    else:
        latents, error = _computed(autoencoder, data, precision, block)
        if current_team().rank == 0:
            write_tensors(path, {"latents": latents}, {"fingerprint": fingerprint, "error": error})
    return Encoded(latents.to(data.device), error)


@torch.inference_mode()
def _computed(autoencoder: Autoencoder, data: TrainingData, precision: Precision, block: int) -> tuple[Tensor, float]:
    parts, total = [], 0.0
    for start in range(0, len(data), block):
        images, _ = data.batch(np.arange(start, min(start + block, len(data))))
        with autocast(data.device, precision):
            mean, _ = autoencoder.encode(images)
            again = autoencoder.decode(mean)
        scaled = data.standardiser.inverse(again) - data.standardiser.inverse(images)
        total += float(scaled.abs().double().flatten(1).mean(1).sum())
        parts.append(mean.cpu())
    return torch.cat(parts).clone(), total / len(data)


def moments(latents: Tensor) -> Standardiser:
    """Mean and deviation of each channel of ``[n, k, *s]``."""
    axes = [0, *range(2, latents.ndim)]
    wide = latents.double().cpu()
    mean, std = wide.mean(axes), wide.std(axes, correction=0)
    if float(std.min()) < 1e-6:
        raise UserError(f"channel {int(std.argmin())} of the autoencoder's latents is constant; nothing can be learnt "
                        "from it.\nLower autoencoder.kl_weight or autoencoder.latent_channels.")  # fmt: skip
    return Standardiser(tuple(mean.tolist()), tuple(std.tolist()))
