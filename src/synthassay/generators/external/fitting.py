"""An image as its reader found it → the shape and dtype of the cohort's, changed only as far as the settings allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.fitting import resized


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every image of the cohort is: ``shape`` ``(c, (d,) h, w)``, and uint8 or uint16."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def fitted(
    plane: NDArray[Any], path: str, spec: ExternalSpec, wanted: Wanted, policy: Mapping[str, Any]
) -> NDArray[Any]:
    """``[c, (d,) h, w]``, 0 black and 1 white, in the shape and dtype of ``wanted``.

    Raises :class:`UserError`, which names ``path``, where ``spec`` does not allow what that takes.
    """
    channels, *size = wanted.shape
    advice = []
    if len(plane) != channels and spec.channels != "match":
        advice.append("set generator.channels=match to turn grey into RGB or three equal channels into grey")
    if list(plane.shape[1:]) != size and not spec.resize:
        advice.append("set generator.resize=true to resample")
    if advice:
        order = "channels × rows × columns" if len(size) == 2 else "channels × slices × rows × columns"
        raise UserError(f"{spec.name}: {path}: found {_shape(plane.shape)} ({order}), expected "
                        f"{_shape((channels, *size))};\n{', and '.join(advice)}.")  # fmt: skip
    if len(plane) != channels:
        plane = _rechannelled(plane, channels, path, spec)
    if list(plane.shape[1:]) != size:
        plane = resized(plane, size, str(policy.get("fit", "crop")))
    return np.rint(plane.clip(0, 1).astype(np.float64) * np.iinfo(wanted.dtype).max).astype(wanted.dtype)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _rechannelled(plane: NDArray[Any], channels: int, path: str, spec: ExternalSpec) -> NDArray[Any]:
    if len(plane) == 1:
        return np.repeat(plane, channels, axis=0)
    if channels != 1 or not (plane == plane[0]).all():
        raise UserError(f"{spec.name}: {path} is a colour image (its channels differ), and the cohort has {channels} "
                        "channel(s).\nConvert the set to grey, or prepare the cohort with cohort.channels=3."
                        )  # fmt: skip
    return plane[:1]
