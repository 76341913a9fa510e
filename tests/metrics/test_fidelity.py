"""The results of a set: completeness, floors, groups, identity, notes, errors, independence of names and of caching."""

from dataclasses import replace

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.metrics.cache import ReferenceCache
from synthassay.metrics.fidelity import UNKNOWN_TEST, score_fidelity
from synthassay.metrics.groups import whole_patient_subset
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import SilentProgress, identity_differences

SPEC = FidelitySpec(replicates=20, permutations=100, groups=("label", "site"), set_level=())
BOTH = {"kid", "precision", "recall", "density", "coverage", "precision_k3", "recall_k3"}


@pytest.fixture
def sets(cohort):
    return {"test": cohort.real("test", 40, 3), "control": cohort.real("control", 30, 3),
            "train": cohort.real("train", 70, 3)}  # fmt: skip


def score(subject, sets, **changes):
    return score_fidelity(subject, **(sets | {"spec": SPEC, "seed": 0} | changes))


def find(rows, **wanted):
    found = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
    assert len(found) == 1, wanted
    return found[0]


def test_every_metric_variant_reference_and_label_has_a_row(sets, cohort):
    rows = score(cohort.synthetic("gan", 120), sets)
    for group in ("all", "label=absent", "label=present"):
        for reference in ("test", "generator-train"):
            here = [r for r in rows if r.group == group and r.reference == reference and r.metric != "closer_to_train"]
            extra = {"authenticity"} if reference == "generator-train" else set()
            assert {r.metric for r in here if r.variant == "classic"} == BOTH | extra
            assert {r.metric for r in here if r.variant == "patient-aware"} == BOTH | extra | {"frechet_distance"}
            assert all(r.value is not None and r.status == "ok" for r in here if r.group == "all")
    keys = [(r.metric, r.variant, r.reference, r.group) for r in rows]
    assert len(keys) == len(set(keys))
    assert rows[-1].metric == "closer_to_train"


def test_values_come_with_interval_floor_counts_and_direction(sets, cohort):
    rows = [r for r in score(cohort.synthetic("gan", 120), sets) if r.group == "all" and r.metric != "closer_to_train"]
    for row in rows:
        assert row.ci_low <= row.value <= row.ci_high, row.metric
        assert row.floor_ci_low <= row.floor <= row.floor_ci_high, row.metric
        assert row.n_synthetic == 90  # cut to the control's number
        assert row.n_real == (120 if row.reference == "test" else 210)
        assert row.higher_is_better is {"kid": False, "frechet_distance": False, "authenticity": None}.get(
            row.metric, True
        )
        assert ("rewards copying" in row.note) == (row.reference == "generator-train")
        assert row.resampling_unit == ("image" if row.metric == "authenticity" else "patient")


def test_the_oracle_equals_its_floor(sets):
    oracle = replace(sets["control"], name="oracle", origin="control")
    for row in score(oracle, sets):
        if row.status != "absent" and row.metric != "closer_to_train":
            ours, floor = (row.value, row.ci_low, row.ci_high), (row.floor, row.floor_ci_low, row.floor_ci_high)
            assert ours == floor, row.metric


def test_a_set_without_site_is_absent_there_with_the_reason(sets, cohort):
    rows = [r for r in score(cohort.synthetic("gan", 120), sets) if r.group.startswith("site")]
    assert {r.group for r in rows} == {"site=*"}
    assert {(r.status, r.value, r.note) for r in rows} == {("absent", None, "the set carries no site")}


def test_small_groups_are_absent_and_never_zero(sets, cohort):
    few = sets["test"]
    labels = np.where(np.arange(len(few)) < 9, 1, 0)
    rows = score(cohort.synthetic("gan", 120), sets, test=replace(few, labels=labels))
    row = find(rows, metric="coverage", variant="patient-aware", reference="test", group="label=present")
    assert (row.status, row.value, row.ci_low) == ("absent", None, None)
    assert "9 real images of 3 patients" in row.note
    assert find(rows, metric="coverage", variant="patient-aware", reference="generator-train",
                group="label=present").value is not None  # fmt: skip


def test_a_small_synthetic_group_is_absent(sets, cohort):
    subject = cohort.synthetic("gan", 120)
    subject = replace(subject, labels=np.where(np.arange(120) < 7, 1, 0))
    row = find(score(subject, sets), metric="kid", variant="patient-aware", reference="test", group="label=present")
    assert row.status == "absent"
    assert "7 images of the set" in row.note


def test_a_small_control_leaves_no_floor_and_does_not_shrink_the_set(sets, cohort):
    rows = score(cohort.synthetic("gan", 120), sets, control=sets["control"].take(np.arange(9)))
    row = find(rows, metric="kid", variant="patient-aware", reference="test", group="all")
    assert (row.floor, row.n_synthetic) == (None, 120)
    assert "no floor: 9 control images of 3 patients" in row.note
    nobody = sets["control"].take(np.zeros(0, np.int64))
    assert find(score(cohort.synthetic("gan", 60), sets, control=nobody), metric="closer_to_train").status == "absent"


def test_a_floor_that_the_cut_leaves_impossible_is_said_to_be(sets, cohort):
    random = np.random.default_rng(0)
    sizes = [40, 2, 2, 2, 2, 2]
    patients = np.repeat([f"c{i}" for i in range(6)], sizes)
    control = replace(sets["control"].take(np.arange(50)), patients=patients, features=random.standard_normal((50, 24)))
    subject = cohort.synthetic("gan", 22)
    rows = [score(subject, sets, control=control, seed=seed) for seed in range(8)]
    found = [find(r, metric="kid", variant="patient-aware", reference="test", group="all") for r in rows]
    without = [row for row in found if row.floor is None]
    assert without
    assert ["no floor: " in row.note for row in without] == [True] * len(without), [row.note for row in without]


def test_the_level_of_an_interval_is_part_of_its_method(sets, cohort):
    rows = score(cohort.synthetic("gan", 60), sets, spec=SPEC.model_copy(update={"confidence": 0.8}))
    row = find(rows, metric="kid", variant="patient-aware", reference="test", group="all")
    assert row.ci_method.startswith("80%, Hoeffding")


def test_under_twenty_patients_results_are_descriptive(sets, cohort):
    rows = score(cohort.synthetic("gan", 120), sets, test=sets["test"].take(np.arange(45)))
    row = find(rows, metric="kid", variant="patient-aware", reference="test", group="all")
    assert (row.status, row.n_patients) == ("descriptive", 15)
    assert row.ci_low is not None


def test_a_floor_of_few_patients_is_said_to_be_descriptive(sets, cohort):
    rows = score(cohort.synthetic("gan", 120), sets, control=sets["control"].take(np.arange(45)))
    row = find(rows, metric="kid", variant="patient-aware", reference="test", group="all")
    assert row.status == "ok"
    assert "the floor is descriptive: it rests on 15 patients" in row.note


def test_without_train_the_evidence_against_it_is_insufficient_and_test_may_flatter(sets, cohort):
    everything = score(cohort.synthetic("gan", 60), sets, train=None)
    rows = [r for r in everything if r.reference == "generator-train"]
    assert {r.metric for r in rows} == BOTH | {"authenticity", "frechet_distance", "closer_to_train"}
    assert {(r.status, r.value) for r in rows} == {("insufficient evidence", None)}
    assert all("trained on" in r.note and "generator.trained_on" in r.note for r in rows)
    against_test = [r for r in everything if r.reference == "test" and r.value is not None]
    assert against_test
    assert all(UNKNOWN_TEST in r.note for r in against_test)
    assert not any(UNKNOWN_TEST in r.note for r in score(cohort.synthetic("gan", 60), sets))


def test_fewer_rows_than_columns_leave_frechet_without_interval(make_cohort):
    source = make_cohort(dimension=200)
    sets = {name: source.real(name, 25, 3) for name in ("test", "control", "train")}
    row = find(score(source.synthetic("gan", 75), sets), metric="frechet_distance", reference="test", group="all")
    assert row.value > 0
    assert (row.ci_low, row.ci_high) == (None, None)
    assert "n < d" in row.note


def test_the_name_fid_is_kept_for_fid_inception(sets, cohort):
    inception = {name: replace(item, encoder="fid-inception") for name, item in sets.items()}
    rows = score(replace(cohort.synthetic("gan", 60), encoder="fid-inception"), inception)
    assert "fid" in {r.metric for r in rows}
    assert "frechet_distance" not in {r.metric for r in rows}


def test_identity_names_what_differs_and_never_the_generator(sets, cohort):
    first, second = (score(cohort.synthetic(name, 120), sets, seed=seed) for name, seed in (("gan", 0), ("vae", 1)))
    for a, b in zip(first, second, strict=True):
        assert identity_differences(a.identity, b.identity) == []
        assert a.generator not in str(a.identity)
    other = score(cohort.synthetic("gan", 120), sets, spec=SPEC.model_copy(update={"k": 3}))
    where = {"metric": "recall", "variant": "classic", "reference": "test", "group": "all"}
    a, b = find(first, **where), find(other, **where)
    assert [row[0] for row in identity_differences(a.identity, b.identity)] == ["definition"]
    assert dict(find(first, **(where | {"metric": "recall_k3"})).identity)["definition"] == "k=3, <="
    c = find(score(cohort.synthetic("gan", 70), sets), **where)
    assert [row[0] for row in identity_differences(a.identity, c.identity)] == ["n_synthetic"]


def test_a_shared_cache_changes_nothing(sets, cohort):
    cache = ReferenceCache(**sets, spec=SPEC, seed=0)
    subjects = [cohort.synthetic("gan", 120), cohort.synthetic("vae", 70)]
    for subject in subjects:
        assert score(subject, sets, cache=cache) == score(subject, sets)
    with pytest.raises(ValueError, match="other sets"):
        score(subjects[0], sets, cache=cache, seed=1)


def test_pseudonyms_do_not_matter(sets, cohort):
    def renamed(item):
        _, codes = np.unique(item.patients, return_inverse=True)
        names = np.array([f"{hash((7, int(code))) % 10**9:x}-{code}" for code in codes])
        return replace(item, patients=names)

    subject = cohort.synthetic("gan", 70)
    assert score(subject, sets) == score(subject, {name: renamed(item) for name, item in sets.items()})


def test_worse_sets_are_further_from_the_floor(sets, cohort, make_set):
    good = cohort.synthetic("good", 90)
    far = 6 + 0.1 * cohort.random.standard_normal((90, 24))  # tight, as encoders see noise; wide noise has recall 1
    noise = make_set("noise", far, [f"n{i}" for i in range(90)])
    where = {"variant": "patient-aware", "reference": "test", "group": "all"}
    for metric in ("frechet_distance", *BOTH):
        a, b = (find(score(item, sets), metric=metric, **where) for item in (good, noise))
        assert (b.value > a.value) is (metric in ("kid", "frechet_distance")), metric


def test_matched_subsets_take_whole_patients():
    units = np.repeat(np.arange(10), 4)
    rows = whole_patient_subset(units, 14, np.random.default_rng(0))
    counts = np.bincount(units[rows], minlength=10)
    assert sorted(counts[counts > 0].tolist()) == [2, 4, 4, 4]


@pytest.mark.parametrize("change", ["nan", "encoder", "columns", "ids"])
def test_sets_that_cannot_be_compared_are_named(sets, cohort, change):
    subject = cohort.synthetic("gan", 60)
    broken, message = {
        "nan": (
            replace(subject, features=np.where(np.arange(24) == 2, np.nan, subject.features)),
            "'gan' hold nan at row 0",
        ),
        "encoder": (replace(subject, encoder_identity=(("weights", "1"),)), "weights: 1 and 0"),
        "columns": (replace(subject, features=subject.features[:, :5]), "'gan' have 5 columns, expected 24"),
        "ids": (replace(subject, ids=np.array(["x"] * 60)), "repeats an image id at row 1"),
    }[change]
    with pytest.raises(UserError, match=message):
        score(broken, sets)


def test_an_empty_test_split_is_refused(sets, cohort):
    with pytest.raises(UserError, match="test split is empty"):
        score(cohort.synthetic("gan", 60), sets, test=sets["test"].take(np.zeros(0, np.int64)))


class Counted(SilentProgress):
    """What a bar would have shown."""

    def start(self, what, total, done=0):
        self.what, self.total, self.steps, self.finished = what, total, [], False

    def advance(self, n=1):
        self.steps.append(n)

    def finish(self):
        self.finished = True


@pytest.mark.parametrize("known", [True, False])
def test_progress_moves_with_groups_references_and_metrics_and_ends_at_its_total(sets, cohort, known):
    spec = SPEC.model_copy(update={"set_level": ("vendi", "mifid"), "groups": ("label", "site")})
    progress = Counted()
    changes = {"spec": spec, "progress": progress} | ({} if known else {"train": None})
    score(cohort.synthetic("gan", 120), sets, **changes)  # carries no site: those groups are absent
    assert progress.what == "score gan"
    assert sum(progress.steps) == progress.total
    assert progress.finished
    # all images and two labels: the core of the set and of its floor, and the set-level metrics of both
    against_test, against_train = 2 * (3 + 3), 2 * (3 + 1)
    assert progress.steps.count(1) >= against_test + known * against_train
    assert min(progress.steps) >= 0
