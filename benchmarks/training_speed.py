"""Times the training loop beside MONAI's and diffusers': ``python benchmarks/training_speed.py [--sizes 64] --write``.

One network (MONAI's ``DiffusionModelUNet`` as a budget has it), one batch size, the same images, one process; the loops
take turns, and each keeps to its own ways (``peer_loops.py``). Before anything is timed, all give the same loss
for the same weights, images, noise and timesteps. On a GPU the networks are those of the budgets ``standard`` (64×64)
and ``full`` (128×128) and seconds are of the wall; on a CPU the network is that of ``quick``, and seconds are CPU
seconds of one thread. Without ``--write`` the page is printed only.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import diffusers
import monai
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from peer_loops import DiffusersLoop, MonaiLoop
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.ddpm import DdpmFamily
from synthassay.generators.devices import place, tuned
from synthassay.generators.diffusion.family import DiffusionLearner
from synthassay.generators.diffusion.family_specs import DdpmNoiseSpec, DdpmSpec
from synthassay.generators.networks.specs import UNetSpec
from synthassay.generators.specs import TrainingSpec
from synthassay.generators.training.checkpoint import Checkpoint, LossTable
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.loop import Pace, Training
from synthassay.generators.training.scaling import Standardiser
from synthassay.records import ImageSet, SilentProgress

PAGE = Path(__file__).with_suffix(".md")
CONF = Path(__file__).parents[1] / "conf"
WARM_UP = 5  # steps before the clock starts; the first of them compiles
Network = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Size:
    """What is trained: the network and the batch of a budget, on images of ``side``."""

    side: int
    budget: str
    network: UNetSpec
    batch: int
    channels: int = 1

    @classmethod
    def of(cls, side: int, device: torch.device) -> "Size":
        """On a GPU the budget that has this size; on a CPU ``quick``, whatever the size."""
        budget = "quick" if device.type == "cpu" else "full" if side >= 128 else "standard"
        with initialize_config_dir(str(CONF.resolve()), version_base=None):
            found = compose("config", [f"budget={budget}"]).budget.generators.ddpm
        parts = {name: tuple(found[name]) for name in ("channels", "res_blocks", "attention")}
        return cls(side, budget, UNetSpec(patch=found.patch, **parts), int(found.batch_size))

    def images(self) -> ImageSet:
        """Enough of them for a few batches; their content does not matter for speed."""
        n = max(256, 8 * self.batch)
        pixels = np.random.default_rng(0).integers(0, 256, (n, 1, self.side, self.side), np.uint8)
        ids = np.arange(n).astype(str)
        return ImageSet(name="random", origin="real", pixels=pixels, ids=ids, patients=ids,
                        labels=np.zeros(n, np.int64), label_names=("one",))  # fmt: skip


# --- the loops ------------------------------------------------------------------------------------------------------


class OurLoop:
    """The harness's own loop, a step at a time: what ``Training.run`` does, but for files and the progress bar."""

    def __init__(self, size: Size, device: torch.device, compile_as: bool | str, precision: str) -> None:
        images = size.images()
        training = TrainingSpec(steps=10**9, batch_size=size.batch, precision=precision)
        spec = DdpmSpec(network=size.network, training=training, condition_on=(), compile=compile_as,
                        noise=DdpmNoiseSpec(schedule="linear", prediction="epsilon"))  # fmt: skip
        self.learner: DiffusionLearner = DdpmFamily(spec).learner((1, size.side, size.side), Vocabulary(), 0, device)
        data = TrainingData.of(images, Vocabulary(), Standardiser.of(images), 0, device)
        self.training = Training(
            name="ours", learner=self.learner, data=data, spec=training, condition_dropout=0.1,
            folder=Path(tempfile.gettempdir()), fingerprint="", pace=Pace(10**12, 1e12), progress=SilentProgress(),
        )  # fmt: skip
        self.state, self.device = Checkpoint("", 0, LossTable()), device

    def step(self) -> None:
        """One update; losses are read at the end of each window, as in a run."""
        with tuned(self.device):
            self.training._advance(self.state)


def nothing(n: int, device: torch.device) -> Condition:
    """No condition."""
    return Condition(torch.zeros(n, 0, dtype=torch.long, device=device), torch.zeros(n, 0, device=device),
                     torch.zeros(n, 0, 1, 1, device=device))  # fmt: skip


def peer_network(size: Size, device: torch.device, *, fused: bool, compiled: bool) -> tuple[nn.Module, Network]:
    """The network of ours, and how peers ask it. ``fused``: attention as one kernel, MONAI's option."""
    spec = DdpmSpec(network=size.network, noise=DdpmNoiseSpec(schedule="linear", prediction="epsilon"))
    torch.manual_seed(0)
    module = DdpmFamily(spec).network((size.channels, size.side, size.side), Vocabulary()).network
    module = place(module, device) if compiled else module.to(device)
    for part in module.modules():
        if hasattr(part, "use_flash_attention"):
            part.use_flash_attention = fused
    network: Any = torch.compile(module, dynamic=False) if compiled else module
    return module, lambda noisy, timesteps: network(noisy, timesteps / 1000, nothing(len(noisy), device))


def variants(size: Size, device: torch.device) -> dict[str, tuple[str, torch.dtype, Callable[[], Any]]]:
    """By name: the group (ours, tutorial, matched, other), the precision of its products, and how to build it."""
    pixels = size.images().pixels
    cuda = device.type == "cuda"
    low = torch.bfloat16 if cuda else torch.float32

    def peer(loop: Any, amp: torch.dtype | None, *, matched: bool, **more: Any) -> Callable[[], Any]:
        def build() -> Any:
            parts = peer_network(size, device, fused=matched, compiled=matched and cuda)
            return loop(*parts, pixels, size.batch, device, amp=amp, **more)

        return build

    workers = {"workers": 4 if cuda else 0}
    half = torch.float16 if cuda else None  # a CPU has no scaled float16 training
    found = {
        "Synthassay, as it is by default": ("ours", low, lambda: OurLoop(size, device, cuda, "auto")),
        "MONAI tutorial": ("tutorial", half or low, peer(MonaiLoop, half, matched=False, **workers)),
        "diffusers script": ("tutorial", torch.float32, peer(DiffusersLoop, None, matched=False, augment=True)),
        "MONAI loop, matched": (
            "matched", low, peer(MonaiLoop, low if cuda else None, matched=True, augment=False, **workers)),
        "diffusers loop, matched": (
            "matched", low, peer(DiffusersLoop, low if cuda else None, matched=True, **workers)),
    }  # fmt: skip
    if cuda:
        found["Synthassay, not compiled"] = "other", low, lambda: OurLoop(size, device, False, "auto")
        found["Synthassay, CUDA graphs"] = "other", low, lambda: OurLoop(size, device, "graphs", "auto")
    return found


# --- measuring ------------------------------------------------------------------------------------------------------


@dataclass
class Timed:
    """One loop and what was measured of it."""

    group: str
    precision: torch.dtype
    loop: Any
    memory: float | None = None  # MiB, of a GPU
    rates: list[float] = field(default_factory=list)  # images/s of each round


def assert_equal(size: Size, device: torch.device) -> float:
    """All three losses are one for the same weights, images, noise and timesteps; returns it."""
    module, network = peer_network(size, device, fused=False, compiled=False)
    with torch.no_grad():
        for weight in module.parameters():  # MONAI's last layers start at 0, and would agree on anything
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)).to(device))
    images, noise = (torch.randn(size.batch, 1, size.side, size.side, device=device) for _ in range(2))
    timesteps = torch.randint(0, 1000, (size.batch,), device=device)
    pixels, tolerance = size.images().pixels, 1e-5 if device.type == "cpu" else 5e-3  # a GPU's convolutions have TF32
    peers = [loop(module, network, pixels, size.batch, device, amp=None, workers=0)
             for loop in (MonaiLoop, DiffusersLoop)]  # fmt: skip
    ours = OurLoop(size, device, False, "float32")
    ours.learner.live.network.load_state_dict(module.state_dict())
    with torch.no_grad():
        own = ours.learner.live.losses(images, nothing(size.batch, device), timesteps, noise).mean().item()
        for peer in peers:
            found = peer.loss(images, noise, timesteps).item()
            assert abs(found - own) <= tolerance * own, (type(peer).__name__, found, own)
    return own


def measure(size: Size, device: torch.device, seconds: float, rounds: int) -> dict[str, Timed]:
    """Every loop in turn, ``seconds`` in all for each; one that fails is told and left out."""
    found: dict[str, Timed] = {}
    for name, (group, precision, build) in variants(size, device).items():
        held = torch.cuda.memory_allocated() if device.type == "cuda" else 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            loop = build()
            for _ in range(WARM_UP):
                loop.step()
        except RuntimeError as error:
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        found[name] = Timed(group, precision, loop)
        if device.type == "cuda":
            found[name].memory = (torch.cuda.max_memory_allocated() - held) / 2**20
    for _ in range(rounds):
        for each in found.values():
            each.rates.append(rate(each.loop.step, size.batch, device, seconds / rounds))
    return found


def clock(device: torch.device) -> float:
    """Seconds of the wall, when the GPU is done; of the process on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def rate(step: Callable[[], Any], batch: int, device: torch.device, seconds: float) -> float:
    """Images/s over at least ``seconds`` and 4 steps; a GPU is waited for at the two ends only."""
    step()
    start, count, begun = clock(device), 0, time.perf_counter()
    while count < 4 or time.perf_counter() - begun < seconds:
        step()
        count += 1
    return count * batch / (clock(device) - start)


def flops(size: Size, device: torch.device) -> float:
    """Operations of one image forwards and backwards, without attention's fused kernel, which is not counted alike."""
    network = peer_network(size, device, fused=False, compiled=False)[1]
    noisy = torch.randn(1, 1, size.side, size.side, device=device)
    with FlopCounterMode(display=False) as counter:
        network(noisy, torch.zeros(1, device=device)).mean().backward()
    return float(counter.get_total_flops())


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations/s of one large product in ``dtype``; on a GPU float32 with TF32, as its convolutions have it."""
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device).to(dtype)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    best = 0.0
    for _ in range(4):
        start = clock(device)
        for _ in range(10):
            a @ a
        best = max(best, 10 * 2 * n**3 / (clock(device) - start))
    torch.set_float32_matmul_precision(before)
    return best


# --- the page -------------------------------------------------------------------------------------------------------


def table(found: dict[str, Timed], work: float, device: torch.device) -> list[str]:
    """One row a loop."""
    rates = {dtype: matrix_rate(device, dtype) for dtype in {each.precision for each in found.values()}}
    lines = ["| Loop | Precision of products | images/s, median [least, most] | Peak memory, MiB | Matrix rate |",
             "|---|---|---:|---:|---:|"]  # fmt: skip
    for name, each in found.items():
        middle, memory = median(each.rates), "–" if each.memory is None else f"{each.memory:,.0f}"
        precision, peak = str(each.precision).removeprefix("torch."), rates[each.precision]
        lines.append(f"| {name} | {precision} | {middle:,.1f} [{min(each.rates):,.1f}, {max(each.rates):,.1f}] | "
                     f"{memory} | {100 * middle * work / peak:.0f}% of {peak / 1e12:.3g} TFLOP/s |")  # fmt: skip
    return lines


def ratios(found: dict[str, Timed]) -> list[str]:
    """Ours over the faster peer of each group, median over the rounds of the ratio within a round."""
    ours = next((each for each in found.values() if each.group == "ours"), None)
    lines = []
    for group, text in (("tutorial", "as its tutorial has it"), ("matched", "at matched precision and compilation")):
        peers = {name: each for name, each in found.items() if each.group == group}
        if not peers or ours is None:
            lines.append(f"- Against the faster peer {text}: not measured.")
            continue
        name, best = max(peers.items(), key=lambda item: median(item[1].rates))
        values = [a / b for a, b in zip(ours.rates, best.rates, strict=True)]
        lines.append(f"- Against the faster peer {text} ({name}): {median(values):.2f} times as fast "
                     f"[{min(values):.2f}, {max(values):.2f}].")  # fmt: skip
    return lines


def section(size: Size, device: torch.device, seconds: float, rounds: int) -> list[str]:
    """Everything about one size."""
    loss, work = assert_equal(size, device), flops(size, device)
    found = measure(size, device, seconds, rounds)
    network = size.network
    return [
        f"## {size.side}×{size.side}, budget {size.budget}", "",
        f"Channels {list(network.channels)}, residual blocks {list(network.res_blocks)}, patch {network.patch}, "
        f"batches of {size.batch}; {work / 1e9:.3g} GFLOP an image, both ways. The loss of all loops for the same "
        f"weights, images, noise and timesteps: {loss:.4f}.", "",
        *table(found, work, device), "", *ratios(found), "",
    ]  # fmt: skip


def heading(device: torch.device, seconds: float, rounds: int) -> list[str]:
    """What ran where."""
    cuda = device.type == "cuda"
    place = torch.cuda.get_device_name() if cuda else f"CPU trial, {platform.machine()}, one thread (no GPU)"
    kind = "wall" if cuda else "CPU"
    return [
        "# Training loops side by side", "",
        f"`python {' '.join(sys.argv)}` on: **{place}**. torch {torch.__version__}, MONAI {monai.__version__}, "
        f"diffusers {diffusers.__version__}, Python {platform.python_version()}.", "",
        f"Images/s by {kind} seconds, {rounds} rounds of {seconds / rounds:.0f} s and at least four steps for each "
        "loop, in turn. *Tutorial*: the peers as their tutorials have them"
        + (" (MONAI float16 autocast with a scaler, diffusers float32)." if cuda else
           ", in float32 (MONAI's float16 is a GPU's).")
        + " *Matched*: the same loops with our precision, " + ("compilation, " if cuda else "")
        + "fused attention and without their augmentation. Their read of the loss at each step stays.", "",
    ]  # fmt: skip


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description="Time the training loop beside its peers.")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--sizes", type=int, nargs="+", help="64 128 on a GPU, 64 on a CPU")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each loop at each size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the page beside this script")
    asked = parser.parse_args()
    cuda = asked.device != "cpu" and torch.cuda.is_available()
    if asked.device == "cuda" and not cuda:
        parser.error("torch finds no CUDA GPU here; use --device cpu")
    device = torch.device("cuda" if cuda else "cpu")
    if not cuda:
        torch.set_num_threads(1)
    lines = heading(device, asked.seconds, asked.rounds)
    for side in asked.sizes or ([64, 128] if cuda else [64]):
        lines += section(Size.of(side, device), device, asked.seconds, asked.rounds)
        print("\n".join(lines), flush=True)
    if asked.write:
        PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
