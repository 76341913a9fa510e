"""Every family, trained for seconds on the phantom: better than noise, and it draws what the label says."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from torch.nn import functional

from synthassay.cohorts.phantom.detector import lesion_detector
from synthassay.cohorts.phantom.simulate import write_phantom
from synthassay.cohorts.phantom.specs import PhantomSpec
from synthassay.generators.diffusion.family_specs import DdpmNoiseSpec, DdpmSpec, EdmSpec, FlowSpec
from synthassay.generators.diffusion.specs import FLOW_SAMPLING, SamplingSpec
from synthassay.generators.gan.specs import GanSpec, R3GanNetworkSpec
from synthassay.generators.latent.specs import AutoencoderSpec, LatentEdmSpec, LatentFlowSpec
from synthassay.generators.networks.specs import MagnitudePreservingSpec, UNetSpec
from synthassay.generators.specs import GeneratorSpec, TrainingSpec, VaeNetworkSpec, VaeSpec
from synthassay.metrics.frechet import FrechetDistance, frechet_distance
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = Resources(device="cpu")
SIZE, PATIENTS, SAMPLED = 32, 400, 200
SLICES, THINNEST = 8, 1.0  # of a volume, and what lies between two of them, in mm
CELLS = 5  # the Fréchet distance is that of means over 5×5 cells: fewer numbers than images, so that it has an error


def trained(**changes: object) -> TrainingSpec:
    settings = {"steps": 700, "batch_size": 8, "learning_rate": 2e-3, "warmup_steps": 50, "snapshots": 1}
    return TrainingSpec(**{**settings, **changes})  # type: ignore[arg-type]


UNET = UNetSpec(patch=2, channels=(16, 32, 48), res_blocks=(1, 1, 1), attention=(False, False, True))
EDM2 = MagnitudePreservingSpec(patch=2, channels=(16, 32, 48), res_blocks=(1, 1, 1), attention=(False, False, True))
AUTOENCODER = AutoencoderSpec(
    patch=2, discriminator_layers=1, training=trained(steps=400, batch_size=16, learning_rate=2e-3)
)
OF_LATENTS = UNetSpec(patch=1, channels=(32, 48), res_blocks=(1, 1), attention=(False, True))
FEW = SamplingSpec(steps=10)
FAMILIES: dict[str, GeneratorSpec] = {
    "edm": EdmSpec(network=UNET, training=trained(), sampling=FEW),
    "edm2": EdmSpec(
        network=EDM2, sampling=FEW,
        training=trained(learning_rate=2e-2, schedule="inverse-sqrt", constant_steps=350, ema="power"),
    ),
    "ddpm": DdpmSpec(network=UNET, noise=DdpmNoiseSpec(prediction="v"), training=trained()),
    "flow": FlowSpec(network=UNET, training=trained(), sampling=FLOW_SAMPLING),
    "latent_edm": LatentEdmSpec(autoencoder=AUTOENCODER, network=OF_LATENTS, training=trained(batch_size=16)),
    "latent_flow": LatentFlowSpec(autoencoder=AUTOENCODER, network=OF_LATENTS, training=trained(batch_size=16)),
    "gan": GanSpec(
        network=R3GanNetworkSpec(patch=2, channels=(16, 32, 64)), gamma=5.0, gamma_end=0.5, condition_dropout=0.0,
        training=trained(steps=600, batch_size=16, gradient_clip=0.0, beta1=0.0, ema_ramp=0.3),
    ),
    "gan3d": GanSpec(
        kind="gan3d", network=R3GanNetworkSpec(patch=4, channels=(32, 64)), gamma=5.0, gamma_end=0.5,
        condition_dropout=0.0, training=trained(steps=400, gradient_clip=0.0, beta1=0.0, ema_ramp=0.3),
    ),
    "vae": VaeSpec(network=VaeNetworkSpec(patch=2), training=trained(steps=600, batch_size=16, learning_rate=1e-3)),
}  # fmt: skip


def phantom(out: Path, patients: int, slices: int) -> ImageSet:
    """Slices of patients of one hospital, every other one with a large bright lesion; volumes where there are several.

    A volume is ill where its middle slice shows the lesion.
    """
    import pandas as pd
    import pydicom

    site = PhantomSpec().sites[0].model_copy(update={"patients": patients, "prevalence": 0.5})
    spec = PhantomSpec(
        size=SIZE, sites=(site,), studies=(1, 1), images_per_study=(slices, slices), slice_gap_mm=THINNEST,
        lesion_contrast=(0.4, 0.5), lesion_radius_mm=(18, 20),
    )  # fmt: skip
    write_phantom(spec, out, SilentProgress())
    truth = pd.read_parquet(out / "truth" / "truth.parquet")
    values = np.stack([pydicom.dcmread(out / "dicom" / name).pixel_array for name in truth.file]).astype(np.float32)
    low, high = np.percentile(values, [0.5, 99.5])
    pixels = np.rint(((values - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)[:, None]
    labels = truth.lesion.to_numpy().astype(np.int64)
    if slices > 1:
        pixels = pixels.reshape(patients, 1, slices, SIZE, SIZE)
        labels = labels.reshape(patients, slices)[:, slices // 2]
    ids = np.arange(patients).astype(np.str_)
    return ImageSet(
        name="phantom", origin="real", pixels=pixels, ids=ids, patients=ids, labels=labels,
        label_names=("no lesion", "lesion"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """400 images."""
    return phantom(tmp_path_factory.mktemp("images"), PATIENTS, 1)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """120 volumes."""
    return phantom(tmp_path_factory.mktemp("volumes"), 120, SLICES)


def cells(images: NDArray[np.floating]) -> NDArray[np.float32]:
    """``[n, 1, (d,) h, w]`` → ``[n, 25]``; the mean over the slices of a volume."""
    flat = images.reshape(len(images), -1, *images.shape[-2:]).mean(1, dtype=np.float32)
    pooled = functional.adaptive_avg_pool2d(torch.from_numpy(flat), CELLS)
    return pooled.flatten(1).numpy()


def middle(images: NDArray[np.floating]) -> NDArray[np.floating]:
    """``[n, 1, (d,) h, w]`` → ``[n, h, w]``."""
    return images[:, 0] if images.ndim == 4 else images[:, 0, images.shape[2] // 2]


def distance(real: ImageSet, images: NDArray[np.floating]) -> FrechetDistance:
    return frechet_distance(cells(real.pixels / 255), cells(images))


def auroc(scores: NDArray[np.float64], ill: NDArray[np.bool_]) -> float:
    return float(mannwhitneyu(scores[ill], scores[~ill]).statistic / (ill.sum() * (~ill).sum()))


@pytest.mark.parametrize("kind", ["real", "volumes"])
def test_the_detector_sees_the_lesions_of_real_images(kind: str, request: pytest.FixtureRequest) -> None:
    real: ImageSet = request.getfixturevalue(kind)
    assert auroc(lesion_detector(middle(real.pixels / 255)), real.labels == 1) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_family_beats_noise_its_loss_falls_and_lesions_are_where_the_label_says(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    real: ImageSet = request.getfixturevalue("volumes" if name == "gan3d" else "real")
    family = FAMILIES[name].build()
    family.fit(real, tmp_path, seed=0, resources=CPU, progress=SilentProgress())
    label = np.arange(SAMPLED) % 2
    images = family.load(tmp_path, CPU).sample(np.arange(SAMPLED), {"label": label})
    random = np.random.default_rng(0)
    mean, spread = real.pixels.mean() / 255, real.pixels.std() / 255
    noise = random.normal(mean, spread, images.shape).clip(0, 1)
    drawn, floor = distance(real, images).interval(), distance(real, noise).interval()
    assert drawn.high < floor.low
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    if "loss" in rows[0]:  # the losses of a game between two networks need not fall
        assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])
    scores = lesion_detector(middle(images))
    seen = mannwhitneyu(scores[label == 1], scores[label == 0], alternative="greater")
    assert seen.pvalue < 0.001, f"AUROC {auroc(scores, label == 1):.2f}"
