from dataclasses import replace

import numpy as np
import pytest

from synthassay.privacy.detector import calibrate
from synthassay.privacy.memorisation import MemorisationOutcome, assess, assess_memorisation
from synthassay.privacy.spaces import Space, pixel_space
from synthassay.privacy.specs import MemorisationSpec
from synthassay.records import ImageSet, MetricResult
from tests.privacy.conftest import KINDS, World, altered, draw_people, image_set

SPEC = MemorisationSpec(replicates=400)


def assess_set(
    world: World, subject: ImageSet, spec: MemorisationSpec = SPEC, **changes: object
) -> MemorisationOutcome:
    ref = world.references(**changes)
    return assess_memorisation(pixel_space(subject), ref.train, ref.mirrored_train, ref.control_a, ref.control_b,
                               ref.panel, spec, 0)  # fmt: skip


def row(outcome: MemorisationOutcome, metric: str, **fields: str) -> MetricResult:
    wanted = {"variant": "", "group": "all"} | fields
    rows = [r for r in outcome.results if r.metric == metric and all(getattr(r, k) == v for k, v in wanted.items())]
    assert len(rows) == 1, f"{metric} {wanted}: {len(rows)} rows"
    return rows[0]


def verdict(outcome: MemorisationOutcome) -> MetricResult:
    return row(outcome, "memorisation_verdict")


@pytest.fixture(scope="module")
def honest() -> ImageSet:
    """Images of patients that are neither in train nor in a control, each its own unit as if generated."""
    pixels, _ = draw_people("h", 400, seed=90)
    return image_set("honest", pixels, np.array([f"g{i}" for i in range(len(pixels))]))


@pytest.mark.parametrize("kind", KINDS)
def test_planted_copies_of_every_kind_are_found(world: World, honest: ImageSet, kind: str):
    found = row(assess_set(world, honest), "copy_recall", group=f"kind={kind}")
    assert found.value is not None
    assert found.value > 0.95
    assert found.ci_low is not None
    assert found.ci_low > 0.9
    assert found.n_patients == 120


def test_honest_images_are_flagged_about_one_in_a_hundred_and_none_is_called_a_copy(world: World, honest: ImageSet):
    outcome = assess_set(world, honest)
    rate = row(outcome, "copies_per_1000")
    assert rate.value is not None
    assert rate.ci_low is not None
    assert rate.ci_high is not None
    assert rate.value < 30
    assert rate.ci_low < 10 < rate.ci_high
    assert verdict(outcome).value == 0.0
    assert verdict(outcome).status == "ok"
    assert (
        f"400 control patients and {len(honest)} independent images of the set certify 0.95%" in verdict(outcome).note
    )
    assert "kinds of copy that were planted (exact, mirrored, rotated, noise)" in verdict(outcome).note


def test_false_alarms_on_control_b_are_stated_with_an_interval_around_one_in_a_hundred(world: World, honest: ImageSet):
    found = row(assess_set(world, honest), "false_alarm_rate")
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= 0.01 <= found.ci_high
    assert (found.n_real, found.n_patients) == (len(world.control_b), 200)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05])
def test_intervals_contain_the_share_of_planted_copies(world: World, share: float):
    subject = world.planted(share, world.control_b)
    found = row(assess_set(world, subject), "copied_share")
    truth = round(share * len(subject)) / len(subject)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= truth <= found.ci_high
    assert found.ci_high < truth + 0.05  # an interval that says something


def test_the_share_is_of_the_whole_set_when_control_a_is_part_of_it(world: World):
    both = merged("controls", world.control_a, world.control_b)
    subject = world.planted(0.05, both)
    outcome = assess_set(world, subject)
    found = row(outcome, "copied_share")
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= 0.05 <= found.ci_high
    assert found.n_synthetic == len(subject)
    assert row(outcome, "copies_per_1000").n_synthetic == outcome.judged.sum() < len(subject)


def merged(name: str, *parts: ImageSet) -> ImageSet:
    return image_set(name, np.concatenate([p.pixels[:, 0] for p in parts]), np.concatenate([p.patients for p in parts]))


def test_the_oracle_is_not_flagged_and_is_judged_on_control_b_only(world: World):
    outcome = assess_set(world, merged("oracle", world.control_a, world.control_b))
    assert verdict(outcome).value == 0.0
    assert outcome.judged.sum() == len(world.control_b)
    assert not outcome.flagged[: len(world.control_a)].any()
    assert f"{len(world.control_a)} images of control A patients set the threshold" in verdict(outcome).note
    assert row(outcome, "copies_per_1000").resampling_unit == "patient"


def test_a_set_of_control_a_alone_is_not_judged(world: World):
    outcome = assess_set(world, world.control_a)
    assert verdict(outcome).value is None
    assert "set the threshold" in verdict(outcome).note


def test_a_flagged_share_within_the_limits_of_control_b_is_not_called_copying(world: World):
    outcome = assess_set(world, world.planted(0.01, world.control_b))
    flagged, floor = row(outcome, "copies_per_1000"), row(outcome, "false_alarm_rate")
    assert None not in (flagged.value, flagged.ci_low, floor.value, floor.ci_high)
    assert flagged.value > 1000 * floor.value  # type: ignore[operator]
    assert flagged.ci_low < 1000 * floor.ci_high  # type: ignore[operator]
    assert verdict(outcome).value != 1.0


@pytest.mark.parametrize("share", [0.1, 0.8])
def test_a_set_with_many_copies_is_flagged(world: World, share: float):
    outcome = assess_set(world, world.planted(share, replace(world.control_b, name="b", content_id="")))
    assert verdict(outcome).value == 1.0
    assert verdict(outcome).note.startswith("Copying found")


def test_the_blend_of_neighbouring_training_images_is_flagged(world: World):
    vectors = pixel_space(world.train).vectors
    squared = ((vectors[:, None] - vectors[None]) ** 2).sum(-1) if len(vectors) < 50 else pairwise(vectors)
    squared[world.train.patients[:, None] == world.train.patients[None]] = np.inf
    mean = (world.train.pixels[:, 0].astype(int) + world.train.pixels[squared.argmin(1), 0]) // 2
    outcome = assess_set(world, image_set("blend", mean.astype(np.uint8), world.train.patients))
    assert verdict(outcome).value == 1.0
    affected = row(outcome, "patients_affected")
    assert affected.value is not None
    assert affected.floor_ci_high is not None
    assert affected.value > affected.floor_ci_high


def pairwise(vectors: np.ndarray) -> np.ndarray:
    norms = (vectors**2).sum(1)
    return norms[:, None] + norms[None] - 2 * vectors @ vectors.T


def test_mirrored_copies_are_found_only_thanks_to_the_mirrored_search(world: World, honest: ImageSet):
    with_mirror, without = (assess_set(world, honest, **changes) for changes in ({}, {"mirrored_train": None}))
    found, missed = (row(outcome, "copy_recall", group="kind=mirrored").value for outcome in (with_mirror, without))
    assert found is not None
    assert missed is not None
    assert found > 0.95
    assert missed < 0.1
    assert verdict(without).value is None
    assert "the recall of mirrored copies" in verdict(without).note


def test_one_patient_copied_many_times_is_copying_and_its_interval_by_copied_patient_is_wide(
    world: World, honest: ImageSet
):
    copies = altered(np.repeat(world.train.pixels[:1, 0], 60, axis=0), "noise", 3)
    names = np.array([f"c{i}" for i in range(60)])
    outcome = assess_set(world, merged("one", honest, image_set("c", copies, names)))
    own, by_copied = (row(outcome, "copies_per_1000", variant=v) for v in ("", "by copied patient"))
    assert verdict(outcome).value == 1.0
    assert own.ci_low is not None
    assert by_copied.ci_low is not None
    assert by_copied.ci_low < 0.5 * own.ci_low
    affected = row(outcome, "patients_affected").value
    assert affected is not None
    assert affected < 15


def test_the_outcome_names_the_copied_image_and_whether_it_is_mirrored(world: World):
    rows = np.array([5, 40])
    pixels = np.concatenate([world.train.pixels[rows, 0], world.train.pixels[rows, 0, :, ::-1]])
    outcome = assess_set(world, image_set("copies", pixels, np.array(list("abcd"))))
    np.testing.assert_array_equal(outcome.rows, [5, 40, 5, 40])
    np.testing.assert_array_equal(outcome.flipped, [False, False, True, True])
    assert outcome.flagged.all()
    assert (outcome.scores < 0.01).all()
    assert set(outcome.spaces) == {"pixel"}


def test_under_100_control_patients_is_insufficient_evidence_with_its_numbers(small_world: World, honest: ImageSet):
    outcome = assess_set(small_world, honest)
    assert {r.status for r in outcome.results} == {"insufficient evidence"}
    assert verdict(outcome).value is None
    assert "40 control patients, 100 are needed" in verdict(outcome).note
    for metric in ("copies_per_1000", "copied_share", "patients_affected", "false_alarm_rate"):
        found = row(outcome, metric)
        assert None not in (found.value, found.ci_low, found.ci_high), metric
    copied = assess_set(small_world, small_world.train)
    assert verdict(copied).value is None
    assert "points to copying" in verdict(copied).note


def test_unknown_training_patients_are_insufficient_evidence(world: World, honest: ImageSet):
    outcome = assess_set(world, honest, train=None)
    assert {(r.status, r.value) for r in outcome.results} == {("insufficient evidence", None)}
    assert all("generator.trained_on" in r.note for r in outcome.results)
    assert len(outcome.scores) == len(outcome.rows) == 0


def test_without_planted_copies_there_is_no_verdict_and_no_share(world: World, honest: ImageSet):
    outcome = assess_set(world, honest, panel={})
    assert verdict(outcome).value is None
    assert "no copies were planted" in verdict(outcome).note
    assert row(outcome, "copied_share").value is None
    assert row(outcome, "copies_per_1000").status == "ok"
    assert row(outcome, "copy_recall", group="kind=exact").status == "insufficient evidence"


def test_a_missing_kind_of_copy_is_named(world: World, honest: ImageSet):
    panel = {kind: space for kind, space in world.references().panel.items() if kind != "rotated"}
    outcome = assess_set(world, honest, panel=panel)
    assert verdict(outcome).value is None
    assert "no rotated copies were planted" in verdict(outcome).note


def test_a_share_above_what_is_tolerated_is_not_called_clean(world: World, honest: ImageSet):
    outcome = assess_set(world, honest, SPEC.model_copy(update={"tolerated_share": 0.001}))
    assert verdict(outcome).value is None
    assert "at most 0.10% is tolerated" in verdict(outcome).note


def test_a_few_images_carry_no_verdict(world: World, honest: ImageSet):
    outcome = assess_set(world, honest.take(np.arange(10)))
    assert row(outcome, "copies_per_1000").status == "descriptive"
    assert verdict(outcome).value is None


def test_too_few_training_patients_say_so(world: World, honest: ImageSet):
    few = world.train.take(np.isin(world.train.patients, np.unique(world.train.patients)[:5]))
    outcome = assess_set(world, honest, train=pixel_space(few), mirrored_train=pixel_space(few))
    assert "5 training patients, but the copy ratio needs 6" in verdict(outcome).note


def test_an_empty_control_says_so(world: World, honest: ImageSet):
    outcome = assess_set(world, honest, control_b=pixel_space(world.control_b.take(np.arange(0))))
    assert "control B holds no image" in verdict(outcome).note


def test_a_patient_in_both_controls_is_refused(world: World, honest: ImageSet):
    with pytest.raises(ValueError, match="in both controls"):
        assess_set(world, honest, control_b=pixel_space(world.control_a))


def test_the_same_seed_gives_the_same_rows_and_another_key_too(world: World, honest: ImageSet):
    first, second = assess_set(world, honest), assess_set(world, honest)
    assert first.results == second.results
    np.testing.assert_array_equal(first.scores, second.scores)
    train = pixel_space(other_key(world.train))
    again = assess_set(world, other_key(honest), train=train, control_b=pixel_space(other_key(world.control_b)))
    assert [(r.value, r.ci_low, r.ci_high) for r in again.results] == [
        (r.value, r.ci_low, r.ci_high) for r in first.results
    ]


def other_key(images: ImageSet) -> ImageSet:
    """The same patients under pseudonyms that sort in another order."""
    return replace(images, patients=np.array([p[::-1] for p in images.patients.tolist()]))


def test_the_identity_names_reference_and_rule_but_never_the_set(world: World, honest: ImageSet):
    one, other = assess_set(world, honest), assess_set(world, replace(honest, name="other"))
    parts = dict(row(one, "copies_per_1000").identity)
    assert row(other, "copies_per_1000").identity == row(one, "copies_per_1000").identity
    assert parts["train"] == world.train.content_id
    assert parts["control_a"] == world.control_a.content_id
    assert parts["neighbours"] == "5"
    assert parts["pixel.size"] == "32x32"
    assert "exact: 120 patients" in parts["panel"]
    assert "honest" not in "".join(parts.values())


def test_every_row_carries_its_counts_and_its_floor(world: World, honest: ImageSet):
    outcome = assess_set(world, honest)
    assert all(r.n_real and r.n_synthetic and r.n_patients and r.generator == "honest" for r in outcome.results)
    rate, alarms = row(outcome, "copies_per_1000"), row(outcome, "false_alarm_rate")
    assert alarms.value is not None
    assert rate.floor == pytest.approx(1000 * alarms.value)
    excess = row(outcome, "excess_per_1000")
    assert rate.value is not None
    assert excess.value == pytest.approx(rate.value - 1000 * alarms.value)


def edges(images: ImageSet) -> Space:
    """A second space: differences between neighbouring pixels."""
    plain = pixel_space(images, size=16)
    steps = np.diff(plain.vectors.reshape(len(plain), 16, 16), axis=2).reshape(len(plain), -1)
    return Space(plain.name, steps, plain.patients, "edges", (("space", "edges"),), plain.content_id)


def test_two_spaces_give_rows_each_and_a_joint_headline(world: World, honest: ImageSet):
    calibration = calibrate([world.references(), world.references(edges)], SPEC, 0)
    outcome = assess(calibration, [pixel_space(honest), edges(honest)], 0)
    rates = [r for r in outcome.results if r.metric == "copies_per_1000" and not r.variant]
    assert [r.encoder for r in rates] == ["pixel", "edges", "pixel+edges"]
    assert verdict(outcome).encoder == "pixel+edges"
    joint = [r for r in outcome.results if r.metric == "false_alarm_rate"][-1]
    assert joint.ci_low is not None
    assert joint.ci_low <= 0.01
    assert set(outcome.spaces) == {"pixel", "edges"}


def test_the_joint_detector_finds_copies_that_one_space_cannot_see(world: World, honest: ImageSet):
    def blind(images: ImageSet) -> Space:
        noise = np.random.default_rng(len(images)).normal(size=(len(images), 6)).astype(np.float32)
        return Space(images.name, noise, images.patients, "blind", (), images.content_id)

    calibration = calibrate([world.references(blind), world.references()], SPEC, 0)
    outcome = assess(calibration, [blind(honest), pixel_space(honest)], 0)
    recall = {r.encoder: r.value for r in outcome.results if r.group == "kind=rotated"}
    assert recall["blind"] is not None
    assert recall["blind"] < 0.1
    assert recall["blind+pixel"] is not None
    assert recall["blind+pixel"] > 0.9


def test_spaces_with_other_rows_are_refused(world: World, honest: ImageSet):
    shorter = replace(world, train=world.train.take(np.arange(100)))
    with pytest.raises(ValueError, match="hold different rows"):
        calibrate([world.references(), shorter.references(edges)], SPEC, 0)
    with pytest.raises(ValueError, match="the detector in"):
        assess(calibrate([world.references()], SPEC, 0), [edges(honest)], 0)


def test_a_sequence_of_spaces_goes_through_the_one_call(world: World, honest: ImageSet):
    a, b = world.references(), world.references(edges)
    panel = {kind: (a.panel[kind], b.panel[kind]) for kind in a.panel}
    assert a.train is not None
    assert b.train is not None
    assert a.mirrored_train is not None
    assert b.mirrored_train is not None
    outcome = assess_memorisation(
        (pixel_space(honest), edges(honest)), (a.train, b.train), (a.mirrored_train, b.mirrored_train),
        (a.control_a, b.control_a), (a.control_b, b.control_b), panel, SPEC, 0,
    )  # fmt: skip
    direct = assess(calibrate([a, b], SPEC, 0), [pixel_space(honest), edges(honest)], 0)
    assert outcome.results == direct.results
