"""Who is scanned when: patients, their studies and slices, before anything is drawn."""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthassay.cohorts.phantom.specs import PhantomSpec, SitePlan
from synthassay.seeding import numpy_generator

FIRST_DAY = dt.date(2018, 1, 1)
SPAN_DAYS = 1500  # within which each patient's first study falls
FOLLOW_UP_DAYS = (90, 400)
DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Study:
    """One visit: its number from 1, its day, the patient's age then (years) and its slice offsets (mm)."""

    number: int
    day: dt.date
    age: float
    offsets_mm: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """A simulated patient. ``number`` counts from 1 within the site."""

    site: SitePlan
    number: int
    sex: Literal["F", "M"]
    birth: dt.date
    lesion: bool
    studies: tuple[Study, ...]

    @property
    def patient_id(self) -> str:
        """As in the DICOM header: unique over the phantom."""
        return f"{self.site.name.upper()}-{self.number:05d}"

    @property
    def images(self) -> int:
        """How many images the patient has."""
        return sum(len(study.offsets_mm) for study in self.studies)


def plan_patients(spec: PhantomSpec) -> Iterator[Patient]:
    """The patients of a phantom, site by site. A patient depends on seed, site name and number only.

    So a site can grow, and another site can be added, without a change to the patients already there.
    """
    for site in spec.sites:
        for number in range(1, site.patients + 1):
            yield _plan_patient(spec, site, number)


def _plan_patient(spec: PhantomSpec, site: SitePlan, number: int) -> Patient:
    rng = numpy_generator("phantom", spec.seed, site.name, number, "plan")
    lesion = bool(rng.random() < site.prevalence)
    sex: Literal["F", "M"] = "F" if rng.random() < 0.5 else "M"
    first_age = rng.uniform(*spec.age_range)
    day = FIRST_DAY + dt.timedelta(days=int(rng.integers(SPAN_DAYS)))
    birth = day - dt.timedelta(days=math.ceil(first_age * DAYS_PER_YEAR))
    studies = []
    for study in range(1, int(rng.integers(spec.studies[0], spec.studies[1] + 1)) + 1):
        images = int(rng.integers(spec.images_per_study[0], spec.images_per_study[1] + 1))
        offsets = (np.arange(images) - (images - 1) / 2) * spec.slice_gap_mm
        age = (day - birth).days / DAYS_PER_YEAR
        studies.append(Study(study, day, age, tuple(offsets.tolist())))
        day += dt.timedelta(days=int(rng.integers(*FOLLOW_UP_DAYS)))
    return Patient(site, number, sex, birth, lesion, tuple(studies))
