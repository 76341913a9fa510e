from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from numpy.typing import NDArray

from synthassay.cohorts.phantom.simulate import write_phantom
from synthassay.cohorts.phantom.specs import PhantomSpec, SitePlan
from synthassay.records import SilentProgress


def phantom_of(patients: tuple[int, ...], **changes: object) -> PhantomSpec:
    """The default phantom with that many patients a site, and other changes."""
    plans = PhantomSpec().sites[: len(patients)]
    sites = tuple(plan.model_copy(update={"patients": n}) for plan, n in zip(plans, patients, strict=True))
    return PhantomSpec(**{"size": 64, "sites": sites, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Written:
    """A phantom on disk, read back."""

    spec: PhantomSpec
    out: Path
    truth: pd.DataFrame
    noise_free: NDArray[np.float32]
    masks: NDArray[np.uint8]

    def header(self, row: int) -> pydicom.FileDataset:
        return pydicom.dcmread(self.out / "dicom" / self.truth.file[row])

    def values(self) -> NDArray[np.float32]:
        """Rescaled pixel values of every image, in row order."""
        scans = [self.header(row) for row in range(len(self.truth))]
        return np.stack([scan.pixel_array * float(scan.RescaleSlope) for scan in scans]).astype(np.float32)


def read_back(spec: PhantomSpec, out: Path) -> Written:
    truth = out / "truth"
    return Written(spec, out, pd.read_parquet(truth / "truth.parquet"), np.load(truth / "noise_free.npy"),
                   np.load(truth / "masks.npy"))  # fmt: skip


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """120 patients of three hospitals, one or two studies each, one or two slices a study."""
    spec = phantom_of((50, 40, 30), studies=(1, 2), images_per_study=(1, 2))
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(spec, out, SilentProgress())
    return read_back(spec, out)


@pytest.fixture
def tiny() -> PhantomSpec:
    """Six patients, so that a test may write it several times."""
    return phantom_of((3, 3), size=32, studies=(1, 2))


@pytest.fixture
def site() -> SitePlan:
    return PhantomSpec().sites[0]
