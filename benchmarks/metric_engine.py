"""Times the metric engine beside its peers in one run: ``python benchmarks/metric_engine.py [--full] > FILE.md``.

One core, the same arrays, ours and theirs in turn (``--rounds``), the least CPU time of each. Equality is first.
Memory is the peak of a fresh process less what it held with the features loaded (Linux). Peers: prdc (precision,
recall, density, coverage), the AuthPct of dgm-eval (written out below from its definition), torch-fidelity (KID of 100
subsets of 1,000, Fréchet solve), scipy's sqrtm. ``--cuda`` measures the engine alone on a GPU.
"""

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray

from synthassay.metrics.authenticity import authenticity_from
from synthassay.metrics.frechet import Moments, frechet_from_moments
from synthassay.metrics.halfsampling import half_samples
from synthassay.metrics.kid import kernel_distance
from synthassay.metrics.neighbours import Comparison, Convention, SetDescription, compare, describe
from synthassay.metrics.points import Features, centred_points, mean_of
from synthassay.metrics.prdc import SCORES, manifold_scores

Array = NDArray[np.float32]
options = argparse.Namespace(rounds=3)
K = 5
REPLICATES = 200


def features(n: int, d: int, seed: int, spread: float = 1.0) -> Array:
    """Rows whose spectrum decays as that of an encoder's features does."""
    scales = spread / np.sqrt(1 + np.arange(d) / 8)
    drawn = np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)
    return np.asarray(drawn * scales + 0.5, np.float32)


def pair(n: int, d: int) -> tuple[Array, Array]:
    """A real and a synthetic set, which is a little too wide."""
    return features(n, d, 0), features(n, d, 1, 1.05)


# --- ours -----------------------------------------------------------------------------------------------------------


def described(rows: Features, centre: torch.Tensor, replicates: int = 0) -> SetDescription:
    """One side, with half-samples if asked for."""
    points = centred_points("set", rows, None, centre)
    kept = half_samples(points.units, replicates, np.random.default_rng(0))
    return describe(points, kept, K)


def ours(
    real: Features, synthetic: Features, known: SetDescription | None = None, replicates: int = 0
) -> dict[str, float]:
    """The four scores, authenticity, KID and its error; ``known``: the real side from a cache."""
    centre = mean_of("real", real)
    y = known or described(real, centre, replicates)
    x = described(synthetic, centre, replicates)
    return values_of(x, y, compare(x, y, (Convention(K),)))


def values_of(x: SetDescription, y: SetDescription, found: Comparison) -> dict[str, float]:
    """The numbers of one comparison."""
    scores = manifold_scores(x, y, found, Convention(K))["classic"]
    distance = kernel_distance(x.kernel, y.kernel, found.kernel, patient_aware=False)
    share = authenticity_from(x.points.units, found.nearest, found.distances, y.hoods["classic"])
    return {score: scores.value(score) for score in SCORES} | {
        "authenticity": share.value, "kid": distance.value, "kid_error": distance.standard_error or 0.0,
    }  # fmt: skip


# --- theirs ---------------------------------------------------------------------------------------------------------


def peer_prdc(real: Array, synthetic: Array) -> dict[str, float]:
    """prdc, quiet."""
    from prdc import compute_prdc

    with contextlib.redirect_stdout(None):
        return {name: float(value) for name, value in compute_prdc(real, synthetic, K).items()}


def peer_authpct(real: Array, synthetic: Array) -> float:
    """AuthPct by its definition on two whole distance matrices, as dgm-eval computes it."""
    train, made = torch.from_numpy(real), torch.from_numpy(synthetic)
    own = torch.cdist(train, train).fill_diagonal_(torch.inf).min(dim=1).values
    distance, nearest = torch.cdist(train, made).min(dim=0)
    return float((own[nearest] < distance).double().mean())


def peer_kid(real: Array, synthetic: Array, subsets: int = 100, size: int = 1000) -> float:
    """torch-fidelity's KID."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    return float(kid_features_to_metric(
        torch.from_numpy(synthetic), torch.from_numpy(real), kid_subsets=subsets, kid_subset_size=min(size, len(real)),
        kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, rng_seed=0,
        verbose=False,
    )["kernel_inception_distance_mean"])  # fmt: skip


def peer_scipy(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """The Fréchet distance from moments with scipy's sqrtm."""
    from scipy import linalg

    root = linalg.sqrtm(first[1] @ second[1])
    gap = first[0] - second[0]
    return float(gap @ gap + np.trace(first[1]) + np.trace(second[1]) - 2 * np.trace(root.real))


def peer_fidelity(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """The Fréchet distance from moments by torch-fidelity."""
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    stats = [{"mu": mean, "sigma": covariance} for mean, covariance in (first, second)]
    return float(fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"])


# --- measuring ------------------------------------------------------------------------------------------------------


def cpu_seconds(tasks: dict[str, Callable[[], object]], rounds: int = 0) -> dict[str, float]:
    """Least CPU seconds of each task over ``rounds`` (0: as the command line says), in turn."""
    least = dict.fromkeys(tasks, float("inf"))
    for _ in range(rounds or options.rounds):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            least[name] = min(least[name], time.process_time() - start)
    return least


def _peak(n: int, d: int, replicates: int) -> float:
    torch.set_num_threads(1)
    real, synthetic = pair(n, d)
    ours(real[:200], synthetic[:200])  # libraries load their work space once
    before = _kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    ours(real, synthetic, replicates=replicates)
    return (_kib("VmHWM") - before) / 1024


def _kib(field: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in status if line.startswith(field)).split()[1])


def peak_memory(n: int, d: int, replicates: int = 0) -> float:
    """MiB beyond the features, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, n, d, replicates).result()


def assert_equal(real: Array, synthetic: Array) -> None:
    """Our numbers are the peers' numbers."""
    found, expected = ours(real, synthetic), peer_prdc(real, synthetic)
    for name, value in expected.items():
        assert abs(found[name] - value) < 1e-12, (name, found[name], value)
    assert found["authenticity"] == peer_authpct(real, synthetic)
    whole = peer_kid(real.astype(np.float64), synthetic.astype(np.float64), 1, len(real))
    assert abs(found["kid"] - whole) < 2e-8 * (1 + abs(whole)), (found["kid"], whole)


def neighbours(n: int, d: int) -> list[str]:
    """The one pass beside its peers."""
    real, synthetic = pair(n, d)
    assert_equal(real, synthetic)
    centre = mean_of("real", real)
    known = described(real, centre)
    seconds = cpu_seconds({
        "one pass": lambda: ours(real, synthetic), "real side cached": lambda: ours(real, synthetic, known),
        "prdc": lambda: peer_prdc(real, synthetic), "AuthPct": lambda: peer_authpct(real, synthetic),
        "KID 100×1000": lambda: peer_kid(real, synthetic),
    })  # fmt: skip
    three = seconds["prdc"] + seconds["AuthPct"] + seconds["KID 100×1000"]
    lines = [f"| {n:,}, {d:,} | {name} | {value:.2f} | {seconds['prdc'] / value:.1f} | {three / value:.1f} |"
             for name, value in seconds.items()]  # fmt: skip
    return lines


def replicates(n: int, d: int) -> str:
    """What 200 half-samples of the four neighbour metrics cost beside one point estimate."""
    real, synthetic = pair(n, d)
    seconds = cpu_seconds({
        "point": lambda: ours(real, synthetic), "with": lambda: ours(real, synthetic, replicates=REPLICATES),
    })  # fmt: skip
    extra = seconds["with"] - seconds["point"]
    return f"| {n:,}, {d:,} | {seconds['point']:.2f} | {extra:.2f} | {extra / seconds['point']:.2f} |"


def frechet(n: int, d: int) -> list[str]:
    """The solve from moments beside scipy's and torch-fidelity's."""
    real, synthetic = pair(n, d)
    centre = mean_of("real", real)
    sides = [Moments(centred_points("set", rows, None, centre)) for rows in (real, synthetic)]
    plain = [((side.mean + centre).numpy(), side.covariance.numpy()) for side in sides]

    def solve(cached: bool) -> float:
        if not cached:
            sides[0].__dict__.pop("factor", None)
        return frechet_from_moments(*sides, error=False).value

    expected = peer_fidelity(*plain)
    assert abs(solve(False) - expected) < 1e-6 * expected
    seconds = cpu_seconds({
        "ours": lambda: solve(False), "ours, real factor cached": lambda: solve(True),
        "torch-fidelity": lambda: peer_fidelity(*plain), "scipy sqrtm": lambda: peer_scipy(*plain),
    })  # fmt: skip
    return [f"| {n:,}, {d:,} | {name} | {value:.2f} | {seconds['scipy sqrtm'] / value:.1f} | "
            f"{seconds['torch-fidelity'] / value:.1f} |" for name, value in seconds.items()]  # fmt: skip


def gemm_rate(d: int) -> float:
    """Single precision products on this core, in 10^9 operations a second."""
    a = torch.randn(1024, d)
    seconds = min(cpu_seconds({"gemm": lambda: a @ a.T}, 5).values())
    return 2 * 1024 * 1024 * d / seconds / 1e9


def growth(counts: list[int], d: int) -> list[str]:
    """Seconds against N, beside the time that the products alone must take."""
    lines, rate = [], gemm_rate(d)
    for n in counts:
        real, synthetic = pair(n, d)
        seconds = cpu_seconds({"ours": lambda r=real, s=synthetic: ours(r, s)}, 1)["ours"]
        floor = 4 * n * n * d / rate / 1e9
        lines.append(f"| {n:,} | {seconds:.2f} | {floor:.2f} | {seconds / floor:.1f} |")
    return lines


def on_cuda(sizes: list[tuple[int, int]]) -> list[str]:
    """Wall seconds, memory and share of the device's single precision matrix rate."""
    lines = []
    a = torch.randn(8192, 8192, device="cuda")
    for _ in range(3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(10):
            a @ a
        torch.cuda.synchronize()
        rate = 10 * 2 * 8192**3 / (time.perf_counter() - start)
    for n, d in sizes:
        real, synthetic = (torch.randn(n, d, device="cuda") * s for s in (1.0, 1.05))
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        start = time.perf_counter()
        ours(real, synthetic)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        memory = (torch.cuda.max_memory_allocated() - held) / 2**20
        share = 4 * n * n * d / seconds / rate
        lines.append(
            f"| {n:,}, {d:,} | {seconds:.1f} | {memory:,.0f} | {100 * share:.0f}% of {rate / 1e12:.1f} TFLOP/s |"
        )
        del real, synthetic
    return lines


def table(title: str, head: str, lines: list[str]) -> None:
    """Print one Markdown table."""
    columns = head.count("|") - 1
    print(f"\n## {title}\n\n{head}\n|{' --- |' * columns}", *lines, sep="\n", flush=True)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the sizes that are committed; otherwise a quick look")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement")
    parser.add_argument("--cuda", action="store_true", help="the engine alone, on a GPU")
    parser.parse_args(namespace=options)
    torch.set_num_threads(1)
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"# The metric engine beside its peers\n\n`{' '.join(['python', *sys.argv])}` at revision "
          f"{revision.stdout.strip()}, {platform.machine()}, Python {platform.python_version()}, "
          f"torch {torch.__version__}, NumPy {np.__version__}.")  # fmt: skip
    if options.cuda:
        sizes = [(50_000, 2048), (1_000_000, 768)] if options.full else [(20_000, 768)]
        table(
            torch.cuda.get_device_name(), "| N, d | seconds | MiB beyond the features | matrix rate |", on_cuda(sizes)
        )
        return
    n, d = (10_000, 2048) if options.full else (2_000, 256)
    print(f"\nOne core: {gemm_rate(d):.0f} GFLOP/s in single precision products. CPU seconds, the least of "
          f"{options.rounds}.")  # fmt: skip
    table("Precision, recall, density, coverage, authenticity, exact KID and its error",
          "| N, d | | CPU seconds | prdc over this | prdc + AuthPct + KID over this |", neighbours(n, d))  # fmt: skip
    table("Fréchet distance from moments, without its error",
          "| N, d | | CPU seconds | scipy over this | torch-fidelity over this |", frechet(n, d))  # fmt: skip
    table(f"{REPLICATES} half-samples of the four neighbour metrics",
          "| N, d | point estimate | the half-samples | ratio |", [replicates(n, d)])  # fmt: skip
    sizes = [(10_000, d, 0), (10_000, d, REPLICATES), (50_000, 768, 0)] if options.full else [(n, d, 0)]
    table("Memory", "| N, d | half-samples | MiB beyond the features |",
          [f"| {m:,}, {e:,} | {r} | {peak_memory(m, e, r):.0f} |" for m, e, r in sizes])  # fmt: skip
    counts = [1_000, 2_000, 5_000, 10_000, 20_000] if options.full else [500, 1_000, 2_000]
    table(f"Growth at d={d:,}", "| N | CPU seconds | floor: 4·N²·d operations | over the floor |", growth(counts, d))


if __name__ == "__main__":
    main()
