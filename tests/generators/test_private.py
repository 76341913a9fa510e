"""Differentially private training: what one patient can change, what the noise is, and what is promised."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus.accountants import PRVAccountant, RDPAccountant
from scipy import stats
from torch import Tensor, nn
from torch.optim import SGD

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.gan.family import GanFamily
from synthassay.generators.gan.specs import GanSpec
from synthassay.generators.specs import TrainingSpec, VaeNetworkSpec, VaeSpec
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.guarantee import guarantee, spent
from synthassay.generators.training.learner import Draws, Learner, Losses, Phase
from synthassay.generators.training.loop import Pace, Training
from synthassay.generators.training.private import PrivateTraining, os_normal, os_uniform, rows_by_patient
from synthassay.generators.training.private_specs import DpSpec
from synthassay.generators.training.scaling import Standardiser
from synthassay.generators.vae import VaeFamily
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources
from synthassay.team import Team

CPU = Resources(device="cpu")
NOISY = DpSpec(epsilon=None, noise=1.0, patients=4, views=3, accountant="rdp")


def images(patients: Sequence[str], seed: int = 0) -> ImageSet:
    """One image an entry of ``patients``; the same row of pixels whatever comes after it."""
    n = len(patients)
    pixels = np.stack([np.random.default_rng([seed, i]).integers(0, 256, (1, 4, 4), dtype=np.uint8) for i in range(n)])
    return ImageSet(
        name="t", origin="real", pixels=pixels, ids=np.arange(n).astype(str), patients=np.array(patients),
        labels=np.arange(n, dtype=np.int64) % 2, label_names=("a", "b"),
    )  # fmt: skip


class Blurred(nn.Module):
    """A denoiser of few weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 3, padding=1)


class ToyLearner(Learner):
    """Plain gradient descent on a toy loss, which is a mean over rows."""

    def __init__(self, network: nn.Module | None = None, scale: float = 1.0) -> None:
        torch.manual_seed(0)
        self.live = network or Blurred()
        self.scale = scale
        self.modules: Mapping[str, nn.Module] = {"live": self.live}
        self.optimisers = {"live": SGD(self.live.parameters(), lr=1.0)}
        self.averages = ()

    def phases(self, step: int) -> Sequence[Phase]:
        return (Phase("live", self._draws, self._loss),)

    def _draws(self, n: int, generator: torch.Generator) -> Draws:
        return (torch.randn(n, 1, 4, 4, generator=generator),)

    def _loss(self, images: Tensor, condition: Condition, noise: Tensor) -> Losses:
        errors = self.live.convolution(images + noise) - images
        loss = self.scale * errors.square().flatten(1).mean(1).mean()
        return Losses(loss, {"loss": loss})


def private(subject: ImageSet, folder: Path, spec: DpSpec = NOISY, learner: Learner | None = None, rate: float = 1.0,
            **changes: object) -> PrivateTraining:  # fmt: skip
    """A training on ``subject`` that draws each patient with probability ``rate``."""
    training = Training(
        name="toy", learner=learner or ToyLearner(),
        data=TrainingData.of(subject, Vocabulary.of(subject, ["label"]), Standardiser.fixed(1), 0, torch.device("cpu")),
        spec=TrainingSpec(steps=4, learning_rate=1.0, warmup_steps=0, schedule="constant", log_every=1),
        condition_dropout=0.1, folder=folder, fingerprint="f", pace=Pace(), progress=SilentProgress(), team=Team(),
    )  # fmt: skip
    made = PrivateTraining.of(training, spec, subject.patients)
    made.guarantee = replace(made.guarantee, sample_rate=rate, **changes)  # type: ignore[arg-type]
    return made


def clipped_sum(training: PrivateTraining, step: int = 0) -> Tensor:
    (phase,) = training.learner.phases(step)
    parameters = list(training.learner.modules["live"].parameters())
    return torch.cat([part.flatten() for part in training._sum(phase, parameters, step)[0]]).double()


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("clip", [0.01, 1.0, 100.0])
def test_one_patient_more_changes_the_sum_before_noise_by_the_clip_at_most(
    step: int, clip: float, tmp_path: Path
) -> None:
    without = images(["p0", "p0", "p1", "p2", "p2", "p2"])
    with_one = images(["p0", "p0", "p1", "p2", "p2", "p2", *["p3"] * 10])
    sums = [
        clipped_sum(private(subject, tmp_path, learner=ToyLearner(scale=50.0), clip=clip), step)
        for subject in (without, with_one)
    ]
    difference = (sums[1] - sums[0]).norm().item()
    assert 0 < difference <= clip * (1 + 1e-5)
    if clip < 100:
        assert difference == pytest.approx(clip, rel=1e-4)  # this patient's gradient is longer than the clip


def test_a_patient_of_ten_equal_images_moves_the_weights_no_more_than_one_of_one_image(tmp_path: Path) -> None:
    norms = []
    for count in (1, 10):
        subject = images(["p"] * count)
        subject.pixels[:] = subject.pixels[:1]
        norms.append(clipped_sum(private(subject, tmp_path, learner=ToyLearner(scale=50.0), clip=0.5)).norm().item())
    assert norms == pytest.approx([0.5, 0.5], rel=1e-4)


def test_short_gradients_are_not_lengthened_and_those_that_are_not_finite_count_nothing(tmp_path: Path) -> None:
    subject = images(["a", "b"])
    small = clipped_sum(private(subject, tmp_path, learner=ToyLearner(scale=1e-3), clip=1.0)).norm().item()
    assert small < 0.1
    assert clipped_sum(private(subject, tmp_path, learner=ToyLearner(scale=math.inf))).abs().sum().item() == 0.0


def test_the_draws_of_a_patient_do_not_depend_on_who_else_is_there(tmp_path: Path) -> None:
    alone, both = images(["a"]), images(["a", "b"])
    sums = [private(subject, tmp_path, learner=ToyLearner(scale=1.0)) for subject in (alone, both)]
    losses = [training._loss(training.learner.phases(0)[0], 0, 0).descended for training in sums]
    assert torch.equal(losses[0], losses[1])


def test_noise_has_the_deviation_that_was_promised_and_is_added_once(tmp_path: Path) -> None:
    training = private(images(["a", "b"]), tmp_path, noise=3.0, clip=0.2)
    like = [nn.Parameter(torch.zeros(20_000))]
    drawn = training._noise(like, 0)[0].double().numpy()
    assert drawn.std() == pytest.approx(0.6, rel=0.03)
    assert stats.kstest(drawn / 0.6, "norm").pvalue > 1e-3
    assert torch.equal(training._noise(like, 0)[0], training._noise(like, 0)[0])
    assert not torch.equal(training._noise(like, 0)[0], training._noise(like, 1)[0])
    before = torch.cat([p.detach().flatten() for p in training.learner.modules["live"].parameters()])
    total = clipped_sum(training)
    added = torch.cat(
        [part.flatten() for part in training._noise(list(training.learner.modules["live"].parameters()), 0)]
    )
    training._step(0)
    after = torch.cat([p.detach().flatten() for p in training.learner.modules["live"].parameters()])
    expected = -(total + added) / training.guarantee.expected  # plain gradient descent at rate 1
    torch.testing.assert_close((after - before).double(), expected.double(), atol=1e-6, rtol=1e-5)


def test_patients_are_drawn_independently_at_the_rate(tmp_path: Path) -> None:
    training = private(images([f"p{i:02d}" for i in range(40)]), tmp_path, rate=0.25)
    drawn = np.zeros((500, 40), bool)
    for step in range(500):
        drawn[step, [patient for patient, counts in training._drawn(step) if counts]] = True
    assert stats.binomtest(int(drawn.sum()), drawn.size, 0.25).pvalue > 1e-3
    sizes = drawn.sum(1)
    assert sizes.var() == pytest.approx(40 * 0.25 * 0.75, rel=0.25)  # a fixed batch would have none


def test_two_processes_share_the_patients_and_add_the_noise_once(tmp_path: Path) -> None:
    subject = images([f"p{i}" for i in range(7)])
    whole = clipped_sum(private(subject, tmp_path))
    parts = []
    for rank in range(2):
        training = private(subject, tmp_path)
        training.team = Team(rank, 2)
        parts.append(clipped_sum(training))
    torch.testing.assert_close(parts[0] + parts[1], whole, atol=1e-6, rtol=1e-6)


def test_a_step_in_which_nobody_was_drawn_is_noise_only_and_still_has_losses(tmp_path: Path) -> None:
    training = private(images(["a", "b"]), tmp_path, rate=1e-9)
    assert not clipped_sum(training).any()
    before = training.learner.modules["live"].convolution.weight.detach().clone()
    shown = training._step(0)
    assert set(shown) == {"loss", "clipped"}
    assert all(value.isfinite() for value in shown.values())
    assert not torch.equal(training.learner.modules["live"].convolution.weight, before)


@pytest.mark.parametrize(("name", "counting"), [("prv", PRVAccountant), ("rdp", RDPAccountant)])
def test_epsilon_is_what_opacus_counts_step_by_step(name: str, counting: type) -> None:
    accountant = counting()
    for _ in range(50):
        accountant.step(noise_multiplier=1.3, sample_rate=0.1)
    assert spent(name, 1e-4, 1.3, 0.1, 50) == pytest.approx(accountant.get_epsilon(delta=1e-4), rel=1e-9)


@pytest.mark.parametrize("name", ["prv", "rdp"])
def test_a_warning_about_orders_is_kept_where_it_is_about_the_bound(
    name: str, recwarn: pytest.WarningsRecorder
) -> None:
    spent(name, 1e-4, 100.0, 0.1, 10)
    assert any("largest alpha" in str(warning.message) for warning in recwarn) == (name == "rdp")


def test_epsilon_grows_with_steps_and_rate_and_falls_with_noise() -> None:
    def epsilon(noise: float = 1.5, steps: int = 100, patients: int = 10) -> float:
        spec = DpSpec(epsilon=None, noise=noise, patients=patients, accountant="rdp")
        return guarantee("g", spec, steps, 100).epsilon

    assert epsilon(steps=50) < epsilon() < epsilon(steps=200)
    assert epsilon(patients=5) < epsilon() < epsilon(patients=20)
    assert epsilon(noise=3.0) < epsilon() < epsilon(noise=1.0)


def test_a_target_is_kept_to_and_almost_used_up() -> None:
    made = guarantee("g", DpSpec(epsilon=2.0, patients=10, accountant="rdp"), 100, 200)
    assert 1.9 < made.epsilon <= 2.0
    assert made.delta == pytest.approx(1 / 2000)
    assert made.sample_rate == 0.05
    assert guarantee("g", replace_noise(made.noise * 0.9), 100, 200).epsilon > 2.0


def replace_noise(noise: float) -> DpSpec:
    return DpSpec(epsilon=None, noise=noise, patients=10, accountant="rdp")


def test_settings_that_promise_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="give one of them"):
        DpSpec(epsilon=1.0, noise=1.0)
    with pytest.raises(UserError, match="allows one to be published whole"):
        guarantee("g", DpSpec(delta=0.1, accountant="rdp"), 10, 100)
    with pytest.raises(ValueError, match="masks of training"):
        VaeSpec(condition_on=("label", "mask"), private=DpSpec())


def test_batch_normalisation_and_gans_are_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))
    with pytest.raises(UserError, match="BatchNorm2d, whose statistics mix patients"):
        private(images(["a", "b"]), tmp_path, learner=ToyLearner(network))
    with pytest.raises(ValueError, match=r"not for gan: .*second derivatives"):
        GanSpec(private=DpSpec())
    fit(tiny(private=None), tmp_path, images(PATIENTS))
    with pytest.raises(UserError, match=r"init_from is for families with one network .* not for gan"):
        GanFamily(GanSpec(init_from=tmp_path)).fit(
            images(["a", "b"]), tmp_path, seed=0, resources=CPU, progress=SilentProgress()
        )


def test_the_operating_system_draws_uniform_and_normal_numbers() -> None:
    uniform, normal = os_uniform(20_000), os_normal((200, 100))
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    assert stats.kstest(normal.ravel(), "norm").pvalue > 1e-4
    assert not np.array_equal(os_normal((5,)), os_normal((5,)))


def test_rows_are_grouped_by_patient() -> None:
    groups = rows_by_patient(np.array(["b", "a", "b", "c"]))
    assert [group.tolist() for group in groups] == [[1], [0, 2], [3]]


def tiny(**changes: object) -> VaeSpec:
    network = VaeNetworkSpec(patch=1, channels=(8, 16), strides=(2, 2), norm_groups=4, latent_size=8)
    training = TrainingSpec(steps=6, warmup_steps=2, log_every=2, snapshots=2, learning_rate=2e-3)
    settings = {"private": NOISY, "network": network, "training": training, **changes}
    return VaeSpec(**settings)  # type: ignore[arg-type]


def fit(spec: VaeSpec, folder: Path, subject: ImageSet, progress: object = None) -> dict:
    VaeFamily(spec, Pace(steps=2)).fit(subject, folder, seed=3, resources=CPU, progress=progress or SilentProgress())
    return json.loads((folder / "model.json").read_text())


class StopAt(SilentProgress):
    def __init__(self, step: int) -> None:
        self.left = step

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left <= 0:
            raise KeyboardInterrupt


PATIENTS = [f"p{i // 2}" for i in range(16)]


@pytest.mark.usefixtures("one_thread")
def test_a_resumed_private_training_ends_in_the_same_bits_and_its_card_says_what_it_promises(tmp_path: Path) -> None:
    subject = images(PATIENTS)
    card = fit(tiny(), tmp_path / "whole", subject)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), tmp_path / "broken", subject, StopAt(5))
    fit(tiny(), tmp_path / "broken", subject)
    for name in ("model.safetensors", "model.json", "losses.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    promised = card["privacy"]
    assert promised["patients"] == 8
    assert promised["sample_rate"] == 0.5
    assert promised["unit"] == "patient"
    assert promised["epsilon"] == pytest.approx(spent("rdp", promised["delta"], 1.0, 0.5, 6))
    assert (card["mean"], card["std"]) == ([0.5], [0.25])  # not those of the images
    assert tiny().training_key() != tiny(private=None).training_key()


@pytest.mark.usefixtures("one_thread")
def test_a_secure_training_cannot_be_repeated(tmp_path: Path) -> None:
    spec = tiny(private=NOISY.model_copy(update={"secure": True}))
    subject = images(PATIENTS)
    assert fit(spec, tmp_path / "a", subject)["privacy"]["secure"]
    fit(spec, tmp_path / "b", subject)
    assert (tmp_path / "a/model.safetensors").read_bytes() != (tmp_path / "b/model.safetensors").read_bytes()
