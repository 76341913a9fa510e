"""Weights of a finished training as the start of another: pre-training on a public cohort or on the phantom."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Vocabulary
from synthassay.generators.training.checkpoint import AUTOENCODER, MODEL, MODEL_CARD
from synthassay.generators.training.learner import Learner
from synthassay.records import ImageSet
from synthassay.tensorfiles import read_tensors

logger = logging.getLogger(__name__)
TRAINED_ON = "trained_on"  # in a card: the sets of images that its weights have seen, one after another
_COLUMN = re.compile(r"(.*embedder\.)(named|measured)\.(\d+)\.weight")  # of conditioning.embedding.Embedder


def initial_card(folder: Path) -> dict[str, Any]:
    """The card of the training in ``folder``."""
    path = folder / MODEL_CARD
    if not path.is_file() or not (folder / MODEL).is_file():
        raise UserError(f"generator.init_from={folder} holds no finished training ({MODEL} and {MODEL_CARD}).\n"
                        "Give the folder that `synthassay train` left in the store, or its key.")  # fmt: skip
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return card


def initial_digest(folder: Path) -> str:
    """sha256 (hex) of the weights in ``folder``, those of an autoencoder among them, and of their card."""
    initial_card(folder)
    paths = tuple(path for path in (folder / MODEL, folder / MODEL_CARD, folder / AUTOENCODER / MODEL) if path.exists())
    return _digest(paths, tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths))


@lru_cache(maxsize=16)
def _digest(paths: tuple[Path, ...], _seen: tuple[tuple[int, int], ...]) -> str:
    """Of files as they were seen last: every key of a run asks for it, and weights are large."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()


def sources(folder: Path) -> list[dict[str, str]]:
    """Name and content id of every set of images that the weights in ``folder`` were trained on, the first first."""
    found: list[dict[str, str]] = initial_card(folder).get(TRAINED_ON, [])
    return found


def refuse_the_same_images(name: str, folder: Path, images: ImageSet) -> None:
    """Raises :class:`UserError` where the weights in ``folder`` have seen ``images`` before."""
    if any(source["content_id"] == images.content_id for source in sources(folder)):
        raise UserError(f"{name}: generator.init_from was trained on the images that private=dp is to protect, so that "
                        "nothing could be promised.\nGive a training on other, public images.")  # fmt: skip


def start_from(name: str, learner: Learner, folder: Path, kind: str, vocabulary: Vocabulary) -> None:
    """Set the network of ``learner``, and its averages, to the weights in ``folder``.

    Condition columns that the two trainings share are taken value by value; columns and values that are new keep their
    initial weights, and a log message says so. ``name`` is the generator's, ``kind`` its family's.
    Raises :class:`UserError` for another family or network.
    """
    card = initial_card(folder)
    if card.get("family") != kind:
        raise UserError(f"{name}: generator.init_from holds weights of {card.get('family')!r}, and this is {kind!r}.")
    known = Vocabulary.from_card(card["conditions"])
    given = read_tensors(folder / MODEL)[0]
    live = learner.modules["live"]
    state = {key: value.clone() for key, value in live.state_dict().items()}
    for key, mine in state.items():
        column = _COLUMN.fullmatch(key)
        if column is not None:
            _take_column(mine, column, given, vocabulary, known)
        elif key in given and given[key].shape == mine.shape:
            mine.copy_(given[key])
        else:
            raise UserError(f"{name}: generator.init_from was trained with other network settings or another number of "
                            f"channels ({key} differs).\nUse those of that training here.")  # fmt: skip
    _tell(name, vocabulary, known)
    for module in [live, *(average.kept for average in learner.averages)]:
        module.load_state_dict(state)


def _take_column(
    mine: Tensor, column: re.Match[str], given: Mapping[str, Tensor], vocabulary: Vocabulary, known: Vocabulary
) -> None:
    prefix, kind, index = column[1], column[2], int(column[3])
    names, others = (vocabulary.named, known.named) if kind == "named" else (vocabulary.measured, known.measured)
    if names[index] not in others:
        return
    other = others.index(names[index])
    theirs = given[f"{prefix}{kind}.{other}.weight"]
    if kind == "measured":
        mine.copy_(theirs)
        return
    mine[0] = theirs[0]  # of a missing value
    for row, value in enumerate(vocabulary.known[index], start=1):
        if value in known.known[other]:
            mine[row] = theirs[1 + known.known[other].index(value)]


def _tell(name: str, vocabulary: Vocabulary, known: Vocabulary) -> None:
    shared = {column: set(values) for column, values in zip(known.named, known.known, strict=True)}
    for column, values in zip(vocabulary.named, vocabulary.known, strict=True):
        taken = sum(value in shared.get(column, ()) for value in values)
        if taken < len(values):
            logger.warning("%s: the initial weights know %d of %d values of %s; the others start anew",
                           name, taken, len(values), column)  # fmt: skip
    for column in set(vocabulary.measured) - set(known.measured):
        logger.warning("%s: the initial weights do not know %s, which starts anew", name, column)
