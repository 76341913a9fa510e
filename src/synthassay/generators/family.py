"""What the trained families share: fitting, saving and loading around one learner and one network."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Vocabulary
from synthassay.generators.devices import place, torch_device
from synthassay.generators.memory import memory_of
from synthassay.generators.protocol import Sampler
from synthassay.generators.sampling import BatchSampler, Draw
from synthassay.generators.specs import GeneratorSpec, TrainingSpec
from synthassay.generators.training.checkpoint import MODEL, MODEL_CARD, write_card
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.initial import TRAINED_ON, initial_card, refuse_the_same_images, sources, start_from
from synthassay.generators.training.learner import Learner
from synthassay.generators.training.loop import Pace, Training, snapshot_name, snapshot_steps
from synthassay.generators.training.private import PrivateTraining
from synthassay.generators.training.scaling import Standardiser
from synthassay.records import ImageSet, Progress
from synthassay.specs import Resources, digest_of
from synthassay.tensorfiles import read_tensors, write_tensors

PRIVACY = "privacy"  # in the card: what a private training promises
Shape = tuple[int, ...]  # (c, h, w), of volumes (c, d, h, w)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A trained network, ready to be sampled from, and the states that it had on its way."""

    network: nn.Module
    device: torch.device
    standardiser: Standardiser
    snapshots: tuple[int, ...]  # after which steps; the last is the end of the training
    step: int  # that of ``network``
    at: Callable[[int], nn.Module]  # the network after one of them
    folder: Path  # of the training
    card: Mapping[str, Any]  # what its card says


class Family(ABC):
    """Base of the trained families; see :class:`~synthassay.generators.protocol.TrainedFamily` for the promises."""

    spec: GeneratorSpec
    training: TrainingSpec
    one_network: ClassVar[bool] = False  # what learns last is one network, which can start with given weights

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()

    @abstractmethod
    def network(self, shape: Shape, vocabulary: Vocabulary) -> nn.Module:
        """The network that sampling needs, for images of ``shape``; ``UserError`` for a size it cannot do."""

    @abstractmethod
    def learner(self, shape: Shape, vocabulary: Vocabulary, seed: int, device: torch.device) -> Learner:
        """Networks and optimisers with initial weights drawn from ``seed``, on ``device``."""

    @abstractmethod
    def draw(self, loaded: Loaded) -> Draw:
        """Noise ``[b, *noise_shape]`` and conditions → standardised images ``[b, *shape]``."""

    @abstractmethod
    def noise_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of the noise that one image of ``shape`` starts from."""

    def prepared(
        self, data: TrainingData, folder: Path, fingerprint: str, progress: Progress
    ) -> tuple[TrainingData, Mapping[str, Any]]:
        """What is learnt in place of the images, and what the card says of it; most families learn the images."""
        return data, {}

    def fit(self, train: ImageSet, workdir: Path, *, seed: int, resources: Resources, progress: Progress) -> None:
        """See :meth:`~synthassay.generators.protocol.TrainedFamily.fit`."""
        if len(train) == 0:
            raise UserError(f"{self.spec.name}: generator-train has no image; check the cohort's split")
        self._check_settings(train)
        workdir.mkdir(parents=True, exist_ok=True)
        device = torch_device(resources)
        vocabulary = Vocabulary.of(train, self.spec.condition_on)
        standardiser = self._standardiser(train)
        shape: Shape = train.pixels.shape[1:]
        fingerprint = digest_of({"spec": self.spec.training_key(), "seed": seed, "train": train.content_id})
        learner = self.learner(shape, vocabulary, seed, device)
        if self.spec.init_from is not None:
            start_from(self.spec.name, learner, self.spec.init_from, self.kind, vocabulary)
        data, facts = self.prepared(
            TrainingData.of(train, vocabulary, standardiser, seed, device), workdir, fingerprint, progress
        )
        training = Training(
            name=self.spec.name,
            learner=learner,
            data=data,
            spec=self.training,
            condition_dropout=self.spec.condition_dropout,
            folder=workdir,
            fingerprint=fingerprint,
            pace=replace(self.pace),
            progress=progress,
        )
        facts = {**facts, **self._history(train)}
        if self.spec.private is not None:
            training = PrivateTraining.of(training, self.spec.private, train.patients)
            facts[PRIVACY] = asdict(training.guarantee)
        training.run()
        if training.team.rank == 0:
            write_tensors(workdir / MODEL, learner.modules["average"].state_dict())
            self._write_card(workdir, shape, vocabulary, standardiser, fingerprint, facts)
        training.team.wait()

    def _check_settings(self, train: ImageSet) -> None:
        spec = self.spec
        if spec.init_from is not None and not self.one_network:
            raise UserError(f"{spec.name}: init_from is for families with one network (edm, ddpm, flow, vae and latent "
                            f"ones), not for {self.kind}.\nLeave it at null, or choose one of those.")  # fmt: skip
        if spec.init_from is not None and spec.private is not None:
            refuse_the_same_images(spec.name, spec.init_from, train)

    def _history(self, train: ImageSet) -> dict[str, Any]:
        """The images that the weights have seen in the end, and what they started with."""
        seen = {"name": train.name, "content_id": train.content_id}
        if self.spec.init_from is None:
            return {TRAINED_ON: [seen]}
        return {TRAINED_ON: [*sources(self.spec.init_from), seen], "initial_weights": self.spec.initial_weights}

    def _standardiser(self, train: ImageSet) -> Standardiser:
        """Of ``train``; where it is private, of what came before it, else fixed, so that it says nothing of anybody."""
        if self.spec.private is None:
            return Standardiser.of(train)
        if self.spec.init_from is not None:
            return given_standardiser(initial_card(self.spec.init_from))
        return Standardiser.fixed(train.pixels.shape[1])

    def load(self, workdir: Path, resources: Resources, snapshot: int | None = None) -> Sampler:
        """See :meth:`~synthassay.generators.protocol.TrainedFamily.load`."""
        card = self._read_card(workdir)
        shape: Shape = tuple(card["shape"])
        vocabulary, device = Vocabulary.from_card(card["conditions"]), torch_device(resources)

        def at(step: int) -> nn.Module:
            network = self.network(shape, vocabulary)
            self._fill(network, self.weights(workdir, card["snapshots"], step))
            return place(network.eval().requires_grad_(False), device)

        standardiser = given_standardiser(card)
        snapshots = tuple(card["snapshots"])
        step = snapshot or snapshots[-1]
        loaded = Loaded(at(step), device, standardiser, snapshots, step, at, workdir, card)
        return BatchSampler(
            draw=self.draw(loaded),
            noise_shape=self.noise_shape(shape),
            purpose=type(self.spec).__name__,
            vocabulary=vocabulary,
            standardiser=standardiser,
            image_shape=shape,
            rows=self.spec.sample_batch,
            device=device,
            memory=memory_of(device),
            most=resources.sampling_rows,
        )

    def snapshots(self, workdir: Path) -> tuple[int, ...]:
        """See :meth:`~synthassay.generators.protocol.TrainedFamily.snapshots`."""
        return self.choosable(tuple(self._read_card(workdir)["snapshots"]))

    def choosable(self, snapshots: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the kept ``snapshots`` that can be sampled from."""
        return snapshots

    def weights(self, workdir: Path, snapshots: Sequence[int], step: int) -> dict[str, Tensor]:
        """What is sampled from after ``step``, one of the ``snapshots``."""
        return read_tensors(workdir / (MODEL if step == snapshots[-1] else snapshot_name(step)))[0]

    def _fill(self, network: nn.Module, tensors: dict[str, Tensor]) -> None:
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            text = f"{MODEL} was trained with other network settings than those of {self.spec.name} now.\n"
            raise UserError(text + "Train it again, or use the settings it was trained with.") from error

    def _write_card(
        self, workdir: Path, shape: Shape, vocabulary: Vocabulary, standardiser: Standardiser, fingerprint: str,
        facts: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Written last: a folder with a card is complete."""
        card = {
            "family": self.kind,
            "shape": shape,
            "conditions": asdict(vocabulary),
            "mean": standardiser.mean,
            "std": standardiser.std,
            "steps": self.training.steps,
            "snapshots": snapshot_steps(self.training),  # the last of them is the model itself
            "fingerprint": fingerprint,
            **facts,
        }
        write_card(workdir, card)

    def _read_card(self, workdir: Path) -> dict[str, Any]:
        path = workdir / MODEL_CARD
        if not path.exists():
            raise UserError(f"there is no {MODEL_CARD} in the folder of {self.spec.name}; its training has not ended")
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if card.get("family") != self.kind:
            raise UserError(f"{MODEL_CARD} is of a {card.get('family')!r} generator, expected {self.kind!r}")
        return card

    @property
    def kind(self) -> str:
        """The family's name in files."""
        return str(type(self.spec).model_fields["kind"].default)


def given_standardiser(card: Mapping[str, Any], of: str = "") -> Standardiser:
    """The scale of images that ``card`` holds; ``of="latent_"``: that of latents."""
    return Standardiser(tuple(card[f"{of}mean"]), tuple(card[f"{of}std"]))


def check_sides(name: str, shape: Shape, multiple: int, remedy: str) -> None:
    """Raises :class:`UserError` for images whose sides a network cannot halve often enough."""
    sides = shape[1:]
    if any(side % multiple for side in sides):
        low = max(1, min(sides) // multiple) * multiple
        raise UserError(
            f"{name}: images are {'×'.join(map(str, sides))}, and this network needs sides that are multiples of "
            f"{multiple} ({low}, {low + multiple}, …).\nSet cohort.size to one of them, or choose a smaller {remedy}."
        )
