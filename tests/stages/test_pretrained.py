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

    pinned = synthassay(tmp_path / "run", "sample", *settings, f"generator.sha256=['{'0' * 64}']")
    assert pinned.returncode == 2
    assert "not among generator.sha256" in pinned.stderr


def test_what_does_not_fit_is_said_before_anything_is_trained(tmp_path):
    path = write_bundle(tmp_path / "model")
    ended = synthassay(tmp_path / "run", "sample", "generator=monai_bundle", f"generator.path={path}")
    assert ended.returncode == 2
    assert "generator.resize=true" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run" / "store" / "pretrained").exists()


@pytest.mark.slow
def test_a_whole_run_claims_nothing_about_copies_without_trained_on(tmp_path):
    path = write_bundle(tmp_path / "model")
    settings = ["generator=monai_bundle", f"generator.path={path}", "also_encode.radiomics=null", *SETTINGS]
    ended = synthassay(tmp_path / "run", "run", *settings)
    assert ended.returncode == 0, ended.stderr
    results = json.loads((tmp_path / "run" / "out" / "results.json").read_text())
    rows = [row for row in results["results"] if row["family"] == "memorisation" and row["generator"] == "monai_bundle"]
    assert rows
    assert {row["status"] for row in rows} == {"insufficient evidence"}
    assert str(tmp_path) not in (tmp_path / "run" / "out" / "report.html").read_text()


def test_images_are_drawn_by_class_where_labels_are_given():
    assert MonaiBundleSpec().condition_on == ()
    assert MonaiBundleSpec(labels={"a": 0}).condition_on == ("label",)
