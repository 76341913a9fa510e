"""Conditions as tensors: codes for what is named, numbers for what is measured, planes for segmentation masks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from synthassay.errors import UserError
from synthassay.generators.conditioning.plan import MEASURED, condition_columns
from synthassay.generators.protocol import Conditions
from synthassay.records import MISSING, UNKNOWN_MASK, UNLABELLED, ImageSet

MASK = "mask"


class Condition(NamedTuple):
    """What a batch of images is conditioned on. Anything may be missing, in training and in sampling."""

    codes: Tensor  # [b, k] int64: per named column 1 + the index of its value; 0 where it is missing
    values: Tensor  # [b, v] float32: per measured column a number in [0, 1]; NaN where it is missing
    masks: Tensor  # [b, m, (d,) h, w] float32: 1 where a mask is known, then one plane for each of its classes

    def rows(self, part: slice | Tensor) -> "Condition":
        """The conditions of some rows."""
        return Condition(self.codes[part], self.values[part], self.masks[part])

    def to(self, device: torch.device) -> "Condition":
        """The same on ``device``."""
        return Condition(*(part.to(device, non_blocking=True) for part in self))

    def without(self, missing: Tensor) -> "Condition":
        """The same with columns taken away: ``missing`` is ``[b, k + v + 1]`` bool, the mask last."""
        named = self.codes.shape[1]
        values = self.values.masked_fill(missing[:, named:-1], torch.nan)
        gone = missing[:, -1].view(-1, *[1] * (self.masks.ndim - 1))
        return Condition(self.codes.masked_fill(missing[:, :named], 0), values, self.masks.masked_fill(gone, 0.0))

    def dropped(self, uniform: Tensor, share: float) -> "Condition":
        """Each column is missing in ``share`` of the rows, and so is everything at once.

        ``uniform``: ``[b, k + v + 2]`` in [0, 1), the first column for everything at once. What was trained so can be
        sampled without a column, and without any, which is what classifier-free guidance needs (Ho and Salimans 2022,
        arXiv 2207.12598).
        """
        return self.without((uniform[:, 1:] < share) | (uniform[:, :1] < share))

    def beside(self, x: Tensor) -> Tensor:
        """``x`` ``[b, c, *s]`` and the mask planes as further channels.

        Masks of an image are finer than its latent: each cell then has the share of it that a plane covers.
        """
        if not self.masks.shape[1]:
            return x
        masks = self.masks
        if masks.shape[2:] != x.shape[2:]:
            masks = functional.interpolate(masks, x.shape[2:], mode="area")
        return torch.cat([x, masks], 1)

    def nothing(self) -> "Condition":
        """As many rows in which everything is missing."""
        n, named, measured = len(self.codes), self.codes.shape[1], self.values.shape[1]
        return self.without(torch.ones(n, named + measured + 1, dtype=torch.bool, device=self.codes.device))


class Columns(NamedTuple):
    """Conditions as arrays, one row an image: what :class:`Condition` is made of batch by batch."""

    codes: NDArray[np.int64]  # [n, k]
    values: NDArray[np.float32]  # [n, v]
    masks: NDArray[np.uint8] | None  # [n, (d,) h, w] class of each pixel, 255 where the mask is missing


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a generator is conditioned on, and which values its training images showed.

    Each column has a code of its own, so that a pair of values which never met in training can be asked for: a
    counterfactual keeps the patient and changes the device.
    """

    named: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()  # of each named column the values seen in training, as text, sorted
    measured: tuple[str, ...] = ()
    mask_classes: int = 0  # background included; 0: no mask

    @classmethod
    def of(cls, images: ImageSet, condition_on: Sequence[str]) -> Self:
        """The values present in ``images``; a column without any is a ``UserError``."""
        columns = condition_columns(images, condition_on)
        named = tuple(name for name in columns if name not in MEASURED and name != MASK)
        known = tuple(tuple(sorted(set(_as_text(name, columns[name])) - {MISSING})) for name in named)
        for name, values in zip(named, known, strict=True):
            if not values:
                source = "cohort.table.path and label" if name == "label" else "the cohort's settings"
                raise UserError(f"generator.condition_on names {name}, and no training image says what it is.\n"
                                f"Say where it stands ({source}), or leave it out: generator.condition_on="
                                f"[{','.join(other for other in columns if other != name)}].")  # fmt: skip
        measured = tuple(name for name in columns if name in MEASURED)
        return cls(named, known, measured, _mask_classes(images) if MASK in columns else 0)

    @classmethod
    def from_card(cls, kept: Mapping[str, Any]) -> Self:
        """The vocabulary that ``dataclasses.asdict`` and JSON made ``kept`` of."""
        known = tuple(tuple(values) for values in kept["known"])
        return cls(tuple(kept["named"]), known, tuple(kept["measured"]), kept["mask_classes"])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each named column."""
        return tuple(len(values) for values in self.known)

    @property
    def planes(self) -> int:
        """Planes of :attr:`Condition.masks`."""
        return self.mask_classes + 1 if self.mask_classes else 0

    @property
    def draws(self) -> int:
        """Numbers that :meth:`Condition.dropped` needs for each row."""
        return len(self.named) + len(self.measured) + 2

    def encode(self, conditions: Conditions, n: int) -> Columns:
        """Arrays of ``n`` rows; a column that ``conditions`` does not have is missing in all of them.

        Raises :class:`UserError` for a column of another length and for a value that training did not show.
        """
        for name, given in conditions.items():
            if len(given) != n:
                raise UserError(f"conditions: {name} has {len(given)} values for {n} images; give one for each")
        codes = np.zeros((n, len(self.named)), np.int64)
        for column, (name, known) in enumerate(zip(self.named, self.known, strict=True)):
            if name in conditions:
                codes[:, column] = _codes(name, _as_text(name, conditions[name]), known)
        values = np.full((n, len(self.measured)), np.nan, np.float32)
        for column, name in enumerate(self.measured):
            if name in conditions:
                values[:, column] = conditions[name]
        masks = np.asarray(conditions[MASK], np.uint8) if self.mask_classes and MASK in conditions else None
        if masks is not None and (wrong := set(np.unique(masks).tolist()) - {*range(self.mask_classes), UNKNOWN_MASK}):
            raise UserError(f"mask: class {min(wrong)} was not in the training masks, which had {self.mask_classes}"
                            " classes with the background.")  # fmt: skip
        return Columns(codes, values, masks)

    def condition(self, columns: Columns, spatial: tuple[int, ...]) -> Condition:
        """Tensors of ``columns`` on the CPU, for images of ``spatial`` size."""
        n = len(columns.codes)
        masks = columns.masks
        if masks is not None and masks.shape[1:] != spatial:
            raise UserError(f"a mask of {masks.shape[1:]} was given for images of {spatial}; they must have one size")
        if masks is None:
            planes = torch.zeros(n, self.planes, *spatial if self.planes else [1] * len(spatial))
        else:
            planes = mask_planes(torch.from_numpy(masks), self.mask_classes)
        return Condition(torch.from_numpy(columns.codes), torch.from_numpy(columns.values), planes)


def mask_planes(masks: Tensor, classes: int) -> Tensor:
    """``[b, (d,) h, w]`` uint8 classes → ``[b, classes + 1, (d,) h, w]`` float32: known, then one plane a class."""
    wanted = torch.arange(classes, device=masks.device, dtype=masks.dtype).view(1, -1, *[1] * (masks.ndim - 1))
    planes = masks.unsqueeze(1) == wanted
    return torch.cat([masks.unsqueeze(1) != UNKNOWN_MASK, planes], 1).float()


def _mask_classes(images: ImageSet) -> int:
    if not images.mask_known.any():
        raise UserError("generator.condition_on names mask, and no training image has one.\n"
                        "Leave it out of condition_on, or have the cohort keep its masks.")  # fmt: skip
    return len(images.mask_names)


def _codes(name: str, texts: Sequence[str], known: Sequence[str]) -> list[int]:
    index = {value: k for k, value in enumerate((MISSING, *known))}
    for text in texts:
        if text not in index:
            raise UserError(f"{name}={text!r}: the training images of this generator had no such value.\n"
                            f"They had: {_shown(known)}.")  # fmt: skip
    return [index[text] for text in texts]


def _shown(known: Sequence[str]) -> str:
    more = f"; and {len(known) - 8} more" if len(known) > 8 else ""
    return "; ".join(known[:8]) + more


def _as_text(name: str, values: Iterable[Any]) -> list[str]:
    texts = [str(value) for value in np.asarray(values).tolist()]
    missing = str(UNLABELLED) if name == "label" else MISSING
    return [MISSING if text == missing else text for text in texts]
