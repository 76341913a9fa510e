"""Precision, recall, density, coverage: the definition written out, exclusion of patients, half-samples, direction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from synthassay.errors import UserError
from synthassay.metrics import tiles
from synthassay.metrics.halfsampling import half_samples
from synthassay.metrics.intervals import unit_codes
from synthassay.metrics.neighbours import Convention, compare, describe
from synthassay.metrics.points import centred_points
from synthassay.metrics.prdc import SCORES, manifold_scores, prdc


def written_out(real, synthetic, k, real_units=None, synthetic_units=None):
    """The definition with exact subtraction, so that ties are ties; a unit excludes all of its rows."""

    def radii(rows, units):
        distances = cdist(rows, rows)
        distances[units[:, None] == units[None, :]] = np.inf
        return np.sort(distances, axis=1)[:, k - 1]

    real_units = np.arange(len(real)) if real_units is None else real_units
    synthetic_units = np.arange(len(synthetic)) if synthetic_units is None else synthetic_units
    distances = cdist(real, synthetic)
    inside = distances < radii(real, real_units)[:, None]
    recalled = distances < radii(synthetic, synthetic_units)[None, :]
    return {"precision": inside.any(axis=0).mean(), "recall": recalled.any(axis=1).mean(),
            "density": inside.sum() / (k * len(synthetic)), "coverage": inside.any(axis=1).mean()}  # fmt: skip


def assert_scores(found, expected):
    for score in SCORES:
        assert found.value(score) == pytest.approx(expected[score], abs=1e-15), score


@pytest.mark.parametrize(("n", "m", "d", "k"), [(60, 50, 8, 5), (40, 90, 200, 3), (300, 200, 2, 5)])
def test_both_variants_equal_the_definition(cohort, n, m, d, k):
    random = np.random.default_rng(n)
    units, other = np.repeat(np.arange(n // 2), 2), np.repeat(np.arange(m // 5), 5)
    real = np.repeat(random.standard_normal((n // 2, d)), 2, axis=0) + 0.2 * random.standard_normal((n, d))
    synthetic = np.repeat(random.standard_normal((m // 5, d)), 5, axis=0) + 0.2 * random.standard_normal((m, d))
    both = {"real_units": units, "synthetic_units": other}
    assert_scores(prdc(real, synthetic, k=k, variant="classic", **both), written_out(real, synthetic, k))
    assert_scores(prdc(real, synthetic, k=k, **both), written_out(real, synthetic, k, units, other))


def test_tiles_give_the_same_as_one_block(monkeypatch):
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((60, 5)), random.standard_normal((44, 5))
    both = {"real_units": np.repeat(np.arange(20), 3), "synthetic_units": np.repeat(np.arange(22), 2)}
    whole = prdc(real, synthetic, **both)
    monkeypatch.setattr(tiles, "tile_side", lambda *_: 7)
    tiled = prdc(real, synthetic, **both)
    for score in SCORES:
        np.testing.assert_array_equal(getattr(whole, score), getattr(tiled, score))


def test_copies_lie_on_the_edge_of_a_neighbourhood_and_not_in_it():
    # A copy of r's k-th neighbour is exactly at r's radius; rounding must not let it in.
    random = np.random.default_rng(0)
    real = random.standard_normal((80, 300)) * 3 + 5
    assert_scores(prdc(real, real[:40].copy(), k=5), written_out(real, real[:40], 5))


def test_duplicates_make_a_ball_of_radius_zero_which_holds_nothing():
    random = np.random.default_rng(0)
    real = np.repeat(random.standard_normal((10, 20)), 6, axis=0)
    synthetic = np.repeat(real[::6], 2, axis=0)
    found = prdc(real, synthetic, k=5)
    assert [found.value(score) for score in ("precision", "density", "coverage")] == [0.0, 0.0, 0.0]
    assert found.value("recall") > 0.5


def test_images_of_one_patient_are_not_each_others_neighbours(make_cohort):
    real, patients, _ = make_cohort(within=0.05).images(30, 8)
    synthetic, _, _ = make_cohort(within=0.05, seed=1).images(200, 1)
    classic, aware = (prdc(real, synthetic, real_units=patients, variant=v) for v in ("classic", "patient-aware"))
    assert aware.value("coverage") > classic.value("coverage")
    assert aware.value("precision") > classic.value("precision")


@pytest.mark.parametrize("scale", [1.0, 4.0])  # with 4 nearly all pairs are close, and are counted by products
@pytest.mark.parametrize(("patients", "each", "k"), [(16, 3, 3), (6, 4, 3)])
def test_each_half_sample_equals_computing_on_that_half(scale, patients, each, k):
    random = np.random.default_rng(0)
    n = patients * each
    real, synthetic = random.standard_normal((n, 6)), scale * random.standard_normal((40, 6))
    units = np.repeat(np.arange(patients), each)
    sides = []
    for rows, codes in ((real, units), (synthetic, np.arange(40))):
        kept = half_samples(unit_codes(codes), 12, np.random.default_rng(1))
        sides.append((describe(centred_points("x", rows, codes), kept, k), kept))
    (first, kept_real), (second, kept_synthetic) = sides
    convention = Convention(k)
    found = manifold_scores(second, first, compare(second, first, (convention,)), convention)
    for variant, names in (("patient-aware", units), ("classic", np.arange(n))):
        for replicate in range(13):
            a, b = kept_real[:, replicate], kept_synthetic[:, replicate]
            expected = written_out(real[a], synthetic[b], k, names[a])
            for score in SCORES:
                value = getattr(found[variant], score)[replicate]
                assert value == pytest.approx(expected[score], abs=1e-14), (variant, replicate, score)


def test_variants_with_unequal_half_samples_are_counted_apart():
    # Halves of 5 patients leave a row without 5 neighbours of others, but not without 5 others.
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((20, 6)), random.standard_normal((20, 6))
    units = {"real_units": np.repeat(np.arange(5), 4), "replicates": 50}
    aware, classic = (prdc(real, synthetic, variant=variant, **units) for variant in ("patient-aware", "classic"))
    assert len(aware.recall) == 1
    assert len(classic.recall) == 51
    assert classic.recall.max() <= 1.0
    assert aware.interval("recall").low is None
    assert classic.interval("recall").low is not None


def test_worse_sets_score_lower(make_cohort):
    source = make_cohort(dimension=6)
    real, patients, _ = source.images(100, 3)
    good, _, cluster = source.images(300, 1)
    values = {name: prdc(real, rows.astype(np.float64), real_units=patients, replicates=20) for name, rows in {
        "good": good, "one mode": good[cluster == 0], "noisy": good + 3 * source.random.standard_normal(good.shape),
        "far": good + 50}.items()}  # fmt: skip
    for score in SCORES:
        assert values["far"].value(score) == 0.0
        assert values["good"].value(score) > 0.8
    assert values["one mode"].value("coverage") < 0.6 * values["good"].value("coverage")
    assert values["one mode"].value("precision") > 0.8
    assert values["noisy"].value("precision") < 0.5 * values["good"].value("precision")


def test_a_share_of_zero_has_an_upper_bound_and_density_none():
    real = np.random.default_rng(0).standard_normal((40, 4))
    found = prdc(real, real + 100)
    low, high = found.interval("precision").ends()
    assert low == 0.0
    assert 0.05 < high < 0.15
    assert found.interval("density").low is None


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), d=st.integers(1, 10))
def test_order_and_rotation_do_not_matter(seed, d):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((24, d)), random.standard_normal((18, d)) * 1.2
    turn = np.linalg.qr(random.standard_normal((d, d)))[0]
    expected = prdc(a, b, k=3, replicates=2)
    turned = prdc(random.permutation(a) @ turn, random.permutation(b) @ turn, k=3, replicates=2)
    assert_scores(turned, {score: expected.value(score) for score in SCORES})


@pytest.mark.parametrize("n", [1, 5])
def test_k_neighbours_must_exist(n):
    rows = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(UserError, match=rf"'real' has {n} rows of {n} patients: too few"):
        prdc(rows[:n], rows, k=5)
    with pytest.raises(UserError, match="'synthetic' has 20 rows of 1 patients"):
        prdc(rows, rows, k=5, synthetic_units=np.zeros(20))
