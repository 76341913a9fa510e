"""The stage *domain*: trained once on generator-train, then found; other encoders pass through."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from synthassay.features.domain_specs import DomainSpec
from synthassay.features.specs import EfficientNetLite0Spec
from synthassay.records import SilentProgress
from synthassay.stages.context import RunContext
from synthassay.stages.domain import ready_encoder
from synthassay.store.store import Store
from tests.features.sets import CPU, image_set

SPEC = DomainSpec(width=8, steps=2, batch_size=8, warmup_steps=1)


def context(root):
    return RunContext(SimpleNamespace(), Store(root), root, CPU, SilentProgress())


@pytest.fixture
def train():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 16, 16)).astype(np.uint8)
    return replace(image_set(pixels, np.array([f"p{i // 2}" for i in range(20)])), split="generator-train")


def test_it_is_trained_once_and_found_afterwards(tmp_path, train):
    first, second = context(tmp_path), context(tmp_path)
    built, found = ready_encoder(first, SPEC, train), ready_encoder(second, SPEC, train)
    assert [output.found_done for output in (*first.stages, *second.stages)] == [False, True]
    assert built.identity == found.identity
    files = {path.name for path in second.stages[0].path.iterdir()}
    assert files == {"encoder.safetensors", "key.json", "outputs.json", "provenance.json"}  # no checkpoint


def test_the_key_holds_images_and_settings(tmp_path, train):
    keys = set()
    for spec in (SPEC, SPEC.model_copy(update={"seed": 1})):
        for images in (train, replace(train, labels=train.labels * 0, content_id="")):
            run = context(tmp_path)
            ready_encoder(run, spec, images)
            keys.add(run.stages[0].key.digest)
    assert len(keys) == 4


def test_no_other_split_is_trained_on(tmp_path, train):
    with pytest.raises(ValueError, match="not on set"):
        ready_encoder(context(tmp_path), SPEC, replace(train, split="test"))


def test_an_encoder_that_needs_no_training_is_built(tmp_path, train):
    run = context(tmp_path)
    assert ready_encoder(run, EfficientNetLite0Spec(resolution=64), train).name == "efficientnet-lite0"
    assert run.stages == []


def test_an_encoder_is_built_once_in_a_run(tmp_path, train):
    run = context(tmp_path)
    for spec in (SPEC, EfficientNetLite0Spec(resolution=64)):
        assert ready_encoder(run, spec, train) is ready_encoder(replace(run, stages=[]), spec, train)
    assert ready_encoder(run, SPEC, replace(train, labels=train.labels * 0, content_id="")).identity != (
        ready_encoder(run, SPEC, train).identity
    )
