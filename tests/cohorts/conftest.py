"""Tiny trees of scans, written by the tests themselves."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from synthassay.cohorts.prepare import prepare_cohort
from synthassay.cohorts.specs import CohortSpec, DicomSpec, ImagesSpec, LabelSpec, NiftiSpec, TableSpec
from synthassay.records import Cohort, SilentProgress
from synthassay.specs import Resources
from tests.scans.dicom_files import save_dicom, texture, uid

CONF = Path(__file__).parents[2] / "conf"
SERIAL = Resources(workers=1)
Prepare = Callable[..., Cohort]
Tree = Callable[..., Path]


def save_volume(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    """One NIfTI volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


@pytest.fixture
def dicom_tree(tmp_path: Path) -> Tree:
    """``dicom_tree(patients=20)`` writes one image per patient, two sites, and ``labels.csv`` (file, label)."""

    def write(patients: int = 20, sites: int = 2) -> Path:
        root, rows = tmp_path / "scans", []
        for number in range(patients):
            file = f"p{number:03d}.dcm"
            save_dicom(
                root / file, texture(number), PatientID=f"PID-{number:04d}", PatientName=f"Planted^Name{number}",
                StudyInstanceUID=uid("study", number), SeriesInstanceUID=uid("series", number),
                InstitutionName=("North Hospital", "South Hospital")[number % sites],
            )  # fmt: skip
            rows.append({"file": file, "label": number // 2 % 2})
        pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)
        return root

    return write


@pytest.fixture
def image_tree(tmp_path: Path) -> Tree:
    """``image_tree(patients=10)`` writes two PNG images per patient and ``table.csv``."""

    def write(patients: int = 10) -> Path:
        root, rows = tmp_path / "images", []
        (root / "png").mkdir(parents=True)
        for number in range(2 * patients):
            file = f"png/{number:03d}.png"
            Image.fromarray(texture(number, shape=(24, 30, 3), top=256).astype(np.uint8)).save(root / file)
            rows.append({"path": file, "who": f"person-{number // 2}", "bad": number // 2 % 2, "years": 20 + number})
        pd.DataFrame(rows).to_csv(root / "table.csv", index=False)
        return root

    return write


@pytest.fixture
def bids_tree(tmp_path: Path) -> Tree:
    """``bids_tree(patients=8)`` writes BIDS volumes of 4 slices (the last one empty), masks and participants."""

    def write(patients: int = 8) -> Path:
        root, rows = tmp_path / "bids", []
        for number in range(patients):
            name = f"sub-{number:02d}"
            values = texture(number, shape=(16, 18, 4)).astype(np.float32) + 1
            values[:, :, 3] = 0
            values[0, 0, 0] = 0
            mask = np.zeros((16, 18, 4), np.uint8)
            mask[6:9, 6:9, 1] = 1
            save_volume(root / name / "anat" / f"{name}_FLAIR.nii.gz", values)
            save_volume(root / "derivatives" / "masks" / name / "anat" / f"{name}_mask.nii.gz", mask)
            rows.append({"participant_id": name, "site": "AB"[number % 2], "age": 30 + number, "sex": "M"})
        pd.DataFrame(rows).to_csv(root / "participants.tsv", sep="\t", index=False)
        return root

    return write


def _images_spec(**changes: Any) -> ImagesSpec:
    table = TableSpec(path="table.csv", file="path", patient="who", label="bad", age="years")
    settings = {"name": "pictures", "size": 8, "channels": 3, "table": table}
    return ImagesSpec(**{**settings, **changes})


def _bids_spec(**changes: Any) -> NiftiSpec:
    people = TableSpec(path="participants.tsv", join_on="patient", patient="participant_id", site="site", age="age",
                       sex="sex")  # fmt: skip
    label = LabelSpec(source="mask", name="tumour", mask="derivatives/masks/{folder}/{prefix}_mask.nii.gz")
    settings = {"name": "volumes", "size": 8, "include": ("sub-*",), "table": people, "label": label}
    return NiftiSpec(**{**settings, **changes})


def _dicom_spec(**changes: Any) -> DicomSpec:
    table = TableSpec(path="labels.csv", file="file", label="label")
    return DicomSpec(**{"name": "scans", "size": 8, "table": table, **changes})


@pytest.fixture
def scans() -> SimpleNamespace:
    """What the tests write scans with, and the settings that fit the trees of this file."""
    return SimpleNamespace(
        uid=uid, dicom=save_dicom, volume=save_volume, texture=texture,
        dicom_spec=_dicom_spec, images_spec=_images_spec, bids_spec=_bids_spec,
    )  # fmt: skip


@pytest.fixture(scope="session")
def shipped() -> Callable[..., CohortSpec]:
    """``shipped("nifti", "cohort.size=8")`` is a cohort of ``conf/`` with settings as on the command line."""

    def compose_one(name: str, *overrides: str) -> CohortSpec:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return instantiate(compose("config", [f"cohort={name}", *overrides]).cohort, _convert_="all")

    return compose_one


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """``prepare(spec, root, keys="keys")`` in a work folder of its own."""
    calls = iter(range(1000))

    def run(spec: CohortSpec, root: Path, keys: str = "keys") -> Cohort:
        workdir = tmp_path / f"work-{next(calls)}"
        return prepare_cohort(spec, root, tmp_path / keys, workdir, SERIAL, SilentProgress())

    return run
