import numpy as np
import pytest
from scipy.stats import binom

from synthassay.cohorts.phantom.plan import plan_patients
from synthassay.cohorts.phantom.specs import PhantomSpec

from .conftest import phantom_of


@pytest.fixture(scope="module")
def large() -> PhantomSpec:
    return phantom_of((400, 400, 400))


def test_prevalence_of_each_site_lies_within_binomial_bounds(large: PhantomSpec):
    patients = list(plan_patients(large))
    for site in large.sites:
        ill = sum(patient.lesion for patient in patients if patient.site.name == site.name)
        low, high = binom.interval(0.999, site.patients, site.prevalence)
        assert low <= ill <= high


@pytest.mark.parametrize("prevalence", [0.0, 1.0])
def test_certain_prevalence_is_met_exactly(prevalence: float):
    site = PhantomSpec().sites[0].model_copy(update={"prevalence": prevalence, "patients": 30})
    patients = list(plan_patients(PhantomSpec(sites=(site,))))
    assert {patient.lesion for patient in patients} == {bool(prevalence)}


def test_lesion_does_not_depend_on_age_or_sex(large: PhantomSpec):
    patients = list(plan_patients(large))
    lesion = np.array([patient.lesion for patient in patients], float)
    age = np.array([patient.studies[0].age for patient in patients])
    female = np.array([patient.sex == "F" for patient in patients], float)
    bound = 4 / np.sqrt(len(patients))
    assert abs(np.corrcoef(lesion, age)[0, 1]) < bound
    assert abs(np.corrcoef(lesion, female)[0, 1]) < bound


def test_patient_stays_the_same_when_sites_grow_or_are_added():
    small = list(plan_patients(phantom_of((3,))))
    grown = list(plan_patients(phantom_of((5, 2))))[:3]
    assert [(p.patient_id, p.birth, p.sex, p.lesion, p.studies) for p in small] == [
        (p.patient_id, p.birth, p.sex, p.lesion, p.studies) for p in grown
    ]


def test_counts_of_studies_and_slices_take_every_value_of_their_range(large: PhantomSpec):
    spec = large.model_copy(update={"studies": (1, 3), "images_per_study": (1, 2)})
    patients = list(plan_patients(spec))
    assert {len(patient.studies) for patient in patients} == {1, 2, 3}
    assert {len(study.offsets_mm) for patient in patients for study in patient.studies} == {1, 2}


def test_studies_follow_each_other_and_the_age_follows_the_calendar(large: PhantomSpec):
    for patient in plan_patients(large):
        days = [study.day for study in patient.studies]
        assert days == sorted(set(days))
        assert large.age_range[0] <= patient.studies[0].age <= large.age_range[1] + 0.01
        for study in patient.studies:
            assert study.age == pytest.approx((study.day - patient.birth).days / 365.25)


def test_patient_ids_are_unique(large: PhantomSpec):
    ids = [patient.patient_id for patient in plan_patients(large)]
    assert len(set(ids)) == len(ids)
