"""Tiny families and the images that they are tried on."""

import csv
from pathlib import Path

import numpy as np

from synthassay.generators.ddpm import DdpmFamily
from synthassay.generators.diffusion.family_specs import DdpmNoiseSpec, DdpmSpec, EdmNoiseSpec, EdmSpec, FlowSpec
from synthassay.generators.diffusion.specs import DDPM_SAMPLING, FLOW_SAMPLING, SamplingSpec
from synthassay.generators.edm import EdmFamily
from synthassay.generators.family import Family
from synthassay.generators.flow import FlowFamily
from synthassay.generators.gan.family import GanFamily
from synthassay.generators.gan.specs import GanSpec, R3GanNetworkSpec
from synthassay.generators.networks.specs import MagnitudePreservingSpec, UNetSpec
from synthassay.generators.specs import GeneratorSpec, TrainingSpec, VaeNetworkSpec, VaeSpec
from synthassay.generators.training.loop import Pace
from synthassay.generators.training.private_specs import DpSpec
from synthassay.generators.vae import VaeFamily
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

CPU = Resources(device="cpu")
FAMILIES = ("edm", "ddpm", "flow", "gan", "vae")
DIFFUSION = {"edm": EdmSpec, "ddpm": DdpmSpec, "flow": FlowSpec}
BUILD = {"edm": EdmFamily, "ddpm": DdpmFamily, "flow": FlowFamily, "gan": GanFamily, "vae": VaeFamily}


def toy_images(n: int = 24, channels: int = 1, dtype: str = "uint8", size: int = 16) -> ImageSet:
    """Discs on a dark ground, dim for label 0 and bright for label 1; two sites."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 2
    ramp = np.linspace(-1, 1, size)
    radius = random.uniform(0.4, 0.8, (n, 1, 1, 1))
    disc = (np.hypot(*np.meshgrid(ramp, ramp))[None, None] < radius) * (0.35 + 0.5 * labels[:, None, None, None])
    images = np.clip(0.1 + disc.repeat(channels, 1) + random.normal(0, 0.02, (n, channels, size, size)), 0, 1)
    ids = np.array([f"i{i}" for i in range(n)])
    return ImageSet(
        name="toy", origin="real", pixels=np.rint(images * np.iinfo(dtype).max).astype(dtype), ids=ids, patients=ids,
        labels=labels.astype(np.int64), label_names=("dim", "bright"),
        groups={"site": np.where(np.arange(n) % 3 == 0, "north", "south")},
    )  # fmt: skip


def tiny(kind: str, *, condition_on: tuple[str, ...] = ("label",), **training: object) -> GeneratorSpec:
    settings = {"steps": 8, "batch_size": 8, "warmup_steps": 4, "log_every": 2, "learning_rate": 2e-3, "snapshots": 2}
    settings |= {"gradient_clip": 0.0, "beta1": 0.0} if kind == "gan" else {}
    settings |= training
    common = {"condition_on": condition_on, "sample_batch": 4, "training": TrainingSpec(**settings)}
    if kind in DIFFUSION:
        noise = {"noise": DdpmNoiseSpec(prediction="v")} if kind == "ddpm" else {}
        network = UNetSpec(
            patch=2, channels=(8, 16), res_blocks=(1, 1), attention=(False, True), norm_groups=4, head_channels=8
        )
        sampling = {"edm": SamplingSpec(), "ddpm": DDPM_SAMPLING, "flow": FLOW_SAMPLING}[kind]
        return DIFFUSION[kind](network=network, sampling=sampling.model_copy(update={"steps": 6}), **noise, **common)
    if kind == "gan":
        network = R3GanNetworkSpec(
            patch=1, channels=(8, 16, 16), expansion=1, group_width=8, latent_size=8, embedding_size=8
        )
        return GanSpec(network=network, gamma=0.1, penalty_every=2, **common)
    network = VaeNetworkSpec(patch=1, channels=(8, 16), strides=(2, 2), norm_groups=4, latent_size=8)
    return VaeSpec(network=network, **common)


def tiny_private() -> GeneratorSpec:
    """The VAE, privately, with a third of the patients in a step."""
    dp = DpSpec(epsilon=None, noise=1.0, patients=8, views=2, accountant="rdp")
    return tiny("vae").model_copy(update={"private": dp})


def family(spec: GeneratorSpec, every: int = 4) -> Family:
    return BUILD[str(spec.to_key()["kind"])](spec, Pace(steps=every))


def fit(
    spec: GeneratorSpec, folder: Path, images: ImageSet | None = None, progress: object = None,
    resources: Resources = CPU,
) -> None:  # fmt: skip
    family(spec).fit(images or toy_images(), folder, seed=3, resources=resources, progress=progress or SilentProgress())


def losses(folder: Path) -> dict[str, np.ndarray]:
    rows = list(csv.reader((folder / "losses.csv").open()))
    return dict(zip(rows[0], np.array(rows[1:], float).T, strict=True))


class StopAt(SilentProgress):
    """A progress whose ``advance`` raises when ``step`` steps are done."""

    def __init__(self, step: int) -> None:
        self.left = step

    def start(self, what: str, total: int, done: int = 0) -> None:
        self.left -= done

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left <= 0:
            raise KeyboardInterrupt


def edm2(**training: object) -> GeneratorSpec:
    network = MagnitudePreservingSpec(
        patch=2, channels=(8, 16), res_blocks=(1, 1), attention=(False, True), head_channels=8
    )
    spec = tiny("edm", learning_rate=1e-2, ema="power", schedule="inverse-sqrt", constant_steps=4, **training)
    return spec.model_copy(update={"network": network, "noise": EdmNoiseSpec(weighting="learnt")})
