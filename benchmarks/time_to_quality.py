"""Quality against training time: ``python benchmarks/time_to_quality.py --cohort ham10000 --root DIR --write``.

Every family of the harness and the loops of MONAI's and diffusers' tutorials (``peer_loops.py``, with the network and
the batch of ``ddpm``) train on generator-train of one cohort. At ``--points`` times evenly over the training, samples
are compared with held-out test images: Fréchet distance, precision and recall in features of the run's encoder, beside
the floor of other real patients. Only training is timed: by the wall on a GPU, in CPU seconds of one thread on a CPU.
The peers sample with their own schedulers. Without ``--root`` the cohort is the digital phantom. The page and
the figure are named after the cohort.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from numpy.typing import NDArray
from peer_loops import DiffusersLoop, MonaiLoop
from training_speed import CONF, Size, peer_network

from synthassay.features.encoders import NetworkEncoder
from synthassay.generators.conditioning.plan import condition_plan
from synthassay.generators.specs import GeneratorSpec
from synthassay.metrics.frechet import Moments, frechet_from_moments
from synthassay.metrics.halfsampling import half_samples
from synthassay.metrics.neighbours import Convention, compare, describe
from synthassay.metrics.points import centred_points, mean_of
from synthassay.metrics.prdc import manifold_scores
from synthassay.records import Cohort, SilentProgress
from synthassay.specs import Resources

FAMILIES = ("edm", "edm2", "ddpm", "flow", "gan", "vae", "latent_edm", "latent_flow")
PEERS = {"MONAI tutorial": MonaiLoop, "diffusers script": DiffusersLoop}
K = 5
QUIET = SilentProgress()


# --- what is trained, and on what -----------------------------------------------------------------------------------


def settings(asked: argparse.Namespace, *more: str) -> Any:
    """The run's settings as a command line would compose them."""
    overrides = [f"cohort={asked.cohort}", f"budget={asked.budget}", *more]
    if asked.root:
        overrides.append(f"cohort.root={asked.root}")
    if asked.patients:
        overrides.append(f"budget.cohort.max_patients={asked.patients}")
    with initialize_config_dir(str(CONF.resolve()), version_base=None):
        return compose("config", overrides)


def cohort_of(asked: argparse.Namespace, work: Path) -> Cohort:
    """The cohort, read as a run reads it."""
    from synthassay.cohorts.phantom.simulate import write_phantom
    from synthassay.cohorts.prepare import prepare_cohort

    spec = instantiate(settings(asked).cohort, _convert_="all")
    root = Path(asked.root).expanduser() if asked.root else work / "phantom" / "dicom"
    if not asked.root:
        write_phantom(spec.phantom, work / "phantom", QUIET)
    (work / "cohort").mkdir()
    return prepare_cohort(spec, root, work / "keys", work / "cohort", Resources(threads=1), QUIET)


def trained_like(spec: GeneratorSpec, share: float, points: int) -> GeneratorSpec:
    """``spec`` with ``share`` of its steps and a state kept at each of ``points`` times."""
    training: Any = spec.training  # type: ignore[attr-defined]
    steps = max(points, round(share * training.steps))
    warm = min(training.warmup_steps, steps // 5)
    return spec.model_copy(update={"training": training.model_copy(
        update={"steps": steps, "snapshots": points, "warmup_steps": warm})})  # fmt: skip


class StopWatch(SilentProgress):
    """The progress of a training that notes the time of each step."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.times = device, [0.0]

    def start(self, what: str, total: int, done: int = 0) -> None:
        """The first step begins."""
        self.begun = clock()

    def advance(self, n: int = 1) -> None:
        """A step is queued. The loop waits for a GPU where it reads losses, so times may be ahead by a few steps."""
        self.times.append(clock() - self.begun)


def clock() -> float:
    """Wall seconds on a GPU; CPU seconds of this process otherwise."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


Point = tuple[int, float, NDArray[np.uint8]]  # steps, seconds of training, images


def our_points(spec: GeneratorSpec, cohort: Cohort, asked: argparse.Namespace, work: Path) -> Iterator[Point]:
    """Train ``spec``, then sample from each kept state."""
    from synthassay.generators.training.loop import snapshot_steps

    train, test = cohort.split("generator-train"), cohort.split("test")
    watch, resources = StopWatch(asked.device), Resources(device=asked.device.type, threads=1)
    family = spec.build()
    family.fit(train, work, seed=0, resources=resources, progress=watch)
    n = min(asked.images, len(test))
    conditions = condition_plan(train, n, spec.condition_on, 0)
    for step in snapshot_steps(spec.training):  # type: ignore[attr-defined]
        images = family.load(work, resources, step).sample(np.arange(n), conditions)
        yield step, watch.times[step], as_bytes(images)


def peer_points(loop: Any, spec: GeneratorSpec, cohort: Cohort, asked: argparse.Namespace) -> Iterator[Point]:
    """Train a peer's loop for as many steps as ``spec`` has, and sample on the way, with the clock stopped."""
    train, training = cohort.split("generator-train"), spec.training  # type: ignore[attr-defined]
    cuda = asked.device.type == "cuda"
    pixels = np.array(train.pixels) if train.pixels.dtype == np.uint8 else (train.pixels >> 8).astype(np.uint8)
    shape = pixels.shape[1:]
    size = Size(shape[1], asked.budget, spec.network, training.batch_size, shape[0])  # type: ignore[attr-defined]
    torch.manual_seed(0)
    parts = peer_network(size, asked.device, fused=False, compiled=False)
    half = torch.float16 if cuda and loop is MonaiLoop else None
    running = loop(*parts, pixels, size.batch, asked.device, amp=half, workers=4 if cuda and loop is MonaiLoop else 0)
    seconds, n = 0.0, min(asked.images, len(cohort.split("test")))
    stops = {max(1, training.steps * k // asked.points) for k in range(1, asked.points + 1)}
    begun = clock()
    for step in range(1, training.steps + 1):
        running.step()
        if step in stops:
            seconds += clock() - begun
            made = [running.sample(min(64, n - start), shape, asked.peer_steps) for start in range(0, n, 64)]
            yield step, seconds, as_bytes(np.concatenate(made))
            begun = clock()


def as_bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[0, 1] → uint8, as runs store generated images."""
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


# --- quality --------------------------------------------------------------------------------------------------------


@dataclass
class Quality:
    """Of one state of one model."""

    name: str
    steps: int
    seconds: float
    frechet: float
    precision: float
    recall: float


@dataclass
class Judge:
    """Held-out images and the encoder."""

    encoder: NetworkEncoder
    real: NDArray[np.float32] = field(init=False)

    def hold(self, pixels: NDArray[Any]) -> None:
        """Keep the features of the held-out images."""
        self.real = self.encoder.encode_pixels(pixels, QUIET, "test")

    def __call__(self, name: str, steps: int, seconds: float, pixels: NDArray[Any]) -> Quality:
        """Fréchet distance, precision and recall of ``pixels``."""
        made = self.encoder.encode_pixels(pixels, QUIET, name)
        centre = mean_of("real", self.real)
        x, y = (centred_points("set", rows, None, centre) for rows in (made, self.real))
        distance = frechet_from_moments(Moments(y), Moments(x), error=False).value
        sides = [describe(points, half_samples(points.units, 0, np.random.default_rng(0)), K) for points in (x, y)]
        scores = manifold_scores(*sides, compare(*sides, (Convention(K),)), Convention(K))["classic"]
        return Quality(name, steps, seconds, distance, scores.value("precision"), scores.value("recall"))


def measure(asked: argparse.Namespace, work: Path) -> tuple[list[Quality], str]:
    """Every model at every time, the floor first; and what the cohort is."""
    cohort = cohort_of(asked, work)
    test, other = cohort.split("test"), cohort.split("control-a")
    n = min(asked.images, len(test), len(other))
    asked.images = n
    resources = Resources(device=asked.device.type, threads=1)
    judge = Judge(instantiate(settings(asked).encoder, _convert_="all").build(resources))
    judge.hold(test.pixels[:n])
    found = [judge("floor: other real patients", 0, 0.0, other.pixels[:n])]

    def follow(name: str, points: Callable[[], Iterator[Point]]) -> None:
        for step, seconds, images in points():
            found.append(judge(name, step, seconds, images))
            print(found[-1], file=sys.stderr, flush=True)

    specs = {name: trained_like(instantiate(settings(asked, f"generator={name}").generator, _convert_="all"),
                                asked.share, asked.points) for name in available(asked.families)}  # fmt: skip
    for name, spec in specs.items():
        follow(name, lambda spec=spec, name=name: our_points(spec, cohort, asked, work / name))
    ddpm = instantiate(settings(asked, "generator=ddpm").generator, _convert_="all")
    for name, loop in PEERS.items():
        follow(name, lambda loop=loop: peer_points(loop, trained_like(ddpm, asked.share, asked.points), cohort, asked))
    train = cohort.split("generator-train")
    return found, f"{cohort.name}: {len(train)} images to train on, {n} held-out, size {train.pixels.shape[1:]}"


def available(names: list[str]) -> list[str]:
    """Of ``names`` the families that this version has."""
    return [name for name in names if (CONF / "generator" / f"{name}.yaml").exists()]


# --- the page -------------------------------------------------------------------------------------------------------


def page(found: list[Quality], what: str, asked: argparse.Namespace, image: Path) -> str:
    """The committed page."""
    cuda = asked.device.type == "cuda"
    machine = torch.cuda.get_device_name() if cuda else f"CPU trial, {platform.machine()}, one thread (no GPU)"
    missing = sorted(set(asked.families) - set(available(asked.families)))
    rows = ["| Model | Steps | Training seconds | Fréchet distance | Precision | Recall |", "|---|" + "---:|" * 5]
    rows += [f"| {q.name} | {q.steps or '–'} | {f'{q.seconds:.0f}' if q.steps else '–'} | {q.frechet:.1f} | "
             f"{q.precision:.3f} | {q.recall:.3f} |" for q in found]  # fmt: skip
    notes = [] if cuda else [
        "", f"Trained for {asked.share:.0%} of the budget's steps: this shows that the script runs, and says nothing "
        "about how good a model is in the end.",
    ]  # fmt: skip
    notes += ["", f"Not in this version: {', '.join(missing)}."] if missing else []
    return "\n".join([
        f"# Quality against training time: {asked.cohort}", "",
        f"`python {' '.join(sys.argv)}` on: **{machine}**. torch {torch.__version__}, Python "
        f"{platform.python_version()}.", "",
        f"{what}. {'Wall' if cuda else 'CPU'} seconds of training alone; features of efficientnet_lite0, k = {K}. "
        f"Peers sample in {asked.peer_steps} steps {'(DDPM)' if asked.peer_steps == 1000 else '(DDIM)'}.",
        *notes, "", *rows,
        "", f"![Fréchet distance and precision against training seconds]({image.name})", "",
    ])  # fmt: skip


def figure(found: list[Quality], path: Path, title: str) -> None:
    """Three panels over training seconds."""
    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    fig, panels = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    floor, models = found[0], list(dict.fromkeys(q.name for q in found[1:]))
    for axes, metric in zip(panels, ("frechet", "precision", "recall"), strict=True):
        for name, marker in zip(models, "osv^D*XPhd", strict=False):
            line = [q for q in found if q.name == name]
            style = "--" if name in PEERS else "-"
            axes.plot([q.seconds for q in line], [getattr(q, metric) for q in line], style, marker=marker, label=name)
        axes.axhline(getattr(floor, metric), color="0.3", ls=":", label="floor (real)")
        axes.set(xlabel="training seconds", ylabel="Fréchet distance" if metric == "frechet" else metric, xscale="log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0].set_yscale("log")
    panels[2].legend(frameon=False, fontsize=7)
    fig.suptitle(title)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def arguments() -> argparse.Namespace:
    """The command line, with what depends on the device filled in."""
    parser = argparse.ArgumentParser(description="Quality against training time, beside the peers' loops.")
    parser.add_argument("--cohort", default="phantom", help="phantom, ham10000, lgg_mri or any other of conf/cohort")
    parser.add_argument("--root", help="the folder of its scans; none for the phantom")
    parser.add_argument("--patients", type=int, help="at most so many")
    parser.add_argument("--budget", help="standard on a GPU, quick on a CPU")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--share", type=float, default=1.0, help="of the budget's steps")
    parser.add_argument("--points", type=int, default=4, help="times at which quality is measured")
    parser.add_argument("--images", type=int, default=2000, help="samples and held-out images, at most")
    parser.add_argument("--peer-steps", type=int, help="of the peers' sampling; 1000 on a GPU, 50 on a CPU")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--write", action="store_true", help="write the page and its figure beside this script")
    asked = parser.parse_args()
    if asked.cohort != "phantom" and not asked.root:
        parser.error(f"--cohort {asked.cohort} needs --root, the folder of its scans")
    cuda = asked.device != "cpu" and torch.cuda.is_available()
    if asked.device == "cuda" and not cuda:
        parser.error("torch finds no CUDA GPU here; use --device cpu")
    asked.device = torch.device("cuda" if cuda else "cpu")
    asked.budget = asked.budget or ("standard" if cuda else "quick")
    asked.peer_steps = asked.peer_steps or (1000 if cuda else 50)
    return asked


def main() -> None:
    """Measure, print, and write if asked."""
    asked = arguments()
    if asked.device.type == "cpu":
        torch.set_num_threads(1)
    stem = Path(__file__).with_name(f"time_to_quality_{asked.cohort}{'' if asked.device.type == 'cuda' else '_cpu'}")
    with tempfile.TemporaryDirectory() as work:
        found, what = measure(asked, Path(work))
    text = page(found, what, asked, stem.with_suffix(".png"))
    print(text)
    if asked.write:
        stem.with_suffix(".md").write_text(text, encoding="utf-8")
        title = f"{asked.cohort}, budget {asked.budget}" + (" (CPU trial)" if asked.device.type == "cpu" else "")
        figure(found, stem.with_suffix(".png"), title)


if __name__ == "__main__":
    main()
