"""Where the mask of a scan lies, and what its values mean."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.mask_specs import MaskSpec

NEAR = 1e-3  # scaled files hold 2.0000002


def mask_path(pattern: str, path: str, name: str, subject: str = "", session: str = "") -> str:
    """``label.mask`` filled in for the scan at ``path``; ``name`` is its file name without extension."""
    parts = {"folder": PurePosixPath(path).parent.as_posix(), "name": name, "prefix": name.rpartition("_")[0] or name,
             "subject": subject, "session": session}  # fmt: skip
    filled = re.sub(r"\{(\w+)\}", lambda match: parts.get(match[1], match[0]), pattern)
    return PurePosixPath(filled).as_posix()


def marked(mask: NDArray[Any], values: Sequence[int]) -> NDArray[np.bool_]:
    """Where a mask has one of ``values``; above 0 without any."""
    return np.isin(_whole(mask), list(values)) if values else mask > 0


def classes_of(mask: NDArray[Any], spec: MaskSpec) -> NDArray[np.uint8]:
    """The class index at each place of a mask."""
    if not spec.class_values:
        return (mask > 0).astype(np.uint8)
    classes, whole = np.zeros(mask.shape, np.uint8), _whole(mask)
    for number, value in enumerate(spec.class_values, 1):
        classes[whole == value] = number
    return classes


def _whole(mask: NDArray[Any]) -> NDArray[Any]:
    """The whole numbers that are meant; NaN for what lies between, as probabilities do."""
    rounded = np.rint(mask)
    return np.where(np.isclose(mask, rounded, atol=NEAR), rounded, np.nan)
