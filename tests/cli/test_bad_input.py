"""What goes wrong for users: one to three lines, exit code 2, no traceback, finished stages kept."""

import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from synthassay.cli.main import main
from tests.whole_runs import CONFIGS, synthassay

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Run a command that must be refused; returns its message."""
    monkeypatch.chdir(tmp_path)

    def run(*settings: str, verb: str = "run") -> str:
        places = [f"store.root={tmp_path / 'store'}", f"store.keyring={tmp_path / 'keys'}", f"out={tmp_path / 'out'}"]
        code = main([verb, "--config-dir", str(CONFIGS), "budget=tiny", "encoder.resolution=64", *places, *settings])
        error = capsys.readouterr().err
        assert code == 2, error
        assert "Traceback" not in error
        message = error[error.rindex("synthassay: ") :].strip()
        assert 1 <= len(message.splitlines()) <= 3, message
        return message

    return run


def pictures(root: Path, n: int = 40, *, patients: int | None = None, classes: int = 2, label: str = "dx") -> Path:
    """A folder of PNG with a table."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (32, 32)).astype(np.uint8)).save(root / f"{i:03d}.png")
    who = [f"P{i % (patients or n)}" for i in range(n)]
    table = {"path": [f"{i:03d}.png" for i in range(n)], "who": who, label: [i % classes for i in range(n)]}
    pd.DataFrame(table).to_csv(root / "metadata.csv", index=False)
    return root


def images(root: Path, *more: str) -> list[str]:
    columns = ["file=path", "patient=who", "label=dx", "path=metadata.csv"]
    for name in ("site", "device", "view", "age", "sex"):
        columns.append(f"{name}=null")
    return ["cohort=images", f"cohort.root={root}", "cohort.channels=1", *(f"cohort.table.{c}" for c in columns), *more]


def test_an_empty_folder(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = refused(
        "cohort=dicom", f"cohort.root={tmp_path / 'empty'}", "cohort.label.source=none", "cohort.table=null"
    )
    assert "no file" in message or "empty" in message


def test_no_readable_scan(refused: Refused, tmp_path: Path) -> None:
    root = tmp_path / "text"
    root.mkdir()
    for i in range(3):
        (root / f"{i}.dcm").write_text("not a scan")
    message = refused("cohort=dicom", f"cohort.root={root}", "cohort.label.source=none", "cohort.table=null")
    assert "3" in message


def test_a_table_without_the_label_column(refused: Refused, tmp_path: Path) -> None:
    message = refused(*images(pictures(tmp_path / "set", label="diagnosis")))
    assert "'dx'" in message
    assert "'diagnosis'" in message


def test_one_patient_only(refused: Refused, tmp_path: Path) -> None:
    assert "one patient" in refused(*images(pictures(tmp_path / "set", patients=1)))


def test_a_label_with_one_class(refused: Refused, tmp_path: Path) -> None:
    assert "class" in refused(*images(pictures(tmp_path / "set", classes=1)))


def test_a_cohort_too_small_to_split(refused: Refused, tmp_path: Path) -> None:
    assert "too few" in refused(*images(pictures(tmp_path / "set", 8, patients=4)))


def test_a_site_too_small_to_split(refused: Refused, tmp_path: Path) -> None:
    root = pictures(tmp_path / "set")
    table = pd.read_csv(root / "metadata.csv")
    table["hospital"] = ["north"] * 37 + ["south"] * 3
    table.to_csv(root / "metadata.csv", index=False)
    message = refused(*images(root, "cohort.table.site=hospital", "cohort.split.small_strata=error"))
    assert "south" in message
    assert "3 patients" in message


def test_volumes_that_hold_nan(refused: Refused, tmp_path: Path) -> None:
    root = tmp_path / "volumes"
    root.mkdir()
    for i in range(3):
        voxels = np.ones((16, 16, 4), np.float32)
        voxels[0, 0, 0] = np.nan
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), root / f"{i}.nii.gz")
    message = refused("cohort=nifti", f"cohort.root={root}", "cohort.label.source=none", "cohort.table=null")
    assert "NaN" in message


def test_an_absent_external_folder(refused: Refused) -> None:
    assert "generator.root" in refused("cohort=tiny_phantom", "generator=external", "generator.root=nowhere")


@pytest.mark.parametrize(("size", "channels", "expected"), [(48, 1, "resize"), (32, 3, "channels")])
def test_an_external_set_of_another_shape(
    finished: Path, tmp_path: Path, size: int, channels: int, expected: str
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    shape = (size, size) if channels == 1 else (size, size, 3)
    for i in range(6):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, shape).astype(np.uint8)).save(folder / f"{i}.png")
    done = synthassay(finished, "sample", "generator=external", f"generator.root={folder}")
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_weights_file_keeps_what_was_done(finished: Path, tmp_path: Path) -> None:
    before = set((finished / "store").glob("*/*"))
    done = synthassay(finished, "encode", "encoder=fid_inception", "~encoder.resolution", "encoder.weights=absent.pth")
    assert done.returncode == 2
    assert "absent.pth" in done.stderr
    assert before <= set((finished / "store").glob("*/*"))


def test_a_full_disk_keeps_finished_stages(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synthassay.stages import prepare

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(prepare, "save_cohort", full)
    message = refused("experiment=tiny", verb="prepare")
    assert "full" in message
    assert "store.root" in message
    assert list((tmp_path / "store" / "phantom").iterdir())


def test_a_store_that_may_not_be_written(refused: Refused, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "store").write_text("a file where the store should be")
    else:
        (tmp_path / "store").mkdir(mode=0o500)
    assert "store.root" in refused("experiment=tiny", verb="prepare")


def test_no_gpu_for_device_cuda(refused: Refused) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    assert "no CUDA GPU" in refused("experiment=tiny", "resources.device=cuda")
