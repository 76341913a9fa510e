"""Two trainings behind one protocol: an autoencoder, then a diffusion or flow model of its latents."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.devices import autocast, place
from synthassay.generators.diffusion.family import DiffusionFamily, DiffusionLearner
from synthassay.generators.family import Family, Loaded, Shape, check_sides, given_standardiser
from synthassay.generators.latent.autoencoder import Autoencoder, AutoencoderLearner, latent_shape
from synthassay.generators.latent.encoding import BLOCK, encoded, moments
from synthassay.generators.latent.specs import LatentSpec
from synthassay.generators.sampling import Draw, Noise
from synthassay.generators.training.checkpoint import AUTOENCODER, MODEL
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.initial import initial_card
from synthassay.generators.training.loop import Pace, Training
from synthassay.generators.training.scaling import Standardiser
from synthassay.records import ImageSet, Progress
from synthassay.team import current_team
from synthassay.tensorfiles import read_tensors, write_tensors


class LatentFamily(Family):
    """``prior`` learns the latents of an autoencoder, standardised; what it draws is decoded."""

    one_network = True

    def __init__(self, spec: LatentSpec, prior: DiffusionFamily, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self.spec: LatentSpec = spec
        self.training = spec.training
        self.prior = prior

    def network(self, shape: Shape, vocabulary: Vocabulary) -> nn.Module:
        """The model of the latents of images of ``shape``."""
        return self.prior.network(self.noise_shape(shape), vocabulary)

    def learner(self, shape: Shape, vocabulary: Vocabulary, seed: int, device: torch.device) -> DiffusionLearner:
        """The second training's."""
        return self.prior.learner(self.noise_shape(shape), vocabulary, seed, device)

    def noise_shape(self, shape: Shape) -> Shape:
        """The noise is a latent; sides must be multiples of what autoencoder and network need together."""
        spec = self.spec
        check_sides(
            spec.name,
            shape,
            spec.autoencoder.factor * spec.network.multiple,
            "network.patch, or fewer network.channels or autoencoder.channels",
        )
        least = 3 * 2**spec.autoencoder.discriminator_layers
        if spec.autoencoder.adversarial_weight and min(shape[1:]) < least:
            raise UserError(f"{spec.name}: images are {'×'.join(map(str, shape[1:]))}, and the discriminator needs "
                            f"sides of at least {least}.\nSet fewer autoencoder.discriminator_layers, or "
                            "autoencoder.adversarial_weight=0.")  # fmt: skip
        return latent_shape(spec.autoencoder, shape)

    def prepared(
        self, data: TrainingData, folder: Path, fingerprint: str, progress: Progress
    ) -> tuple[TrainingData, Mapping[str, Any]]:
        """The latents of the images, each its mean, by an autoencoder that is trained first, or is given.

        Everything that follows from the first training is written once and read again when the second one is resumed.
        What a private training says of the latents (their scale) comes with the given autoencoder.
        """
        start, private = self.spec.init_from, self.spec.private is not None
        if start is None:
            autoencoder = self._autoencoder(data, folder / AUTOENCODER, fingerprint, progress)
        else:
            autoencoder = self._given(start / AUTOENCODER, data, folder / AUTOENCODER)
        precision = self.spec.autoencoder.training.precision
        found = encoded(autoencoder, data, folder, fingerprint, precision, 1 if private else BLOCK)
        scale = moments(found.latents) if start is None else given_standardiser(initial_card(start), "latent_")
        facts: dict[str, Any] = {
            "latent_shape": list(found.latents.shape[1:]),
            "latent_mean": scale.mean,
            "latent_std": scale.std,
        }
        if not private:
            facts["reconstruction_error"] = found.error  # over generator-train
        return replace(data, pixels=found.latents, pixel_max=1, standardiser=scale), facts

    def _standardiser(self, train: ImageSet) -> Standardiser:
        """That of the images which a given autoencoder was trained on, else of ``train``."""
        if self.spec.init_from is None:
            return super()._standardiser(train)
        return given_standardiser(initial_card(self.spec.init_from))

    def _given(self, source: Path, data: TrainingData, folder: Path) -> Autoencoder:
        """The autoencoder in ``source``, which stays as it is; ``folder`` receives a copy."""
        if not (source / MODEL).is_file():
            raise UserError(f"{self.spec.name}: generator.init_from holds no {AUTOENCODER}/{MODEL}.\n"
                            f"Give a finished training of {self.kind}, with its folder {AUTOENCODER}.")  # fmt: skip
        team = current_team()
        if team.rank == 0:
            folder.mkdir(exist_ok=True)
            write_tensors(folder / MODEL, read_tensors(source / MODEL)[0])
        team.wait()
        return self._read(folder, tuple(data.pixels.shape[1:]), data.device)

    def _autoencoder(self, data: TrainingData, folder: Path, fingerprint: str, progress: Progress) -> Autoencoder:
        folder.mkdir(exist_ok=True)
        shape: Shape = tuple(data.pixels.shape[1:])
        learner = AutoencoderLearner(self.spec.autoencoder, shape, data.seed, data.device)
        training = Training(
            name=f"{self.spec.name} autoencoder",
            learner=learner,
            data=data,
            spec=self.spec.autoencoder.training,
            condition_dropout=self.spec.condition_dropout,
            folder=folder,
            fingerprint=fingerprint,
            pace=replace(self.pace),
            progress=progress,
        )
        training.run()
        if training.team.rank == 0:
            write_tensors(folder / MODEL, learner.modules["average"].state_dict())
        training.team.wait()
        return self._read(folder, shape, data.device)

    def _read(self, folder: Path, shape: Shape, device: torch.device) -> Autoencoder:
        autoencoder = Autoencoder(self.spec.autoencoder, shape[0], len(shape) - 1)
        tensors, _ = read_tensors(folder / MODEL)
        try:
            autoencoder.load_state_dict(tensors)
        except RuntimeError as error:
            text = f"{AUTOENCODER}/{MODEL} was trained with other settings than generator.autoencoder has now.\n"
            raise UserError(text + "Train it again, or use the settings it was trained with.") from error
        return place(autoencoder.eval().requires_grad_(False), device)

    def choosable(self, snapshots: tuple[int, ...]) -> tuple[int, ...]:
        """The model of the latents' own."""
        return self.prior.choosable(snapshots)

    def weights(self, workdir: Path, snapshots: Sequence[int], step: int) -> dict[str, Tensor]:
        """The model of the latents' own."""
        return self.prior.weights(workdir, snapshots, step)

    def draw(self, loaded: Loaded) -> Draw:
        """What the model of the latents draws, decoded."""
        latents = self.prior.draw(loaded)
        scale = given_standardiser(loaded.card, "latent_")
        autoencoder = self._read(loaded.folder / AUTOENCODER, tuple(loaded.card["shape"]), loaded.device)

        def draw(noise: Noise, condition: Condition) -> Tensor:
            drawn = scale.restored(latents(noise, condition))
            with autocast(loaded.device, self.spec.autoencoder.training.precision):
                return autoencoder.decode(drawn)

        return draw
