"""Compares solvers where the score is known: ``python benchmarks/samplers.py [--rounds R] [--n N] --write``.

The data are 8×8 images of a Gaussian mixture: 16 lesions, each a bright blob at its place, over a background whose
amplitudes fall as 1/frequency, as those of natural images do (Field 1987). Its denoiser is exact, so all that separates
a sample from the data is the solver. Features are the 64 cosine coefficients.

Each round draws N fresh exact images as the real set, N others as the control (the floor), and N samples of every
setting; all settings of a round start from the same noise and meet the same real set. The harness's own Fréchet
distance and, in the first round, KID compare them. Without ``--write`` the page is printed only.
"""

import argparse
import math
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
import numpy as np
import torch
from scipy import stats
from scipy.fft import dctn
from torch import Tensor

from synthassay.generators.diffusion.sampling import draw, evaluations, noise_levels
from synthassay.generators.diffusion.schedules import cosine_alpha_bars, fitted_sigma_max, linear_alpha_bars
from synthassay.generators.diffusion.specs import (
    DDPM_ANCESTRAL,
    DDPM_SAMPLING,
    EDM_SAMPLING,
    FLOW_SAMPLING,
    KarrasSpec,
    SamplingSpec,
    UniformTSpec,
)
from synthassay.metrics.frechet import Moments, frechet_from_moments
from synthassay.metrics.kid import KernelDistance, WithinSums, cross_sums, kernel_distance, within_sums
from synthassay.metrics.points import Points, centred_points
from synthassay.seeding import torch_generator

SIDE, LESIONS = 8, 16
MARGIN = 1.05
LINEAR, COSINE = linear_alpha_bars(), cosine_alpha_bars()
PAGE, FIGURE = (Path(__file__).with_suffix(suffix) for suffix in (".md", ".png"))
FLOOR = "floor: exact images"
REFERENCE = "DDPM ancestral 1000"


# --- data with a known score ----------------------------------------------------------------------------------------


class Mixture:
    """Lesions of equal weight: N(mᵢ, diag(s²)) in cosine coefficients, ``[16, 64]`` and ``[64]`` float32."""

    def __init__(self) -> None:
        grid = np.arange(SIDE)
        rows, columns = np.meshgrid(grid, grid, indexing="ij")
        centres = [(r, c) for r in (1, 3, 4, 6) for c in (1, 3, 4, 6)]
        blobs = [1.5 * np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 2) for r, c in centres]
        means = np.stack([dctn(blob, norm="ortho").ravel() for blob in blobs])
        frequency = np.hypot(rows, columns).ravel()
        spread = 2.0 / (1 + frequency)
        scale = 0.5 / math.sqrt((means.var(axis=0) + spread**2).mean())  # pixels of deviation 0.5, as training has them
        self.means = torch.tensor((means - means.mean(axis=0)) * scale, dtype=torch.float32)
        self.variance = torch.tensor((spread * scale) ** 2, dtype=torch.float32)

    def exact(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, 64]`` images."""
        chosen = torch.randint(LESIONS, (n,), generator=generator)
        return self.means[chosen] + self.variance.sqrt() * torch.randn(n, SIDE**2, generator=generator)

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """E[y | y + n = x] for n ~ N(0, σ²)."""
        total = self.variance + sigma**2
        weights = self.means / total
        evidence = torch.addmm(-(self.means * weights).sum(dim=1) / 2, x, weights.T)
        lesion = torch.softmax(evidence, dim=1) @ (self.means * (sigma**2 / total))
        return torch.addcmul(lesion, x, self.variance / total)


# --- the settings ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One row: the solver's line in the figure, what is sampled with, and the noise schedule of a DDPM's timesteps."""

    line: str
    spec: SamplingSpec
    alpha_bars: Sequence[float]

    @property
    def default_of(self) -> list[str]:
        """Families that are shipped with it."""
        return [name for name, spec, bars in DEFAULTS if spec == self.spec and bars in (None, self.alpha_bars)]


DEFAULTS = [
    ("edm", EDM_SAMPLING, None),
    ("edm2", EDM_SAMPLING, None),
    ("latent_edm", EDM_SAMPLING, None),
    ("ddpm", DDPM_SAMPLING, COSINE),
    ("flow", FLOW_SAMPLING, None),
    ("latent_flow", FLOW_SAMPLING, None),
]


def settings() -> dict[str, Setting]:
    """Each solver at several numbers of steps, by name; the reference first."""
    found = {REFERENCE: Setting("DDPM ancestral", DDPM_ANCESTRAL, LINEAR)}

    def add(line: str, spec: SamplingSpec, *steps: int, alpha_bars: Sequence[float] = LINEAR) -> None:
        for count in steps:
            found[f"{line} {count}"] = Setting(line, spec.model_copy(update={"steps": count}), alpha_bars)

    add("DPM-Solver++ 2M", EDM_SAMPLING, 18, 25, 30)
    add("DPM-Solver++ 2M from 80", SamplingSpec(schedule=KarrasSpec(sigma_max=80.0)), 18, 30, 40)
    add("DPM-Solver++ 2M, even in t", SamplingSpec(schedule=UniformTSpec()), 18, 25)
    add("DPM-Solver++ 2M, cosine", DDPM_SAMPLING, 20, 30, alpha_bars=COSINE)
    add("DPM-Solver++ 2M, linear", DDPM_SAMPLING, 30, 60)
    add("EDM Heun", SamplingSpec(solver="heun"), 18, 25)
    add("flow Heun", FLOW_SAMPLING, 15, 20, 25)
    add("flow Euler", FLOW_SAMPLING.model_copy(update={"solver": "flow-euler"}), 50, 100)
    add("DDIM", DDPM_SAMPLING.model_copy(update={"solver": "ddim"}), 50, 100, 250)
    add("DDPM ancestral", DDPM_ANCESTRAL, 50)
    return found


# --- measuring ------------------------------------------------------------------------------------------------------


@dataclass
class Measured:
    """Of one setting, round by round."""

    frechet: list[float] = field(default_factory=list)
    kid: KernelDistance | None = None  # of the first round
    seconds: list[float] = field(default_factory=list)
    evaluations: int = 0


class Real:
    """The real set of a round, its moments and kernel sums known."""

    def __init__(self, images: Tensor) -> None:
        self.centre = images.double().mean(dim=0)
        self.points = self.of(images)
        self.moments = Moments(self.points)

    @cached_property
    def kernel(self) -> WithinSums:
        """For KID."""
        return within_sums(self.points)

    def of(self, images: Tensor) -> Points:
        """``images`` as the metrics take them."""
        return centred_points("set", images.numpy(), None, self.centre)

    def compare(self, images: Tensor, into: Measured, kid: bool) -> None:
        """Adds the distances of ``images``."""
        points = self.of(images)
        into.frechet.append(frechet_from_moments(self.moments, Moments(points), error=False).value)
        if not kid:
            return
        cross = cross_sums(points, self.points)
        into.kid = kernel_distance(within_sums(points), self.kernel, cross, patient_aware=False)


def measure(rounds: int, n: int) -> dict[str, Measured]:
    """Every setting, and the floor, in every round."""
    mixture, found = Mixture(), {FLOOR: Measured()} | {name: Measured() for name in settings()}
    for number in range(rounds):
        generator = torch_generator("samplers", "third run", number)
        real = Real(mixture.exact(n, generator))
        kid = number == 0  # it takes longer than all few-step samples together
        real.compare(mixture.exact(n, generator), found[FLOOR], kid)
        start = torch.randn(n, SIDE**2, generator=generator)
        for name, setting in settings().items():
            spec, sigmas = setting.spec, noise_levels(setting.spec, (SIDE, SIDE), setting.alpha_bars)
            noise = torch_generator("samplers", "third run", "steps", name, number)  # one for all images, for speed
            begin = time.process_time()
            images = draw(
                spec, mixture.denoise, start, sigmas, lambda _, g=noise: torch.randn(n, SIDE**2, generator=g)
            )  # fmt: skip
            found[name].seconds.append(time.process_time() - begin)
            found[name].evaluations = evaluations(spec, sigmas)
            real.compare(images, found[name], kid)
    return found


MEANING = f"""\
**Non-inferior by 5%**: the Fréchet distance as the harness reports it (n samples against n real images, with its bias
at this n, which no sampler can go below) is at most {MARGIN} times that of DDPM with 1,000 ancestral steps. One-sided
test at the 5% level: the upper 95% bound of the ratio, from the t interval of the mean log-ratio paired by round, is at
most the margin. Where a sampler is good the floor is most of both distances; what the sampler itself adds is the
distance above the floor, printed beside the ratio. It is not divided by that of the reference, since both can be 0."""
SHIPPED = "; ".join(
    f"{name}: {', '.join(f'`{family}`' for family in setting.default_of)}"
    for name, setting in settings().items()
    if setting.default_of
)
HIGHEST = fitted_sigma_max((SIDE, SIDE))
RANGES = f"""\
Rows in bold are what families are shipped with ({SHIPPED}).
DPM-Solver++ and EDM Heun run on Karras levels from σ_max to 0.002 with ρ = 7. σ_max is 80 for 64×64 pixels, where the
coefficient of an image's mean may have a deviation of 0.5·64 = 32. For smaller images it falls with the side, here to
{HIGHEST:g}; *from 80* shows what that is worth. *Even in t*: the grid of a flow, on which DPM-Solver++ runs too.
*Cosine* and *linear*: the timesteps of a DDPM with that schedule. The reference and DDIM have the linear one of Ho et
al.; `ddpm` is shipped with the cosine one and, with `noise.schedule=linear`, needs 60 steps. Nothing is clipped here.
Which settings are shipped was chosen on this toy, on other seeds and the first four of these rounds."""


# --- the page -------------------------------------------------------------------------------------------------------


def mean_interval(values: list[float]) -> tuple[float, float]:
    """Mean over rounds, and half the width of its 95% t interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values)), float(half)


@dataclass(frozen=True)
class Ratio:
    """Of two Fréchet distances that share rounds: geometric mean, 95% interval, and the one-sided 95% upper bound."""

    value: float
    low: float
    high: float
    bound: float

    @classmethod
    def of(cls, values: list[float], reference: list[float]) -> "Ratio":
        """The t interval of the mean of the logarithms, paired by round."""
        logs = np.log(values) - np.log(reference)
        error, freedom = logs.std(ddof=1) / math.sqrt(len(logs)), len(logs) - 1
        two, one = (stats.t.ppf(level, freedom) * error for level in (0.975, 0.95))
        return cls(*(float(np.exp(logs.mean() + shift)) for shift in (0, -two, two, one)))


def excess(values: list[float], floor: list[float]) -> tuple[float, float]:
    """Mean distance above the floor of the same rounds, and half the width of its 95% interval."""
    return mean_interval([value - base for value, base in zip(values, floor, strict=True)])


def kid_cell(kid: KernelDistance | None) -> str:
    """KID and half the width of its 95% interval, in ten-thousandths."""
    assert kid is not None
    high = kid.interval().high
    return f"{1e4 * kid.value:.2f}" + ("" if high is None else f" ± {1e4 * (high - kid.value):.2f}")


def table(found: dict[str, Measured]) -> list[str]:
    """One row a setting."""
    rows = ["| Setting | Evaluations | CPU seconds | FD ± | KID × 10⁴ ± | FD above the floor ± | FD over that of DDPM "
            "ancestral 1000 [95% interval] | Upper bound | Non-inferior by 5% |",
            "|---|" + "---:|" * 7 + "---|"]  # fmt: skip
    floor, reference = found[FLOOR].frechet, found[REFERENCE].frechet
    shipped = {name for name, setting in settings().items() if setting.default_of}
    for name, each in found.items():
        fd, fd_half = mean_interval(each.frechet)
        shown = f"**{name}**" if name in shipped else name
        cells = [shown, str(each.evaluations or "–"), f"{min(each.seconds):.2f}" if each.seconds else "–",
                 f"{fd:.4f} ± {fd_half:.4f}", kid_cell(each.kid)]  # fmt: skip
        more, more_half = excess(each.frechet, floor)
        cells.append("–" if name == FLOOR else f"{more:.4f} ± {more_half:.4f}")
        if name in (FLOOR, REFERENCE):
            cells += ["–"] * 3
        else:
            ratio = Ratio.of(each.frechet, reference)
            verdict = "yes" if ratio.bound <= MARGIN else "no"
            cells += [f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]", f"{ratio.bound:.3f}", verdict]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def page(found: dict[str, Measured], rounds: int, n: int, seconds: float) -> str:
    """The committed page."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}"
    return "\n".join([
        "# Samplers where the score is known", "",
        f"`python benchmarks/samplers.py --rounds {rounds} --n {n} --write`: {platform.machine()}, one core, "
        f"{versions}; {seconds:.0f} CPU seconds in all.", "",
        f"Images of {SIDE}×{SIDE} pixels from a mixture of {LESIONS} Gaussians whose denoiser is exact, so that only "
        f"the solver is at fault. {rounds} rounds; in each n = {n:,} samples of every setting against n = {n:,} fresh "
        "exact images, the same for all settings of the round. The floor is a second set of exact images. Fréchet "
        "distances are means over the rounds with 95% t intervals; KID is of the first round, with its own 95% "
        "interval. CPU seconds are for all n images, the least of the rounds.", "", MEANING, "", RANGES, "",
        *table(found), "", f"![Fréchet distance against evaluations]({FIGURE.name})", "",
    ])  # fmt: skip


def figure(found: dict[str, Measured], n: int) -> None:
    """Fréchet distance against evaluations, with the floor and the margin."""
    mpl.use("agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    lines: dict[str, list[Measured]] = {}
    for name, setting in settings().items():
        lines.setdefault(setting.line, []).append(found[name])
    for (line, points), marker in zip(lines.items(), "sovD^P*X<>", strict=True):
        points = sorted(points, key=lambda each: each.evaluations)
        middle, halves = zip(*(mean_interval(each.frechet) for each in points), strict=True)
        axes.errorbar([each.evaluations for each in points], middle, halves, marker=marker, ms=5, lw=1.2, label=line)
    floor, reference = (mean_interval(found[name].frechet)[0] for name in (FLOOR, REFERENCE))
    axes.axhline(floor, color="0.3", ls=":", lw=1.2, label="floor (exact images)")
    axes.axhspan(floor, MARGIN * reference, color="0.9", label="up to 5% above 1,000 steps")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="evaluations of the denoiser per image",
        ylabel=f"Fréchet distance at n = {n:,}",
    )
    axes.legend(frameon=False, fontsize=8)
    fig.savefig(FIGURE, dpi=150)
    plt.close(fig)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description="Compare solvers on data with a known score.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="write the page and its figure beside this script")
    asked = parser.parse_args()
    if asked.rounds < 2 or asked.n <= SIDE**2:
        parser.error(f"an interval needs --rounds 2 and --n above {SIDE**2}")
    torch.set_num_threads(1)
    begin = time.process_time()
    found = measure(asked.rounds, asked.n)
    text = page(found, asked.rounds, asked.n, time.process_time() - begin)
    print(text)
    if asked.write:
        PAGE.write_text(text, encoding="utf-8")
        figure(found, asked.n)


if __name__ == "__main__":
    main()
