"""Conditions as class indices: one index for each combination of values that the training images show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.conditioning.plan import condition_columns
from synthassay.generators.protocol import Conditions
from synthassay.records import ImageSet


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``classes[k]`` holds class k's value of each column in ``columns``, as text. Without columns there is one class.

    A joint class, rather than a sum of one embedding per column, is what MONAI's ``num_class_embeds`` takes; it also
    means that a combination which was never trained has no embedding and cannot be sampled by mistake.
    """

    columns: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, images: ImageSet, condition_on: Sequence[str]) -> Self:
        """The combinations present in ``images``, sorted."""
        rows = _as_text(condition_columns(images, condition_on), len(images))
        return cls(tuple(condition_on), tuple(sorted(set(rows))))

    def __len__(self) -> int:
        return len(self.classes)

    def encode(self, conditions: Conditions, n: int) -> NDArray[np.int64]:
        """Class indices ``[n]``; a missing column, another length or an unknown combination is a ``UserError``."""
        missing = [name for name in self.columns if name not in conditions]
        if missing:
            raise UserError(f"this generator is conditioned on {', '.join(self.columns)}; no {missing[0]} was given")
        rows = _as_text({name: np.asarray(conditions[name]) for name in self.columns}, n)
        known = {values: k for k, values in enumerate(self.classes)}
        for row in rows:
            if row not in known:
                raise UserError(self._unknown(row))
        return np.array([known[row] for row in rows], np.int64)

    def _unknown(self, row: tuple[str, ...]) -> str:
        asked = ", ".join(f"{name}={value!r}" for name, value in zip(self.columns, row, strict=True))
        seen = "; ".join("/".join(values) for values in self.classes[:8])
        more = f"; and {len(self) - 8} more" if len(self) > 8 else ""
        return f"{asked}: the training images of this generator had no such combination.\nThey had: {seen}{more}."


def _as_text(columns: Conditions | dict[str, NDArray[Any]], n: int) -> list[tuple[str, ...]]:
    for name, values in columns.items():
        if len(values) != n:
            raise UserError(f"conditions: {name} has {len(values)} values for {n} images; give one for each")
    texts = [[str(value) for value in values.tolist()] for values in columns.values()]
    return list(zip(*texts, strict=True)) if texts else [()] * n
