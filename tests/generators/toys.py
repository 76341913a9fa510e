"""Volumes and settings for tests of networks that are as small as can be."""

import numpy as np

from synthassay.generators.diffusion.family_specs import DiffusionSpec, EdmSpec, FlowSpec
from synthassay.generators.diffusion.specs import FLOW_SAMPLING, SamplingSpec
from synthassay.generators.latent.specs import AutoencoderSpec, LatentEdmSpec, LatentFlowSpec
from synthassay.generators.networks.specs import UNetSpec
from synthassay.generators.specs import TrainingSpec
from synthassay.records import ImageSet

SPECS: dict[str, type[DiffusionSpec]] = {
    "edm": EdmSpec, "flow": FlowSpec, "latent_edm": LatentEdmSpec, "latent_flow": LatentFlowSpec,
}  # fmt: skip


def toy_volumes(n: int = 24, shape: tuple[int, ...] = (8, 16, 16), masks: bool = False) -> ImageSet:
    """Ellipsoids on a dark ground, dim for label 0 and bright for label 1; also images, by a shape of two sides."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 2
    grid = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    column = (n, *[1] * len(shape))
    body = np.sqrt(sum(axis**2 for axis in grid))[None] < random.uniform(0.4, 0.8, column)
    images = np.clip(0.1 + body * (0.3 + 0.5 * labels.reshape(column)) + random.normal(0, 0.02, (n, *shape)), 0, 1)
    ids = np.array([f"v{i}" for i in range(n)])
    return ImageSet(
        name="toy", origin="real", pixels=np.rint(images[:, None] * 255).astype(np.uint8), ids=ids, patients=ids,
        labels=labels.astype(np.int64), label_names=("dim", "bright"), masks=body.astype(np.uint8) if masks else None,
        mask_names=("background", "body") if masks else (),
    )  # fmt: skip


def tiny_spec(kind: str, *, condition_on: tuple[str, ...] = ("label",), steps: int = 8, first: int = 8,
              **changes: object) -> DiffusionSpec:  # fmt: skip
    """Settings of a diffusion family; ``first``: steps of the autoencoder of a latent one."""
    training = TrainingSpec(steps=steps, batch_size=8, warmup_steps=2, log_every=2, learning_rate=2e-3, snapshots=2)
    latent = kind.startswith("latent")
    network = UNetSpec(
        patch=1 if latent else 2, channels=(8, 16), res_blocks=(1, 1), attention=(False, True), norm_groups=4,
        head_channels=8,
    )  # fmt: skip
    sampling = (FLOW_SAMPLING if kind.endswith("flow") else SamplingSpec()).model_copy(update={"steps": 4})
    if latent:
        own = training.model_copy(update={"steps": first, "snapshots": 1})
        changes = {"autoencoder": AutoencoderSpec(
            channels=(8, 16), norm_groups=4, latent_channels=2, discriminator_width=8, discriminator_layers=1,
            training=own,
        )} | changes  # fmt: skip
    return SPECS[kind](network=network, sampling=sampling, training=training, condition_on=condition_on,
                       sample_batch=4, **changes)  # fmt: skip
