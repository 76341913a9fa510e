"""The domain encoder: it learns patients, a killed training ends in the same weights, and its identity says how."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthassay.errors import InsufficientEvidence, UserError
from synthassay.features import domain_training
from synthassay.features.domain import FILE, DomainNetwork
from synthassay.features.domain_specs import DomainSpec, ViewSpec
from synthassay.features.domain_training import CHECKPOINT, Training, contrastive_loss
from synthassay.features.pretrained import fill
from synthassay.features.views import view
from synthassay.features.weights import sha256_of
from synthassay.records import SilentProgress, identity_differences
from tests.features.sets import CPU, image_set, images

SPEC = DomainSpec(width=8, steps=6, batch_size=8, warmup_steps=2)
SIDE = 16


def cohort(patients=12, each=3, seed=0, noise=40.0):
    """Images of smooth patterns, one pattern a patient."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(40, 215, (patients, 1, 4, 4)))
    patterns = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").numpy()
    pixels = np.repeat(patterns, each, axis=0) + rng.normal(0, noise, (patients * each, 1, SIDE, SIDE))
    names = np.repeat([f"p{i}" for i in range(patients)], each)
    return image_set(np.clip(pixels, 0, 255).astype(np.uint8), names)


def trained(folder, spec=SPEC, subject=None, progress=None):
    folder.mkdir(exist_ok=True)
    subject = cohort() if subject is None else subject
    spec.train(subject, folder, CPU, progress or SilentProgress())
    return spec.load(folder, CPU)


def test_it_learns_to_tell_patients_apart_that_it_never_saw(tmp_path):
    views = ViewSpec(crop=0.8, flip=False)
    spec = SPEC.model_copy(update={"steps": 80, "batch_size": 16, "learning_rate": 3e-3, "views": views})
    spec = spec.model_copy(update={"positives": "patient", "warmup_steps": 10})
    encoder = trained(tmp_path, spec, cohort(patients=40, each=6, noise=60.0))
    fresh = cohort(patients=15, each=6, seed=9, noise=60.0)
    torch.manual_seed(0)
    untrained = DomainNetwork(1, 8, (SIDE, SIDE)).eval()
    with torch.inference_mode():
        before = untrained(torch.from_numpy(fresh.pixels / np.float32(255))).numpy()
    after = encoder.encode(fresh, SilentProgress()).features
    assert same_patient_share(after, fresh.patients) > same_patient_share(before, fresh.patients) + 0.25


def same_patient_share(features, patients):
    units = features - features.mean(0)
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    similarity = units @ units.T
    np.fill_diagonal(similarity, -np.inf)
    return np.mean(patients[similarity.argmax(1)] == patients)


class Killed(SilentProgress):
    """Dies when ``step`` steps are done, and counts what was done before."""

    def __init__(self, step=None):
        self.step, self.taken, self.done = step, 0, None

    def start(self, what, total, done=0):
        self.done = done

    def advance(self, n=1):
        self.taken += n
        if self.taken == self.step:
            raise KeyboardInterrupt


def test_a_killed_training_ends_in_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(domain_training, "LOG_EVERY", 2)
    monkeypatch.setattr(domain_training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    trained(tmp_path / "whole")
    (tmp_path / "killed").mkdir()
    with pytest.raises(KeyboardInterrupt):
        SPEC.train(cohort(), tmp_path / "killed", CPU, Killed(5))
    assert (tmp_path / "killed" / CHECKPOINT).is_file()
    assert not (tmp_path / "killed" / FILE).exists()
    progress = Killed()
    trained(tmp_path / "killed", progress=progress)
    assert progress.done == 4
    assert sha256_of(tmp_path / "killed" / FILE) == sha256_of(tmp_path / "whole" / FILE)


def test_the_checkpoint_of_another_training_is_not_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(domain_training, "LOG_EVERY", 1)
    monkeypatch.setattr(domain_training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    other = SPEC.model_copy(update={"seed": 1})
    with pytest.raises(KeyboardInterrupt):
        other.train(cohort(), tmp_path, CPU, Killed(3))
    progress = Killed()
    trained(tmp_path, progress=progress)
    assert progress.done == 0


def test_the_identity_names_images_settings_seed_and_weights(tmp_path):
    base = trained(tmp_path / "a")
    parts = dict(base.identity)
    assert parts["trained_on"] == cohort().content_id
    assert parts["weights"] == sha256_of(tmp_path / "a" / FILE)
    assert (parts["seed"], parts["resize"], parts["resolution"]) == ("0", "none", "16x16")
    assert trained(tmp_path / "again").identity == base.identity
    others = {
        "seed": trained(tmp_path / "b", SPEC.model_copy(update={"seed": 1})),
        "settings": trained(tmp_path / "c", SPEC.model_copy(update={"temperature": 0.5})),
        "trained_on": trained(tmp_path / "d", subject=cohort(seed=1)),
    }
    for name, other in others.items():
        changed = {part for part, *_ in identity_differences(base.identity, other.identity)}
        assert {name, "weights"} <= changed


def test_another_pseudonym_key_gives_the_same_encoder(tmp_path):
    subject = cohort()
    renamed = replace(subject, patients=np.array([f"z{int(p[1:]) * 7 % 12}" for p in subject.patients]), content_id="")
    assert renamed.content_id == subject.content_id
    trained(tmp_path / "a", subject=subject)
    trained(tmp_path / "b", subject=renamed)
    assert sha256_of(tmp_path / "a" / FILE) == sha256_of(tmp_path / "b" / FILE)


def test_features_depend_on_one_image_only(tmp_path):
    encoder, subject = trained(tmp_path), cohort()
    features = encoder.encode(subject, SilentProgress())
    assert features.features.shape == (36, encoder.dimension) == (36, 64)
    assert features.encoder_identity == encoder.identity
    alone = encoder.encode(subject.take(np.array([7])), SilentProgress()).features
    np.testing.assert_allclose(alone, features.features[[7]], atol=1e-5 * features.features.std())


def test_images_of_another_size_or_with_other_channels_are_refused(tmp_path):
    encoder = trained(tmp_path, subject=image_set(np.repeat(cohort().pixels, 3, axis=1), cohort().patients))
    with pytest.raises(UserError, match=r"found 1 channel\(s\), but domain takes 3"):
        encoder.encode(cohort(), SilentProgress())
    with pytest.raises(UserError, match="of 16×16 pixels; these have 48×48"):
        encoder.encode(images(channels=3), SilentProgress())


def test_too_few_patients_and_a_diverging_loss_end_in_words(tmp_path):
    with pytest.raises(InsufficientEvidence, match="generator-train has 7"):
        trained(tmp_path, subject=cohort(patients=7))
    with pytest.raises(UserError, match=r"lower encoder\.learning_rate"):
        trained(tmp_path, SPEC.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0}))


def test_it_cannot_be_built_without_images():
    with pytest.raises(UserError, match="within a run"):
        DomainSpec().build(CPU)


def test_a_damaged_encoder_is_not_used(tmp_path):
    trained(tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:100])
    with pytest.raises(UserError, match="damaged"):
        SPEC.load(tmp_path, CPU)


@given(step=st.integers(0, 10**6), patients=st.integers(8, 20), batch=st.integers(8, 30), pairs=st.booleans())
def test_a_batch_has_no_patient_twice(step, patients, batch, pairs):
    spec = SPEC.model_copy(update={"batch_size": batch, "positives": "patient" if pairs else "image"})
    subject = cohort(patients)
    training = Training.__new__(Training)
    training.spec, training.images = spec, subject
    training._rows = [np.flatnonzero(subject.patients == p) for p in np.unique(subject.patients)]
    first, second = training.batch(step)
    assert len(set(subject.patients[first])) == len(first) == min(batch, patients)
    np.testing.assert_array_equal(subject.patients[first], subject.patients[second])
    if not pairs:
        np.testing.assert_array_equal(first, second)
    again = training.batch(step)
    np.testing.assert_array_equal(again[0], first)
    np.testing.assert_array_equal(again[1], second)


def test_the_loss_is_nt_xent():
    rows = np.random.default_rng(0).normal(size=(10, 4))
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = np.exp(units @ units.T / 0.3)
    losses = [-np.log(scores[i, (i + 5) % 10] / (scores[i].sum() - scores[i, i])) for i in range(10)]
    assert float(contrastive_loss(torch.from_numpy(rows), 0.3)) == pytest.approx(np.mean(losses), rel=1e-9)


PLAIN = ViewSpec(crop=1, rotation=0, flip=False, brightness=0, contrast=0, noise=0)


def test_a_view_without_changes_is_the_image():
    pixels = torch.rand(3, 2, 12, 10)
    torch.testing.assert_close(view(pixels, PLAIN, torch.Generator().manual_seed(0)), pixels, rtol=0, atol=1e-5)


def test_flips_are_whole_and_for_about_half_of_the_images():
    pixels = torch.rand(200, 1, 8, 8)
    seen = view(pixels, PLAIN.model_copy(update={"flip": True}), torch.Generator().manual_seed(0))
    flipped = (seen - pixels.flip(3)).abs().amax((1, 2, 3)) < 1e-5
    same = (seen - pixels).abs().amax((1, 2, 3)) < 1e-5
    assert (flipped | same).all()
    assert 70 < flipped.sum() < 130


def test_crops_stay_inside_and_reach_the_borders():
    """On a ramp from 0 to 1 a crop shows a shorter ramp; nothing outside the image is seen."""
    ramp = torch.linspace(0, 1, 64).view(1, 1, 1, 64).expand(500, 1, 64, 64).contiguous()
    seen = view(ramp, PLAIN.model_copy(update={"crop": 0.25}), torch.Generator().manual_seed(0))
    lengths = seen[:, 0, 0, -1] - seen[:, 0, 0, 0]
    assert 0.48 < lengths.min() < 0.55
    assert 0.95 < lengths.max() < 1.01
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert seen[:, 0, 0, 0].min() < 0.02
    assert seen[:, 0, 0, -1].max() > 0.98


def test_switching_one_change_off_leaves_the_others_as_they_were():
    pixels = torch.rand(4, 1, 12, 12)
    full, without = (
        view(pixels, PLAIN.model_copy(update={"crop": 0.5, "brightness": b}), torch.Generator().manual_seed(3))
        for b in (0.2, 0.0)
    )
    offset = full - without
    torch.testing.assert_close(offset, offset[:, :, :1, :1].expand_as(offset), rtol=0, atol=1e-6)
    assert 0 < offset.abs().max() <= 0.2


def test_the_encoder_file_fits_its_network_only(tmp_path):
    trained(tmp_path)
    from synthassay.tensorfiles import read_tensors

    tensors, _ = read_tensors(tmp_path / FILE)
    with torch.device("meta"):
        wider = DomainNetwork(1, 16, (SIDE, SIDE))
    with pytest.raises(UserError, match="holds other weights"):
        fill(wider, tensors, FILE)
