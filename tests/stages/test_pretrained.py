"""Pretrained generators in the line: sampled on the phantom, known by their content, honest about their training."""

import json

import numpy as np
import pytest

from synthassay.generators.foreign.specs import MonaiBundleSpec
from tests.generators.foreign.made_up import dcgan_network, pickled, write_bundle, write_pipeline, write_zip
from tests.whole_runs import synthassay


def pixels(place):
    (path,) = (place / "store" / "sample").glob("*/pixels.npy")
    return np.load(path)


def card(place):
    (path,) = (place / "store" / "pretrained").glob("*/model.json")
    return json.loads(path.read_text())


SETTINGS = ("generator.resize=true", "generator.channels=match", "generator.sample_batch=8")


@pytest.mark.parametrize("kind", ["monai_bundle", "diffusers", "medigan"])
def test_each_family_is_sampled_on_the_phantom(kind, tmp_path):
    more = []
    if kind == "monai_bundle":
        path = write_bundle(tmp_path / "model", classes=2)
        more = ["generator.labels={no lesion: 1, lesion: 0}"]
    elif kind == "diffusers":
        pytest.importorskip("diffusers")
        path = write_pipeline(tmp_path / "model")
    else:
        path = write_zip(tmp_path / "model.zip", dcgan__pt=pickled(dcgan_network().state_dict()))
    settings = [f"generator={kind}", f"generator.path={path}", *SETTINGS, *more]
    ended = synthassay(tmp_path / "run", "sample", *settings)
    assert ended.returncode == 0, ended.stderr
    drawn = pixels(tmp_path / "run")
    assert drawn.std() > 0
    assert len(card(tmp_path / "run")["weights"]) == 1
    records = [p.read_text() for p in (tmp_path / "run" / "store").glob("*/*/*.json")]
    assert not any(str(path) in text for text in records)

    moved = path.rename(path.with_name("moved" + path.suffix))  # the same content elsewhere is the same generator
    settings[1] = f"generator.path={moved}"
    again = synthassay(tmp_path / "run", "sample", *settings)
    assert again.returncode == 0, again.stderr
    assert (pixels(tmp_path / "run") == drawn).all()


def test_what_does_not_fit_is_said_before_anything_is_trained(tmp_path):
    path = write_bundle(tmp_path / "model")
    ended = synthassay(tmp_path / "run", "sample", "generator=monai_bundle", f"generator.path={path}")
    assert ended.returncode == 2
    assert "generator.resize=true" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run" / "store" / "pretrained").exists()


def test_without_trained_on_nothing_is_claimed_about_copies(tmp_path):
    path = write_bundle(tmp_path / "model")
    ended = synthassay(
        tmp_path / "run", "score", "generator=monai_bundle", f"generator.path={path}", "also_encode.radiomics=null",
        *SETTINGS,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (rows,) = [
        rows for p in (tmp_path / "run" / "store" / "memorise").glob("*/results.json")
        if (rows := json.loads(p.read_text())) and json.loads((p.parent / "key.json").read_text())["spec"]["name"]
        == "monai_bundle"
    ]  # fmt: skip
    assert rows
    assert {row["status"] for row in rows} == {"insufficient evidence"}


def test_the_spec_is_found_by_its_name():
    assert MonaiBundleSpec().condition_on == ()
    assert MonaiBundleSpec(labels={"a": 0}).condition_on == ("label",)
