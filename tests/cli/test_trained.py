"""Finding the training whose weights another one starts with."""

import json
from pathlib import Path

import pytest

from synthassay.cli.trained import training_folder
from synthassay.errors import UserError


def test_a_training_is_found_by_folder_key_or_run(tmp_path: Path) -> None:
    store, run = tmp_path / "store", tmp_path / "run"
    keys = {"edm": "ab12cd34" + "0" * 56, "vae": "ef56ab78" + "0" * 56}
    for kind, key in keys.items():
        (store / "train" / key).mkdir(parents=True)
        (store / "train" / key / "model.json").write_text(json.dumps({"family": kind}))
    run.mkdir()
    stages = [{"stage": "train", "key": key, "folder": f"train/{key}"} for key in keys.values()]
    (run / "run.json").write_text(json.dumps({"stages": stages}))
    wanted = store / "train" / keys["vae"]
    assert training_folder(str(wanted), store, "vae") == wanted
    assert training_folder("ef56ab78", store, "vae") == wanted
    assert training_folder(str(run), store, "vae") == wanted
    for wrong in ("0123456789", str(tmp_path / "nowhere"), "../train"):
        with pytest.raises(UserError, match="names no finished training of vae"):
            training_folder(wrong, store, "vae")
    with pytest.raises(UserError, match="no finished training of flow"):
        training_folder(str(run), store, "flow")
