"""Tiles: products, precision and its bound, exact decisions in single precision, and teams of processes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from synthassay.metrics import tiles as engine
from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.kid import kid
from synthassay.metrics.points import centred_points, exact_squares
from synthassay.metrics.prdc import SCORES, prdc
from synthassay.metrics.tiles import rounding_bound, tile_side, tiles


def assembled(x, y, part):
    """A whole matrix from its tiles; entries of a mirrored tile are set on both sides."""
    found = np.full((len(x), len(x if y is None else y)), np.nan)
    for tile in tiles(x, y):
        values = getattr(tile, part)().numpy()
        found[tile.rows, tile.columns] = values
        if tile.symmetric:
            found[tile.columns, tile.rows] = values.T
    return found


@pytest.fixture(params=[7, 1024])
def side(request, monkeypatch):
    monkeypatch.setattr(engine, "tile_side", lambda *_: request.param)


def test_squares_and_kernels_do_not_depend_on_the_centre(side):
    random = np.random.default_rng(0)
    x, y, centre = random.standard_normal((18, 5)) + 3, random.standard_normal((16, 5)) + 3, np.full(5, 3.0)
    a, b = centred_points("x", x, None, centre), centred_points("y", y, None, centre)
    np.testing.assert_allclose(assembled(a, b, "squares"), cdist(x, y, "sqeuclidean"), rtol=1e-12)
    np.testing.assert_allclose(assembled(a, b, "kernel"), (x @ y.T / 5 + 1) ** 3, rtol=1e-12)
    np.testing.assert_allclose(assembled(a, None, "squares"), cdist(x, x, "sqeuclidean"), rtol=1e-12, atol=1e-12)


def test_pairs_of_one_unit_are_marked_wherever_they_fall(side):
    units = np.sort(np.random.default_rng(0).integers(0, 6, 30))
    held = centred_points("x", np.random.default_rng(1).standard_normal((30, 3)), units)
    found = np.zeros((30, 30), bool)
    for tile in tiles(held):
        same = tile.same_unit()
        if same is not None:
            found[tile.rows, tile.columns] = same
            found[tile.columns, tile.rows] = same.T
    np.testing.assert_array_equal(found, held.units[:, None] == held.units[None, :])


@pytest.mark.parametrize("d", [2, 64, 2048])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 0), (torch.float64, engine.DOUBLE_UP_TO)])
def test_rounding_stays_far_inside_its_bound(d, scale, dtype, limit, monkeypatch):
    monkeypatch.setattr(engine, "DOUBLE_UP_TO", limit)
    random = np.random.default_rng(d)
    x, y = scale * (random.standard_normal((90, d)) + 1), scale * (random.standard_normal((90, d)) + 1.2)
    a, b = (centred_points("x", rows, None, x.mean(axis=0)) for rows in (x, y))
    exact = ((x.astype(np.longdouble)[:, None] - y.astype(np.longdouble)[None, :]) ** 2).sum(axis=-1)
    norms = (a.norms[:, None] + b.norms[None, :]).numpy()
    error = np.abs(assembled(a, b, "squares") - exact) / norms
    assert 0 < error.max() < 0.5 * rounding_bound(d, dtype)


def near_ties(seed, d):
    """Clusters of equal and of all but equal points, where single precision orders neighbours wrongly."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((12, d))
    real, synthetic = centres[random.integers(0, 12, 150)], centres[random.integers(0, 12, 130)]

    def shifted(rows):
        return rows + np.where(random.random((len(rows), 1)) < 0.5, 1e-4 * random.standard_normal(rows.shape), 0.0)

    return shifted(real), shifted(synthetic)


def by_subtraction(real, synthetic, k, units):
    """The four scores with every distance from a subtraction, so that equal distances are equal."""

    def radii(rows, same):
        return np.sort(np.where(same, np.inf, cdist(rows, rows)), axis=1)[:, k - 1]

    across = cdist(synthetic, real)
    inside = across < radii(real, units[:, None] == units[None, :])[None, :]
    recalled = across < radii(synthetic, np.eye(len(synthetic), dtype=bool))[:, None]
    return [inside.any(axis=1).mean(), recalled.any(axis=0).mean(), inside.sum() / k / len(synthetic),
            inside.any(axis=0).mean()]  # fmt: skip


@pytest.mark.parametrize("kind", ["plain", "ties", "copies"])
@pytest.mark.parametrize("limit", [0, engine.DOUBLE_UP_TO])
@pytest.mark.parametrize("variant", ["patient-aware", "classic"])
def test_counts_are_exact_in_either_precision(kind, limit, variant, monkeypatch):
    monkeypatch.setattr(engine, "DOUBLE_UP_TO", limit)
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((150, 40)), 1.1 * random.standard_normal((130, 40))
    if kind == "ties":
        real, synthetic = near_ties(0, 40)
    if kind == "copies":
        synthetic[:60] = real[:60]
    patients = np.repeat(np.arange(50), 3)
    found = prdc(real, synthetic, replicates=1, real_units=patients, variant=variant)
    units = patients if variant == "patient-aware" else np.arange(150)
    assert [found.value(score) for score in SCORES] == pytest.approx(by_subtraction(real, synthetic, 5, units))
    share = authenticity(real, synthetic, train_units=patients, variant=variant).value
    own = np.where(units[:, None] == units[None, :], np.inf, cdist(real, real)).min(axis=1)
    across = cdist(synthetic, real)
    assert share == (own[across.argmin(axis=1)] < across.min(axis=1) * (1 - 1e-9)).mean()


def test_kid_and_spread_in_single_precision_agree_with_double(monkeypatch):
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((400, 64)), 1.1 * random.standard_normal((300, 64)) + 0.1
    double = kid(real, synthetic), prdc(real, synthetic, replicates=50)
    monkeypatch.setattr(engine, "DOUBLE_UP_TO", 0)
    single = kid(real, synthetic), prdc(real, synthetic, replicates=50)
    assert single[0].value == pytest.approx(double[0].value, rel=1e-6)
    assert single[0].standard_error == pytest.approx(double[0].standard_error, rel=1e-6)
    for score in SCORES:
        np.testing.assert_allclose(getattr(single[1], score), getattr(double[1], score), atol=0.005)


def test_a_tile_and_its_blocks_stay_within_the_memory_they_may_take():
    for d in (8, 768, 2048, 100_000):
        for dtype in (torch.float32, torch.float64):
            side = tile_side(d, dtype, torch.device("cpu"))
            entries = engine.TILE_COPIES * side**2 + 2 * side * d
            assert side == 64 or entries * dtype.itemsize <= engine.CPU_BYTES


def test_two_processes_share_the_tiles_and_get_the_same(tmp_path):
    script, meeting = Path(__file__).with_name("team_member.py"), tmp_path / "meeting"
    teams = [("0", "1"), ("0", "2"), ("1", "2")]
    outputs = [tmp_path / f"{rank}-of-{size}.json" for rank, size in teams]
    started = [
        subprocess.Popen([sys.executable, str(script), *team, str(meeting), str(output)])
        for team, output in zip(teams, outputs, strict=True)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    alone, *members = (json.loads(output.read_text()) for output in outputs)
    for found in members:
        for ours, theirs in zip(found, alone, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_exact_squares_are_zero_for_equal_rows_only():
    rows = np.random.default_rng(0).standard_normal((3, 50))
    held = centred_points("x", np.concatenate([rows, rows + 1e-9]))
    found = exact_squares(held, torch.tensor([0, 0]), held, torch.tensor([0, 3]))
    assert found[0] == 0
    assert found[1] == pytest.approx(50e-18, rel=1e-4)
