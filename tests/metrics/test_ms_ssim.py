"""MS-SSIM diversity: pairing by patient, small images, direction, interval, results."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from synthassay.errors import UserError
from synthassay.metrics.ms_ssim import (
    PairSimilarity,
    definition,
    disjoint_pairs,
    diversity_by_group,
    ms_ssim_diversity,
    ms_ssim_results,
    scale_weights,
    scales_for,
)
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import ImageSet


def rng(seed=0):
    return np.random.default_rng(seed)


def pictures(n, side=32, seed=0, channels=1, dtype=np.uint8):
    """Smooth random images [n, c, side, side]."""
    fields = gaussian_filter(rng(seed).standard_normal((n, channels, side, side)), (0, 0, 3, 3))
    top = np.iinfo(dtype).max
    return np.clip((fields * 2 + 0.5) * top, 0, top).astype(dtype)


def image_set(pixels, *, name="set", patients=None, labels=None, origin="generator"):
    n = len(pixels)
    names = np.array([f"{name}-{i}" for i in range(n)]) if patients is None else np.asarray(patients, np.str_)
    return ImageSet(name=name, origin=origin, pixels=pixels, ids=np.array([f"i{i}" for i in range(n)]), patients=names,
                    labels=np.zeros(n, np.int64) if labels is None else labels,
                    label_names=("absent", "present"))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=15), seed=st.integers(0, 2**16))
def test_pairs_are_disjoint_and_join_two_patients_that_have_no_other_partner(sizes, seed):
    codes = rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    left, right, couples = disjoint_pairs(codes, rng(seed))
    rows = np.concatenate([left, right])
    assert len(np.unique(rows)) == len(rows)
    members = {}
    for a, b, couple in zip(codes[left], codes[right], couples, strict=True):
        assert a != b
        members.setdefault(int(couple), set()).update((int(a), int(b)))
    assert all(len(pair) == 2 for pair in members.values())
    assert len(members) == len(sizes) // 2  # every patient but a last odd one
    assert sum(map(len, members.values())) == len(set().union(*members.values(), set()))
    for couple, pair in members.items():  # as many pairs as the patient with fewer images allows
        assert np.sum(couples == couple) == min(sizes[unit] for unit in pair)


def test_the_first_pairs_are_of_as_many_patients_as_possible():
    _, _, couples = disjoint_pairs(np.repeat(np.arange(20), 5), rng())
    assert len(np.unique(couples[:10])) == 10
    assert len(couples) == 50


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (21, 1), (22, 2), (43, 2), (44, 3), (64, 3), (98, 3), (99, 4), (175, 4), (176, 5)]
)
def test_small_images_have_fewer_scales_and_the_engine_takes_them(side, scales):
    pixels = pictures(4, side)
    assert scales_for(pixels) == scales
    assert f"{scales} scales" in definition(pixels)
    found = ms_ssim_diversity(pixels, generator=rng())
    assert len(found.values) == 2
    assert ((found.values >= 0) & (found.values <= 1)).all()


def test_volumes_are_compared_in_three_dimensions():
    first = np.repeat(pictures(4, 16)[:, :, None], 16, axis=2)  # the same slice 16 times
    assert "11x11x11 Gaussian window" in definition(first)
    flat = ms_ssim_diversity(first[:, :, 0], generator=rng()).values
    np.testing.assert_allclose(ms_ssim_diversity(first, generator=rng()).values, flat, atol=1e-3)


def test_fewer_weights_have_sum_one_and_the_five_are_the_papers():
    assert sum(scale_weights(3)) == pytest.approx(1.0)
    assert scale_weights(3)[0] / scale_weights(3)[2] == pytest.approx(0.0448 / 0.3001)
    assert scale_weights(5) == (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def test_repeats_are_more_alike_than_other_images_and_noise_is_least():
    smooth, few = pictures(60), pictures(6)[np.arange(60) % 6]
    noise = rng().integers(0, 256, smooth.shape).astype(np.uint8)
    values = [ms_ssim_diversity(pixels, generator=rng()).value for pixels in (noise, smooth, few)]
    assert values == sorted(values)
    assert values[2] > values[1] + 0.1


def test_equal_images_are_at_one_with_an_interval_that_is_open_below():
    found = ms_ssim_diversity(np.repeat(pictures(1), 20, axis=0), generator=rng())
    assert found.value == pytest.approx(1.0, abs=1e-6)
    low, high = found.interval().ends()
    assert 0.6 < low < 0.8
    assert high == 1.0


def test_images_of_one_patient_are_never_paired():
    pixels = np.concatenate([np.repeat(pictures(1, seed=patient), 5, axis=0) for patient in range(10)])
    aware = ms_ssim_diversity(pixels, np.repeat(range(10), 5), generator=rng())
    assert aware.values.max() < 0.99  # a pair within a patient would be at 1
    assert (len(aware.values), aware.units) == (25, 10)
    alone = ms_ssim_diversity(pixels[:5], np.zeros(5), generator=rng())
    assert (len(alone.values), alone.units) == (0, 0)
    with pytest.raises(ValueError, match="there is no pair"):
        _ = alone.value


def test_bit_depth_and_a_memory_map_change_nothing(tmp_path):
    pixels = pictures(30)
    expected = ms_ssim_diversity(pixels, generator=rng()).values
    deep = ms_ssim_diversity(pixels.astype(np.uint16) * 257, generator=rng()).values
    np.testing.assert_allclose(deep, expected, atol=1e-6)
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = ms_ssim_diversity(np.load(tmp_path / "pixels.npy", mmap_mode="r"), generator=rng()).values
    np.testing.assert_array_equal(mapped, expected)


def test_the_draw_depends_on_the_grouping_and_not_on_names():
    pixels, patients = pictures(24), np.repeat(range(8), 3)
    a = ms_ssim_diversity(pixels, patients, generator=rng()).values
    b = ms_ssim_diversity(pixels, [f"p{100 - p}" for p in patients], generator=rng()).values
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, ms_ssim_diversity(pixels, patients, generator=rng(1)).values)


def test_the_interval_covers_the_mean_over_all_couples():
    random = rng()
    hits = 0
    for _ in range(400):  # pairs of a couple are alike: only the couple is independent
        effect = np.repeat(0.1 * random.standard_normal(15), 4)
        found = PairSimilarity(0.5 + effect + 0.05 * random.standard_normal(60), np.repeat(np.arange(15), 4), 120)
        low, high = found.interval().ends()
        hits += low < 0.5 < high
    assert 0.92 < hits / 400 < 0.98


def test_one_couple_has_no_interval():
    found = ms_ssim_diversity(pictures(8), np.repeat([0, 1], 4), generator=rng())
    assert len(found.values) == 4
    assert "4 patients" in found.interval().note


@pytest.mark.parametrize(
    ("pixels", "units", "message"),
    [
        (np.zeros((4, 1, 10, 40), np.uint8), None, "at least 11 pixels on each side, found 10×40"),
        (np.zeros((4, 1, 32, 32), np.float32), None, "uint8 or uint16"),
        (np.zeros((4, 32, 32), np.uint8), None, r"\[n, c, \(d,\) h, w\]"),
        (np.zeros((4, 1, 32, 32), np.uint8), [0, 1], "4 images were given with 2 patients"),
    ],
)
def test_wrong_input_is_refused(pixels, units, message):
    with pytest.raises(UserError, match=message):
        ms_ssim_diversity(pixels, units, generator=rng())


@pytest.fixture(scope="module")
def scored():
    """A generator with one image for each label, and real images: overall it looks diverse."""
    labels = np.arange(80) % 2
    modes = pictures(2, seed=9)[labels]
    subject = image_set(modes, name="collapsed", labels=labels)
    real = image_set(pictures(90), name="real/test", patients=[f"p{i // 3}" for i in range(90)], origin="real",
                     labels=(np.arange(90) // 45))  # fmt: skip
    made, floors = diversity_by_group(subject, seed=1), diversity_by_group(real, seed=1)
    return subject, made, real, floors


def results(scored, **changes):
    subject, made, real, floors = scored
    spec = FidelitySpec(**changes)
    return {row.group: row for row in ms_ssim_results(subject, made, real, floors, reference="test", spec=spec, seed=1)}


def test_each_group_has_a_value_an_interval_and_a_floor(scored):
    rows = results(scored)
    assert list(rows) == ["all", "label=absent", "label=present"]
    collapsed = rows["label=absent"]
    assert collapsed.value == pytest.approx(1.0, abs=1e-6)
    assert rows["all"].value < 0.9  # collapse within a label shows within the label
    assert collapsed.floor < 0.5 < collapsed.ci_low
    assert collapsed.floor_ci_low < collapsed.floor < collapsed.floor_ci_high
    assert (collapsed.n_synthetic, collapsed.n_real) == (40, 45)
    assert collapsed.higher_is_better is None
    assert collapsed.resampling_unit == "image"


def test_the_value_and_the_floor_rest_on_equal_numbers_of_pairs(scored):
    _, made, _, floors = scored
    rows = results(scored)
    assert len(made["label=absent"].values) == 20
    assert dict(rows["label=absent"].identity)["pairs"] == "20"
    assert len(floors["label=absent"].values) == 21  # 15 patients: one is left over
    assert rows["label=absent"].floor == pytest.approx(floors["label=absent"].values[:20].mean())


def test_the_identity_holds_what_a_comparison_needs(scored):
    parts = dict(results(scored)["all"].identity)
    assert parts["definition"].startswith("mean over pairs of images of two patients, 2 scales weighted 0.1356/0.8644")
    assert parts["reference_content"] == scored[2].content_id
    assert parts["metric"] == "ms_ssim"


def test_few_patients_make_a_floor_descriptive_and_too_few_make_a_group_absent(scored):
    rows = results(scored)
    assert "the floor is descriptive: it rests on 14 patients" in rows["label=absent"].note
    assert rows["label=absent"].status == "ok"
    absent = results(scored, min_group_images=42)["label=absent"]
    assert (absent.status, absent.value) == ("absent", None)
    assert "45 real images with pairs of 14 patients and 40 of the set" in absent.note


def test_a_label_that_the_set_does_not_have_is_absent(scored):
    subject, made, real, floors = scored
    made = {"all": made["all"]}
    rows = ms_ssim_results(subject, made, real, floors, reference="test", spec=FidelitySpec(), seed=1)
    assert [row.status for row in rows] == ["ok", "absent", "absent"]


def test_sets_of_other_sizes_are_not_compared(scored):
    subject, made, real, floors = scored
    small = replace(subject, pixels=subject.pixels[:, :, :16, :16], content_id="")
    with pytest.raises(UserError, match="other scales"):
        ms_ssim_results(small, made, real, floors, reference="test", spec=FidelitySpec(), seed=1)
