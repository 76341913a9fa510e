"""An image as its reader found it → the shape and dtype of the cohort's, changed only as far as the settings allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthassay.errors import UserError
from synthassay.generators.external.specs import ExternalSpec
from synthassay.scans.resampling import boxed


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


def resized(plane: NDArray[Any], size: Sequence[int], fit: str) -> NDArray[Any]:
    """``[c, (d,) h, w]`` at another size by the cohort's rule: images are resampled, volumes cropped and padded."""
    if len(size) == 3:
        return np.stack([boxed(channel, size, None, 0.0) for channel in plane])
    height, width = size
    return _resampled(_squared(plane, height / width, fit), (height, width))


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


def _squared(plane: NDArray[Any], ratio: float, how: str) -> NDArray[Any]:
    """``[c, h, w]`` brought to ``h / w = ratio`` by the cohort's rule: central crop, padding with 0, or as it is."""
    height, width = plane.shape[1:]
    if how == "crop":
        rows, columns = min(height, round(width * ratio)), min(width, round(height / ratio))
        top, left = (height - rows) // 2, (width - columns) // 2
        return plane[:, top : top + rows, left : left + columns]
    if how == "pad":
        more = (max(0, round(width * ratio) - height), max(0, round(height / ratio) - width))
        return np.pad(plane, ((0, 0), *((extra // 2, extra - extra // 2) for extra in more)))
    return plane


def _resampled(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Pillow's bilinear filter, which averages when it shrinks: what cohorts are resampled with."""
    channels = [Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32)) for channel in plane]
    resized = [c.resize((size[1], size[0]), Image.Resampling.BILINEAR) for c in channels]
    return np.stack([np.asarray(c, np.float32) for c in resized])
