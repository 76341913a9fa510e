"""Authenticity: the definition, the index bug of other tools, patients, the floor's dimension effect."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from synthassay.metrics.authenticity import authenticity


def test_fifty_patients_copied_forty_times_are_not_authentic():
    # Tools that index the real nearest-neighbour distances with synthetic indices give 0.88 here.
    train = np.random.default_rng(0).standard_normal((2000, 64))
    assert authenticity(train, np.repeat(train[:50], 40, axis=0)).value == 0.0


def test_it_equals_the_definition_written_out():
    random = np.random.default_rng(0)
    train, synthetic = random.standard_normal((60, 5)), random.standard_normal((45, 5))
    units = np.repeat(np.arange(20), 3)
    for variant, same in (("classic", np.eye(60, dtype=bool)), ("patient-aware", units[:, None] == units[None, :])):
        own = np.where(same, np.inf, cdist(train, train)).min(axis=1)
        nearest = cdist(synthetic, train).argmin(axis=1)
        expected = (own[nearest] < cdist(synthetic, train).min(axis=1)).mean()
        assert authenticity(train, synthetic, train_units=units, variant=variant).value == expected


def test_slices_of_one_patient_must_not_make_copies_look_authentic(make_cohort):
    train, patients, _ = make_cohort(within=0.02).images(40, 6)
    near_copies = train[::3] + 0.05 * np.random.default_rng(0).standard_normal(train[::3].shape)
    aware = authenticity(train, near_copies, train_units=patients).value
    classic = authenticity(train, near_copies, train_units=patients, variant="classic").value
    assert aware == 0.0
    assert classic > 0.9


@pytest.mark.parametrize(("d", "expected"), [(2, 0.41), (16, 0.67), (64, 0.80)])
def test_honest_held_out_data_scores_what_the_reference_measured(d, expected):
    random = np.random.default_rng(0)
    assert authenticity(random.standard_normal((1000, d)), random.standard_normal((1000, d))).value == pytest.approx(
        expected, abs=0.05
    )


def test_the_interval_covers_the_value_expected_for_this_training_set():
    random = np.random.default_rng(0)
    train = random.standard_normal((120, 8))
    truth = authenticity(train, random.standard_normal((20_000, 8))).value
    hits = 0
    for _ in range(100):
        low, high = authenticity(train, random.standard_normal((80, 8))).interval().ends()
        hits += low <= truth <= high
    assert 88 <= hits <= 100


def test_all_copies_still_leave_room_for_doubt():
    train = np.random.default_rng(0).standard_normal((60, 8))
    low, high = authenticity(train, train[:30].copy()).interval().ends()
    assert low == 0.0
    assert 0.05 < high < 0.15
