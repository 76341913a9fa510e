from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthassay.cohorts.specs import IN_DOMAIN, SplitSpec
from synthassay.cohorts.splits import Whereabouts, allocate, assign_splits, choose_patients, fewest_patients
from synthassay.errors import UserError

SHARES = SplitSpec().shares
rows = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("ABC"), st.sampled_from(["x", "y", ""])), max_size=200)


def everybody(*sites: tuple[str, str, int]) -> Whereabouts:
    """One image of each of ``count`` patients for every (site, device, count)."""
    entries = [(f"{site}{device}{i}", site, device) for site, device, count in sites for i in range(count)]
    return whereabouts(entries)


def whereabouts(entries: list[tuple[str, str, str]]) -> Whereabouts:
    patients, sites, devices = zip(*entries, strict=True) if entries else ((), (), ())
    return Whereabouts(patients=patients, sites=sites, devices=devices)


@given(st.integers(0, 500), st.lists(st.floats(0.01, 1), min_size=1, max_size=6))
def test_allocation_adds_up_and_is_within_one_of_its_quota(count, shares):
    given_out = allocate(count, shares)
    assert sum(given_out) == count
    for share, got in zip(shares, given_out, strict=True):
        assert abs(got - count * share / sum(shares)) < 1


def test_allocation_of_the_default_shares():
    assert allocate(10, SHARES) == (5, 1, 1, 1, 2)
    assert allocate(7, SHARES) == (3, 1, 1, 1, 1)
    assert fewest_patients(SHARES) == 7
    assert fewest_patients((0.5, 0.0, 0.0, 0.0, 0.5)) == 2


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 5))
def test_splits_are_disjoint_and_complete_for_any_cohort(entries, seed):
    where = whereabouts([(f"p{patient}", site, device) for patient, site, device in entries])
    patients = set(where.patients)
    if len(patients) < 7:
        with pytest.raises(UserError, match="too few"):
            assign_splits(where, SplitSpec(seed=seed))
        return
    plan = assign_splits(where, SplitSpec(seed=seed))
    assert set(plan.split_of) == patients  # a mapping: each patient has exactly one split
    assert set(plan.split_of.values()) == set(IN_DOMAIN)
    assert plan.left_out == []


def test_nobody_is_advised_to_give_up_the_controls():
    for where, changes in ((everybody(("A", "x", 4)), {}),
                           (everybody(("A", "x", 40), ("B", "x", 2)), {"small_strata": "error"})):  # fmt: skip
        with pytest.raises(UserError, match=r"the share of cohort\.split\.validation to another") as caught:
            assign_splits(where, SplitSpec(**changes))
        assert "control" not in str(caught.value)


def test_every_stratum_gets_the_shares():
    where = everybody(("A", "x", 40), ("B", "x", 20), ("B", "y", 10))
    plan = assign_splits(where, SplitSpec())
    for prefix, count in (("Ax", 40), ("Bx", 20), ("By", 10)):
        counts = Counter(split for patient, split in plan.split_of.items() if patient.startswith(prefix))
        assert [counts[split] for split in IN_DOMAIN] == [count * share for share in (0.5, 0.1, 0.1, 0.1, 0.2)]


def test_another_seed_gives_another_split_and_the_same_seed_the_same():
    where = everybody(("A", "x", 60))
    first, again, other = (assign_splits(where, SplitSpec(seed=seed)).split_of for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_patient_of_two_sites_is_split_once_with_the_first():
    where = everybody(("A", "", 10), ("B", "", 10))
    twice = Whereabouts(patients=[*where.patients, "A0"], sites=[*where.sites, "B"], devices=[*where.devices, ""])
    assert assign_splits(twice, SplitSpec()).split_of == assign_splits(where, SplitSpec()).split_of


def test_external_sites_are_kept_out_whole_and_their_patients_images_elsewhere_are_left_out():
    where = everybody(("A", "x", 10), ("B", "y", 4))
    where = Whereabouts(patients=[*where.patients, "By0"], sites=[*where.sites, "A"], devices=[*where.devices, "x"])
    for spec in (SplitSpec(external_sites=("B",)), SplitSpec(external_devices=("y",))):
        plan = assign_splits(where, spec)
        assert {p for p, split in plan.split_of.items() if split == "external"} == {"By0", "By1", "By2", "By3"}
        assert plan.left_out == [14]


def test_an_unknown_external_site_is_named_with_those_there_are():
    with pytest.raises(UserError, match=r"'Nowhere' is not in the cohort.\nIts sites are: 'A', 'B'"):
        assign_splits(everybody(("A", "", 9), ("B", "", 9)), SplitSpec(external_sites=("Nowhere",)))
    with pytest.raises(UserError, match="every patient is from an external site"):
        assign_splits(everybody(("A", "", 9)), SplitSpec(external_sites=("A",)))


def test_small_strata_are_pooled_within_their_site_first_and_said_to_be():
    where = everybody(("A", "x", 4), ("A", "y", 6), ("B", "x", 20))
    plan = assign_splits(where, SplitSpec())
    counts = Counter(split for patient, split in plan.split_of.items() if patient.startswith("A"))
    assert [counts[split] for split in IN_DOMAIN] == [5, 1, 1, 1, 2]
    assert "2 of the strata" in plan.notes[0]
    assert "A / x; A / y" in plan.notes[0]


def test_of_many_small_strata_five_are_named():
    where = everybody(*((f"site {i}", "x", 2) for i in range(8)), ("B", "x", 30))
    assert assign_splits(where, SplitSpec()).notes[0].endswith("site 3 / x; site 4 / x; 3 more.")


def test_a_lone_small_stratum_joins_the_smallest_large_one():
    plan = assign_splits(everybody(("A", "", 2), ("B", "", 30), ("C", "", 8)), SplitSpec())
    together = Counter(split for patient, split in plan.split_of.items() if patient[0] in "AC")
    assert [together[split] for split in IN_DOMAIN] == [5, 1, 1, 1, 2]


def test_a_site_too_small_to_split_stops_when_asked_to():
    where = everybody(("A", "x", 3), ("B", "x", 20))
    with pytest.raises(UserError, match=r"site 'A / x' has 3 patients; the splits need at least 7") as caught:
        assign_splits(where, SplitSpec(small_strata="error"))
    assert "small_strata=pool" in str(caught.value)
    assert str(caught.value).count("\n") <= 2


def test_a_subset_is_drawn_in_proportion_and_repeats():
    where = everybody(("A", "", 30), ("B", "", 10))
    chosen = choose_patients(where, 20, seed=0)
    assert Counter(patient[0] for patient in chosen) == {"A": 15, "B": 5}
    assert chosen == choose_patients(where, 20, seed=0) != choose_patients(where, 20, seed=1)
    assert choose_patients(where, 40, seed=0) == set(where.patients)
