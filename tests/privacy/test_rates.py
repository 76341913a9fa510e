import numpy as np
import pytest

from synthassay.privacy.rates import Rate, certifiable_rate, clustered_rate, copied_share, difference, recall_by_patient


def rate(flags: np.ndarray, clusters: np.ndarray | None = None, seed: int = 0) -> Rate:
    owner = np.arange(len(flags)) if clusters is None else clusters
    return clustered_rate(flags.astype(bool), owner, np.random.default_rng(seed), 500)


def hits(count: int, n: int) -> np.ndarray:
    return np.arange(n) < count


def test_certifying_one_in_a_hundred_needs_381_units():
    assert certifiable_rate(381) <= 0.01 < certifiable_rate(380)
    assert certifiable_rate(39) <= 0.09 < certifiable_rate(38)


def test_a_rate_counts_its_images_and_clusters():
    found = rate(hits(10, 100), np.arange(100) // 2)
    assert (found.value, found.hits, found.n, found.clusters) == (0.1, 10, 100, 50)
    assert found.low < 0.1 < found.high


def test_no_event_still_has_an_upper_limit_from_the_patients():
    found = rate(hits(0, 400), np.arange(400) // 2)
    assert found.low == 0
    assert found.high == pytest.approx(certifiable_rate(200))


def test_images_of_one_patient_that_agree_count_as_one():
    together = rate(np.repeat(hits(10, 100), 10), np.repeat(np.arange(100), 10))
    apart = rate(np.repeat(hits(10, 100), 10))
    assert together.n_effective == pytest.approx(100, abs=2)
    assert apart.n_effective == pytest.approx(1000, abs=5)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_few_flagged_patients_cannot_show_that_their_images_are_independent():
    assert rate(hits(3, 400), np.arange(400) % 200).n_effective <= 200


def test_names_of_patients_change_nothing():
    rng = np.random.default_rng(5)
    owner, flags = rng.integers(0, 40, 200), rng.random(200) < 0.2
    assert rate(flags, owner) == rate(flags, np.array([f"z{99 - i}" for i in owner]))


@pytest.mark.parametrize("correlation", [0.05, 0.5])
def test_the_interval_covers_a_rare_rate_of_clustered_images(correlation: float):
    rng = np.random.default_rng(6)
    truth, covered = 0.01, 0
    for _ in range(200):
        chance = rng.beta(truth * (1 / correlation - 1), (1 - truth) * (1 / correlation - 1), 200)
        owner = np.repeat(np.arange(200), rng.integers(1, 4, 200))
        found = rate(rng.random(len(owner)) < chance[owner], owner)
        covered += found.low <= truth <= found.high
    assert covered >= 186  # 95% of 200 is 190, less two standard deviations of luck


def test_an_empty_set_has_no_rate():
    with pytest.raises(ValueError, match="at least one"):
        rate(np.empty(0))
    with pytest.raises(ValueError, match="at least one"):
        recall_by_patient(np.empty(0, bool), np.empty(0, np.str_))


def test_recall_of_35_patients_of_35_is_at_least_nine_tenths():
    patients = np.arange(35).astype(np.str_)
    assert recall_by_patient(hits(35, 35), patients).low == pytest.approx(0.9, abs=1e-3)
    assert recall_by_patient(hits(34, 35), patients).low < 0.86


def test_recall_is_by_patient_and_rounds_down():
    # Patient a: 9 of 10 found, b: 0 of 1. By image 0.82, by patient 0.45, and less than one patient is found for sure.
    found = recall_by_patient(hits(9, 11), np.array(["a"] * 10 + ["b"]))
    assert found.value == pytest.approx(0.45)
    assert found.low == 0
    assert found.clusters == 2


def test_the_difference_of_equal_rates_contains_zero_and_of_far_ones_does_not():
    same, low, high = difference(rate(hits(10, 1000)), rate(hits(4, 400)))
    assert same == 0
    assert low < 0 < high
    assert difference(rate(hits(100, 1000)), rate(hits(4, 400)))[1] > 0.05


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 1.0])
def test_the_copied_share_covers_the_truth(share: float):
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(80):
        truth = np.where(np.arange(800) < share * 800, 0.95, 0.01)
        recalls = [recall_by_patient(rng.random(100) < 0.95, np.arange(100).astype(np.str_)) for _ in range(4)]
        found = copied_share(rate(rng.random(800) < truth), rate(rng.random(400) < 0.01), recalls, rng, 500)
        assert found is not None
        covered += found[1] <= share <= found[2]
        assert 0 <= found[1] <= found[0] <= found[2] <= 1
    assert covered >= 72  # 95% of 80 is 76, less two standard deviations of luck


def test_the_copied_share_corrects_for_copies_that_are_missed():
    recalls = [recall_by_patient(hits(50, 100), np.arange(100).astype(np.str_))]
    found = copied_share(rate(hits(100, 1000)), rate(hits(0, 1000)), recalls, np.random.default_rng(0), 500)
    assert found is not None
    assert found[0] == pytest.approx(0.2)


def test_no_share_without_recall_above_the_false_alarms():
    blind = [recall_by_patient(hits(1, 100), np.arange(100).astype(np.str_))]
    rng = np.random.default_rng(0)
    assert copied_share(rate(hits(20, 1000)), rate(hits(10, 1000)), blind, rng, 500) is None
    assert copied_share(rate(hits(20, 1000)), rate(hits(10, 1000)), [], rng, 500) is None
