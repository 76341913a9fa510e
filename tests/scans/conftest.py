"""NIfTI files that the tests write themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import open_file, read_volume
from synthassay.scans.volumes import Volume

Save = Callable[..., Path]
Read = Callable[..., Volume]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """``save(values, affine, "a.nii.gz", kind=nib.Nifti1Image)`` writes one file."""

    def write(
        values: np.ndarray,
        affine: np.ndarray | None = None,
        name: str = "a.nii.gz",
        kind: Any = nib.Nifti1Image,
    ) -> Path:
        image = kind(values, np.eye(4) if affine is None else affine, dtype=values.dtype)
        path = tmp_path / name
        nib.save(image, path)
        return path

    return write


@pytest.fixture
def read() -> Read:
    """``read(path, index=None, affine="best", **limits)``."""

    def through(path: Path, index: Any = None, affine: Any = "best", **limits: int) -> Volume:
        spec = LimitSpec(**limits)
        return read_volume(open_file(path, spec), spec, index, affine)

    return through
