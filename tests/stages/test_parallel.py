"""Jobs in processes of their own: the same bits, errors passed on, nothing left behind by a kill."""

import shutil
from pathlib import Path

from tests.whole_runs import synthassay

SETTINGS = ("generators=[gan,vae]", "out=null")


def test_two_processes_train_the_same_bits_as_one(finished: Path, tmp_path: Path) -> None:
    for kind in ("phantom", "prepare"):
        shutil.copytree(finished / "store" / kind, tmp_path / "store" / kind)
    done = synthassay(tmp_path, "train", "resources.threads=2", *SETTINGS)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "store" / "train").glob("*/model.safetensors"):
        twin = finished / "store" / "train" / path.parent.name / path.name
        assert path.read_bytes() == twin.read_bytes()
    assert len(list((tmp_path / "store" / "train").iterdir())) == 2


def test_an_error_in_a_process_is_a_short_message_and_keeps_the_other_training(finished: Path, tmp_path: Path) -> None:
    for kind in ("phantom", "prepare"):
        shutil.copytree(finished / "store" / kind, tmp_path / "store" / kind)
    settings = (
        *SETTINGS,
        "resources.threads=2",
        "budget.generators.vae.learning_rate=1e30",
        "budget.generators.vae.steps=40",
    )
    done = synthassay(tmp_path, "train", *settings)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "learning_rate" in done.stderr
