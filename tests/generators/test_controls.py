"""Controls: what each is made of is known exactly."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from synthassay.errors import UserError
from synthassay.generators.control_specs import BlendSpec, ControlSpec, CopycatSpec, NoiseSpec, OracleSpec
from synthassay.generators.controls import channel_moments, make_control, neighbours
from synthassay.generators.planting import alter
from synthassay.records import ImageSet

ALL = (OracleSpec(), CopycatSpec(), CopycatSpec(base="control", share=0.05), BlendSpec(), NoiseSpec())


def images(split, n_patients, per_patient=1, channels=1, dtype=np.uint8, size=16, seed=0):
    n = n_patients * per_patient
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    pixels = np.rint(np.clip(rng.normal(0.5, 0.12, (n, channels, size, size)), 0, 1) * top).astype(dtype)
    position = np.tile(np.linspace(0, 1, per_patient), n_patients) if per_patient > 1 else np.full(n, np.nan)
    owner = np.repeat(np.arange(n_patients), per_patient)
    return ImageSet(
        name=f"real/{split}", origin="real", pixels=pixels, ids=np.array([f"{split}{i}" for i in range(n)]),
        patients=np.array([f"{split}-{i}" for i in owner]), labels=(owner % 3 == 0).astype(np.int64),
        label_names=("none", "lesion"), split=split,
        groups={"site": np.where(owner % 2 == 0, "north", "south"), "device": np.where(owner % 5 == 0, "X", "Y")},
        covariates={"slice_position": position.astype(np.float32), "age": (40.0 + owner).astype(np.float32)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def train():
    return images("generator-train", 60)


@pytest.fixture(scope="module")
def control():
    return images("control-a", 40, seed=1)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: f"{spec.kind}-{getattr(spec, 'base', '')}")
def test_every_control_repeats_and_says_that_it_is_one(spec, train, control):
    made = make_control(spec, train, control, 40, 7)
    again = make_control(spec, train, control, 40, 7)
    assert made.images.content_id == again.images.content_id
    assert make_control(spec, train, control, 40, 8).images.content_id != made.images.content_id
    assert len(made.images) == len(made.planted) == len(made.source_rows) == len(made.from_train) == 40
    assert (made.images.origin, made.images.split, made.images.name) == ("control", None, spec.name)
    assert made.images.ids[17] == f"{spec.name}-000017"
    assert made.images.pixels.dtype == train.pixels.dtype


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: f"{spec.kind}-{getattr(spec, 'base', '')}")
def test_no_control_depends_on_pseudonyms(spec, train, control):
    def renamed(images):
        names = {name: f"{len(set(images.patients)) - i:04d}" for i, name in enumerate(dict.fromkeys(images.patients))}
        return replace(images, patients=np.array([names[p] for p in images.patients]), content_id="")

    made = make_control(spec, train, control, 40, 0).images
    assert make_control(spec, renamed(train), renamed(control), 40, 0).images.content_id == made.content_id


def test_oracle_is_control_patients_only_each_image_once(train, control):
    made = make_control(OracleSpec(), train, control, 25, 0)
    assert set(made.images.patients) <= set(control.patients)
    assert not set(made.images.patients) & set(train.patients)
    rows = made.source_rows[:, 0]
    assert len(set(rows)) == 25
    np.testing.assert_array_equal(made.images.pixels, control.pixels[rows])
    np.testing.assert_array_equal(made.images.labels, control.labels[rows])
    np.testing.assert_array_equal(made.images.groups["site"], control.groups["site"][rows])
    np.testing.assert_array_equal(made.images.covariates["age"], control.covariates["age"][rows])
    assert not made.from_train.any()
    assert set(made.planted) == {""}


def test_oracle_never_repeats_an_image_to_reach_the_count(train, control):
    assert len(make_control(OracleSpec(), train, control, 400, 0).images) == len(control)


def test_copycat_is_train_images_in_equal_parts_of_each_kind(train, control):
    made = make_control(CopycatSpec(), train, control, 60, 0)
    assert Counter(made.planted.tolist()) == {"exact": 15, "mirrored": 15, "rotated": 15, "noise": 15}
    assert set(made.images.patients) == set(train.patients)
    rows = made.source_rows[:, 0]
    assert made.from_train.all()
    for kind in ("exact", "mirrored"):
        chosen = made.planted == kind
        expected = alter(train.pixels[rows[chosen]], kind, np.zeros(chosen.sum(), np.int64))
        np.testing.assert_array_equal(made.images.pixels[chosen], expected)
    for kind in ("rotated", "noise"):
        chosen = made.planted == kind
        assert (made.images.pixels[chosen] != train.pixels[rows[chosen]]).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(made.images.labels, train.labels[rows])


def test_copycat_leaves_all_but_its_share_unaltered(train, control):
    made = make_control(CopycatSpec(share=0.2, kinds=("mirrored",)), train, control, 60, 0)
    assert Counter(made.planted.tolist()) == {"exact": 48, "mirrored": 12}


def test_copycat_can_be_larger_than_train(train, control):
    made = make_control(CopycatSpec(share=0), train, control, 150, 0)
    assert np.bincount(made.source_rows[:, 0]).tolist().count(2) == 30
    np.testing.assert_array_equal(made.images.pixels, train.pixels[made.source_rows[:, 0]])


@pytest.mark.parametrize(
    ("share", "n", "planted"), [(0.0, 40, 0), (0.01, 40, 0), (0.05, 40, 2), (0.0125, 40, 1), (1.0, 40, 40)]
)
def test_planted_share_of_an_honest_set_is_exact(share, n, planted, train, control):
    made = make_control(CopycatSpec(base="control", share=share), train, control, n, 0)
    assert len(made.images) == n
    assert made.from_train.sum() == (made.planted != "").sum() == planted
    sources = np.where(made.from_train, np.isin(made.images.patients, train.patients),
                       np.isin(made.images.patients, control.patients))  # fmt: skip
    assert sources.all()
    assert len(set(made.images.patients[made.from_train])) == planted  # distinct train patients


def test_rows_that_are_not_planted_are_those_of_the_oracle(train, control):
    oracle = make_control(OracleSpec(), train, control, 40, 0)
    made = make_control(CopycatSpec(base="control", share=0.25), train, control, 40, 0)
    honest = ~made.from_train
    np.testing.assert_array_equal(made.images.pixels[honest], oracle.images.pixels[honest])
    np.testing.assert_array_equal(made.images.patients[honest], oracle.images.patients[honest])
    np.testing.assert_array_equal(made.source_rows[honest], oracle.source_rows[honest])
    exact = made.planted == "exact"
    np.testing.assert_array_equal(made.images.pixels[exact], train.pixels[made.source_rows[exact, 0]])
    assert Counter(made.planted[~honest].tolist()) == {"exact": 3, "mirrored": 3, "rotated": 2, "noise": 2}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_blend_is_an_average_of_two_train_images_of_one_label(dtype, control):
    train = images("generator-train", 20, dtype=dtype)
    made = make_control(BlendSpec(), train, control, 30, 0)
    first, second = made.source_rows.T
    assert (first != second).all()
    np.testing.assert_array_equal(train.labels[first], train.labels[second])
    np.testing.assert_array_equal(made.images.labels, train.labels[first])
    np.testing.assert_array_equal(made.images.patients, train.patients[first])
    a, b = (train.pixels[rows].astype(float) for rows in (first, second))
    weight = ((made.images.pixels - b) * (a - b)).sum((1, 2, 3)) / ((a - b) ** 2).sum((1, 2, 3))
    assert (weight > 0.39).all()
    assert (weight < 0.61).all()
    assert np.abs(made.images.pixels - (weight[:, None, None, None] * (a - b) + b)).max() <= 1.0


def test_blend_of_single_images_takes_the_nearest_of_the_label():
    train = images("generator-train", 30, size=32)
    partner = neighbours(train, 0)
    thumbs = train.pixels.reshape(30, 16, 2, 16, 2).mean((2, 4)).reshape(30, -1)
    distance = ((thumbs[:, None] - thumbs[None]) ** 2).sum(-1)
    distance[train.labels[:, None] != train.labels[None]] = np.inf
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(partner, distance.argmin(1))


def test_blend_of_stacks_takes_adjacent_slices_of_the_same_stack():
    train = images("generator-train", 8, per_patient=5)
    partner = neighbours(train, 0)
    rows = np.arange(40)
    assert set(np.abs(partner - rows)) == {1}
    np.testing.assert_array_equal(train.patients[partner], train.patients)
    ends = rows % 5 == 0
    assert (partner[ends] == rows[ends] + 1).all()


def test_a_new_study_of_the_patient_starts_a_new_stack():
    train = images("generator-train", 1, per_patient=6)
    train = replace(train, covariates={"slice_position": np.array([0, 0.5, 1, 0, 0.5, 1], np.float32)}, content_id="")
    partner = neighbours(train, 0)
    assert partner[2] == 1
    assert partner[3] == 4


def test_slices_of_another_label_are_not_blended():
    train = images("generator-train", 2, per_patient=4)
    train = replace(train, labels=np.array([0, 0, 1, 1, 0, 1, 1, 1]), content_id="")
    partner = neighbours(train, 0)
    assert (partner >= 0).all()
    np.testing.assert_array_equal(train.labels[partner], train.labels)
    assert partner[1] == 0
    assert partner[2] == 3


def test_blend_without_a_pair_is_refused(control):
    with pytest.raises(UserError, match="no label has two"):
        make_control(BlendSpec(), images("generator-train", 2), control, 5, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_noise_has_the_mean_and_deviation_of_each_channel(dtype, control):
    train = images("generator-train", 40, channels=3, dtype=dtype)
    darker = train.pixels.copy()
    darker[:, 1] //= 2
    train = replace(train, pixels=darker, content_id="")
    made = make_control(NoiseSpec(), train, control, 60, 0).images
    expected = [train.pixels[:, c].mean() for c in range(3)], [train.pixels[:, c].std() for c in range(3)]
    np.testing.assert_allclose(channel_moments(train), expected, rtol=1e-9)
    np.testing.assert_allclose([made.pixels[:, c].mean() for c in range(3)], expected[0], rtol=0.02)
    np.testing.assert_allclose([made.pixels[:, c].std() for c in range(3)], expected[1], rtol=0.02)
    row = made.pixels[:, 0, :, :-1].ravel().astype(float), made.pixels[:, 0, :, 1:].ravel().astype(float)
    assert abs(np.corrcoef(*row)[0, 1]) < 0.03


def test_noise_follows_the_labels_and_groups_of_train_but_nobodys_patients(train, control):
    made = make_control(NoiseSpec(), train, control, 60, 0).images
    table = lambda s: Counter(
        zip(s.labels.tolist(), s.groups["site"].tolist(), s.groups["device"].tolist(), strict=True)
    )
    expected, found = table(train), table(made)
    assert found.keys() <= expected.keys()
    assert all(abs(found[cell] - count) <= 2 for cell, count in expected.items())
    np.testing.assert_array_equal(made.patients, made.ids)


def test_noise_image_i_does_not_depend_on_the_count(train, control):
    few, many = (make_control(NoiseSpec(), train, control, n, 0).images for n in (5, 20))
    np.testing.assert_array_equal(few.pixels, many.pixels[:5])


@pytest.mark.parametrize(
    ("spec", "missing"),
    [(OracleSpec(), "control"), (CopycatSpec(base="control"), "control"), (CopycatSpec(), "train"),
     (BlendSpec(), "train"), (NoiseSpec(), "train")],
)  # fmt: skip
def test_an_empty_split_is_named(spec, missing, train, control):
    sets = {"train": train, "control": control}
    sets[missing] = sets[missing].take(np.zeros(len(sets[missing]), bool))
    with pytest.raises(UserError, match=missing):
        make_control(spec, sets["train"], sets["control"], 10, 0)


def test_unknown_specs_are_a_programming_error(train, control):
    with pytest.raises(TypeError, match="ControlSpec"):
        make_control(ControlSpec(name="x"), train, control, 10, 0)


def test_specs_refuse_nonsense_and_differ_in_their_keys():
    for wrong in ({"share": 1.5}, {"kinds": ()}, {"kinds": ("exact", "exact")}, {"kinds": ("blurred",)}):
        with pytest.raises(ValidationError):
            CopycatSpec(**wrong)
    with pytest.raises(ValidationError):
        BlendSpec(weight_low=0.6, weight_high=0.4)
    keys = [str(spec.to_key()) for spec in ALL]
    assert len(set(keys)) == len(keys)


def test_sources_may_be_memory_maps(tmp_path, train, control):
    np.save(tmp_path / "pixels.npy", train.pixels)
    mapped = replace(train, pixels=np.load(tmp_path / "pixels.npy", mmap_mode="r"), content_id="")
    for spec in ALL:
        made = make_control(spec, mapped, control, 20, 0)
        assert made.images.content_id == make_control(spec, train, control, 20, 0).images.content_id
