import numpy as np
import pytest

from synthassay.privacy import copies
from synthassay.privacy.copies import Scale, TrainIndex, joint_scores, threshold_below
from synthassay.privacy.spaces import Space


def space(vectors: np.ndarray, patients: np.ndarray | None = None) -> Space:
    owner = np.arange(len(vectors)) if patients is None else patients
    return Space("x", vectors.astype(np.float32), np.array([f"p{i}" for i in owner]))


@pytest.fixture
def crowd() -> tuple[Space, Space, Space]:
    """60 training images of 20 patients in no order, their mirror images, and 40 queries."""
    rng = np.random.default_rng(1)
    owner = rng.permutation(np.repeat(np.arange(20), 3))
    train, mirrored = rng.normal(5, 1, (60, 12)), rng.normal(5, 1, (60, 12))
    return space(train, owner), space(mirrored, owner), space(rng.normal(5, 1, (40, 12)))


def plain_ratio(query: np.ndarray, train: Space, mirrored: Space | None, neighbours: int) -> tuple[float, int, bool]:
    """The definition, one image at a time in float64."""
    sides = [train] if mirrored is None else [train, mirrored]
    distances = np.stack([np.linalg.norm(side.vectors.astype(float) - query, axis=1) for side in sides])
    both = distances.min(axis=0)
    by_patient = sorted(both[train.patients == p].min() for p in np.unique(train.patients))
    row = int(both.argmin())
    return by_patient[0] / np.mean(by_patient[1 : neighbours + 1]), row, bool(distances[:, row].argmin())


@pytest.mark.parametrize("with_mirror", [True, False])
@pytest.mark.parametrize("neighbours", [1, 5])
def test_scores_agree_with_the_definition(crowd: tuple[Space, Space, Space], with_mirror: bool, neighbours: int):
    train, mirrored, query = crowd
    other = mirrored if with_mirror else None
    found = TrainIndex(train, other).score(query, neighbours)
    expected = [plain_ratio(row.astype(float), train, other, neighbours) for row in query.vectors]
    np.testing.assert_allclose(found.scores, [ratio for ratio, _, _ in expected], rtol=1e-4)
    np.testing.assert_array_equal(found.rows, [row for _, row, _ in expected])
    np.testing.assert_array_equal(found.mirrored, [flip for _, _, flip in expected])


def test_tiles_change_nothing(crowd: tuple[Space, Space, Space], monkeypatch: pytest.MonkeyPatch):
    train, mirrored, query = crowd
    whole = TrainIndex(train, mirrored).score(query, 5)
    monkeypatch.setattr(copies, "_TILE", 60 * 7)
    tiled = TrainIndex(train, mirrored).score(query, 5)
    np.testing.assert_allclose(tiled.scores, whole.scores, rtol=1e-5)
    np.testing.assert_array_equal(tiled.rows, whole.rows)


def test_many_images_of_one_patient_do_not_hide_a_copy_of_it():
    rng = np.random.default_rng(2)
    own = rng.normal(size=8) + 0.01 * rng.normal(size=(30, 8))  # thirty near-duplicates: a ratio over images sees 1
    train = space(np.concatenate([own, rng.normal(size=(20, 8))]), np.r_[np.zeros(30), np.arange(1, 21)])
    assert TrainIndex(train, None).score(space(own[:1] + 0.01), 5).scores[0] < 0.1


def test_a_mirrored_copy_is_found_and_named_only_with_the_mirrored_search(crowd: tuple[Space, Space, Space]):
    train, mirrored, _ = crowd
    copy = space(mirrored.vectors[[17]])
    with_mirror, without = (TrainIndex(train, side).score(copy, 5) for side in (mirrored, None))
    assert with_mirror.scores[0] < 0.01 < 0.3 < without.scores[0]
    assert with_mirror.rows[0] == 17
    assert with_mirror.mirrored[0]


def test_patients_are_numbered_by_first_appearance(crowd: tuple[Space, Space, Space]):
    train, mirrored, query = crowd
    renamed = np.array([f"{1000 - int(p[1:])}" for p in train.patients])
    again = TrainIndex(Space("x", train.vectors, renamed), mirrored).score(query, 5)
    first = TrainIndex(train, mirrored).score(query, 5)
    np.testing.assert_array_equal(again.scores, first.scores)
    np.testing.assert_array_equal(again.train_patients, first.train_patients)


def test_empty_images_all_around_give_a_ratio_of_one():
    assert TrainIndex(space(np.zeros((9, 4))), None).score(space(np.zeros((1, 4))), 5).scores[0] == 1.0


def test_no_query_gives_no_score(crowd: tuple[Space, Space, Space]):
    assert len(TrainIndex(crowd[0], None).score(space(np.empty((0, 12))), 5).scores) == 0


def test_too_few_training_patients_are_refused():
    with pytest.raises(ValueError, match="5 training patients, but the ratio needs 6"):
        TrainIndex(space(np.eye(5)), None).score(space(np.eye(5)), 5)


def test_a_mirrored_train_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="mirrored train"):
        TrainIndex(space(np.eye(5)), space(np.eye(4)))


@pytest.mark.parametrize(("n", "rank"), [(20, 1), (98, 1), (99, 1), (198, 1), (199, 2), (1000, 10)])
def test_the_threshold_is_the_cautious_order_statistic(n: int, rank: int):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    threshold = threshold_below(scores, 0.01)
    assert threshold == rank
    assert (scores < threshold).mean() <= 0.01


def test_the_threshold_keeps_its_rate_on_new_images():
    rng = np.random.default_rng(3)
    realised = [(rng.normal(size=2000) < threshold_below(rng.normal(size=400), 0.01)).mean() for _ in range(300)]
    assert 0.008 < np.mean(realised) < 0.011  # 4 / 401


def test_no_control_gives_no_threshold():
    with pytest.raises(ValueError, match="at least one"):
        threshold_below(np.empty(0), 0.01)


def test_the_joint_score_is_that_of_the_more_alarming_space(crowd: tuple[Space, Space, Space]):
    train, mirrored, query = crowd
    parts = tuple(TrainIndex(*sides).score(query, 5) for sides in ((train, None), (mirrored, None)))
    joint = joint_scores(parts, tuple(Scale.of(part, 0.01) for part in parts))
    standard = np.stack([Scale.of(part, 0.01).standardise(part.scores) for part in parts])
    np.testing.assert_array_equal(joint.scores, standard.min(axis=0))
    np.testing.assert_array_equal(joint.members, standard.argmin(axis=0))
    for member in (0, 1):
        mine = joint.members == member
        np.testing.assert_array_equal(joint.ratios[mine], parts[member].scores[mine])
        np.testing.assert_array_equal(joint.rows[mine], parts[member].rows[mine])


def test_each_space_alone_would_alarm_at_minus_one(crowd: tuple[Space, Space, Space]):
    scores = TrainIndex(crowd[0], None).score(crowd[2], 5)
    scale = Scale.of(scores, 0.25)
    assert (scale.standardise(scores.scores) < -1).mean() == pytest.approx(0.25)
