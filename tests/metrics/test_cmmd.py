"""CMMD: its name, tiles, invariances, direction, standard error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthassay.errors import UserError
from synthassay.metrics import tiles
from synthassay.metrics.cmmd import cmmd, cmmd_name


def test_only_clip_features_carry_the_name():
    assert cmmd_name("clip-vitl14-336") == "cmmd"
    assert cmmd_name("fid-inception") == cmmd_name("clip-vit-b32") == "mmd_rbf"


def test_equal_sets_are_at_zero_and_opposite_directions_are_far():
    rows = np.random.default_rng(0).standard_normal((40, 8)) + 4
    assert cmmd(rows, rows).value == pytest.approx(0.0, abs=1e-9)
    # All directions of one side in one point, of the other in its opposite: 1000·(2 - 2·exp(-4/200)).
    assert cmmd(np.ones((5, 3)), -np.ones((4, 3))).value == pytest.approx(2000 * (1 - np.exp(-0.02)), rel=1e-9)


def test_tiles_give_the_same_as_one_block(monkeypatch):
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((90, 6)), random.standard_normal((70, 6)) + 0.4
    whole = cmmd(real, synthetic)
    monkeypatch.setattr(tiles, "tile_side", lambda *_: 13)
    tiled = cmmd(real, synthetic)
    assert tiled.value == pytest.approx(whole.value, rel=1e-9)
    assert tiled.standard_error == pytest.approx(whole.standard_error, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(4, 25), d=st.integers(2, 12))
def test_order_rotation_length_and_sides_do_not_matter(seed, n, d):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((n, d)), random.standard_normal((n + 3, d)) + 0.5
    turn = np.linalg.qr(random.standard_normal((d, d)))[0]
    expected = cmmd(a, b)
    turned = cmmd(3 * random.permutation(b) @ turn, random.uniform(1, 9, (n, 1)) * (a @ turn))
    assert turned.value == pytest.approx(expected.value, rel=1e-7, abs=1e-9)
    assert turned.standard_error == pytest.approx(expected.standard_error, rel=1e-7, abs=1e-9)


def test_more_noise_is_further_away():
    random = np.random.default_rng(0)
    real, fresh, noise = random.standard_normal((3, 200, 10))
    values = [cmmd(real + 1, fresh + 1 + level * noise).value for level in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


def test_the_standard_error_matches_repeated_sampling_of_patients():
    random = np.random.default_rng(0)
    found = []
    for _ in range(150):
        real = np.repeat(random.standard_normal((50, 6)), 3, axis=0) + 0.3 * random.standard_normal((150, 6))
        synthetic = random.standard_normal((100, 6)) + 0.4
        found.append(cmmd(real, synthetic, real_units=np.repeat(np.arange(50), 3)))
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.2)


def test_what_has_no_direction_or_no_patients_is_said():
    with pytest.raises(UserError, match="row 1 of 'synthetic' is all zeros"):
        cmmd(np.ones((3, 2)), np.array([[1.0, 0.0], [0.0, 0.0]]))
    alone = cmmd(np.ones((3, 2)), -np.ones((3, 2)), real_units=np.zeros(3))
    assert alone.standard_error is None
    assert "2 patients" in alone.interval().note
