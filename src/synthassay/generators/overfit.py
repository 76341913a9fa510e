"""The overfitted reference: EDM diffusion on a few training images, which it learns by heart."""

from pathlib import Path

import numpy as np
from torch import nn

from synthassay.generators.diffusion.family import DiffusionFamily
from synthassay.generators.diffusion.objectives import Edm
from synthassay.generators.overfit_specs import OverfitSpec
from synthassay.records import ImageSet, Progress
from synthassay.seeding import numpy_generator
from synthassay.specs import Resources


class OverfitFamily(DiffusionFamily):
    """EDM that sees ``train_images`` images of generator-train, in every batch the same."""

    spec: OverfitSpec

    def objective(self, network: nn.Module) -> Edm:
        """Preconditioned denoising."""
        return Edm(network, self.spec.noise)

    def fit(self, train: ImageSet, workdir: Path, *, seed: int, resources: Resources, progress: Progress) -> None:
        """Train on a few of the images; see :meth:`~synthassay.generators.protocol.TrainedFamily.fit`."""
        few = few_images(train, self.spec.train_images, seed)
        super().fit(few, workdir, seed=seed, resources=resources, progress=progress)


def few_images(images: ImageSet, n: int, seed: int) -> ImageSet:
    """At most ``n`` images: patients in a seeded order, each with all images where these fit.

    Where no patient fits, the first in that order is taken alone, with all images. The draw depends on the grouping
    only, not on the pseudonyms.
    """
    patients = list(dict.fromkeys(images.patients.tolist()))
    chosen: list[int] = []
    order = [patients[i] for i in numpy_generator("overfit patients", seed).permutation(len(patients))]
    for patient in order:
        rows = np.flatnonzero(images.patients == patient).tolist()
        if len(chosen) + len(rows) <= n:
            chosen += rows
    if order and not chosen:
        chosen = np.flatnonzero(images.patients == order[0]).tolist()
    return images.take(np.array(sorted(chosen), np.int64))
