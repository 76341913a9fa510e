"""What the foreign families share: digests and a card in place of a training, checks before the first image."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from synthassay.errors import UserError
from synthassay.generators.devices import torch_device
from synthassay.generators.foreign.files import Files, open_files
from synthassay.generators.foreign.sampler import ForeignModel, ForeignSampler, check_output
from synthassay.generators.foreign.specs import PretrainedSpec
from synthassay.generators.foreign.weights import check_pinned, read_weights
from synthassay.generators.protocol import Sampler
from synthassay.generators.training.checkpoint import MODEL_CARD, write_card
from synthassay.records import UNLABELLED_NAMES, ImageSet, Progress
from synthassay.specs import Resources


class PretrainedFamily(ABC):
    """Base of the foreign families; a :class:`~synthassay.generators.protocol.TrainedFamily` that trains nothing."""

    spec: PretrainedSpec

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}  # sha256 of every file of weights that was read

    @abstractmethod
    def model(self, files: Files, device: torch.device) -> ForeignModel:
        """The model in ``files``; :class:`~synthassay.errors.UserError` for what is not supported."""

    def digest(self) -> str:
        """sha256 (hex) of the files that decide the images."""
        return open_files(self.spec.path).digest()

    def fit(self, train: ImageSet, workdir: Path, *, seed: int, resources: Resources, progress: Progress) -> None:
        """Check that the model loads and suits ``train``'s shape and labels; leave a card with digests.

        Nothing is trained and no weights are copied: :meth:`load` reads them where they lie. ``seed`` plays no part.
        """
        workdir.mkdir(parents=True, exist_ok=True)
        files = open_files(self.spec.path)
        model = self.model(files, torch_device(resources))
        shape = train.pixels.shape[1:]
        check_output(self.spec, model.output_shape, shape)
        self._check_labels(model, train.label_names)
        card = {
            "family": self.spec.to_key()["kind"],
            "shape": shape,
            "label_names": train.label_names,
            "noise_shape": model.noise_shape,
            "output_shape": model.output_shape,
            "range": model.range,
            "digest": files.digest(),
            "weights": self.digests,
        }
        write_card(workdir, card)

    def load(self, workdir: Path, resources: Resources, snapshot: int | None = None) -> Sampler:
        """The sampler of the files whose digest the card in ``workdir`` holds; they have no snapshots."""
        if snapshot is not None:
            raise UserError(f"{self.spec.name} was trained elsewhere and has no snapshots to choose from.")
        card = _card(workdir)
        files, device = open_files(self.spec.path), torch_device(resources)
        if files.digest() != card["digest"]:
            raise UserError(f"the files of {self.spec.name} (generator.path) changed while the run was under way.\n"
                            "Run the same command again.")  # fmt: skip
        return ForeignSampler(
            model=self.model(files, device),
            spec=self.spec,
            shape=tuple(card["shape"]),
            label_names=tuple(card["label_names"]),
            device=device,
        )

    def snapshots(self, workdir: Path) -> tuple[int, ...]:
        """None: the files hold one state."""
        return ()

    def check(self, workdir: Path) -> None:
        """Hold the digests on the card against ``sha256`` once more: the card may be older than the setting."""
        check_pinned(_card(workdir)["weights"], self.spec.sha256)

    def weights(self, files: Files, name: str) -> Mapping[str, Any]:
        """What the file of weights ``name`` holds, after a check of its digest."""
        data = files.read(name, self.spec.max_bytes)
        self.digests[name] = hashlib.sha256(data).hexdigest()
        check_pinned(self.digests, self.spec.sha256)
        return read_weights(data, name)

    def _check_labels(self, model: ForeignModel, names: tuple[str, ...]) -> None:
        labels = self.spec.labels
        if model.classes is None and labels:
            raise UserError(f"{self.spec.name} takes no class, so generator.labels cannot be followed; set it to null.")
        if names == UNLABELLED_NAMES and model.classes is not None:
            raise UserError(f"{self.spec.name} draws images of one of {model.classes} classes, and the cohort has no "
                            "labels.\nSay where they stand: cohort.table.path or cohort.label.source.")  # fmt: skip
        if model.classes is not None and not labels:
            raise UserError(f"{self.spec.name} draws images of one of {model.classes} classes.\nSay which class each "
                            "label of the cohort is: generator.labels='{"
                            + ", ".join(f"{name}: INDEX" for name in names) + "}'.")  # fmt: skip
        for name, index in (labels or {}).items():
            if name not in names:
                raise UserError(f"generator.labels names {name!r}; the cohort's labels are "
                                f"{', '.join(map(repr, names))}.")  # fmt: skip
            if not 0 <= index < (model.classes or 0):
                raise UserError(f"generator.labels: {name!r} is class {index}, and {self.spec.name} has the classes 0 "
                                f"to {(model.classes or 0) - 1}.")  # fmt: skip


def _card(workdir: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((workdir / MODEL_CARD).read_text(encoding="utf-8"))
    return card
