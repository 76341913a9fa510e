"""Standardised uptake values of PET by body weight (SUVbw), from the header.

The activity that was injected is decayed to the time of the scan; QIBA's vendor-neutral recipe. A file whose header
does not say all of it is refused, naming what is missing.
"""

import datetime
import math
import re
from typing import Any, NoReturn

from synthassay.scans.dicom.attributes import private_number_of
from synthassay.scans.text import date_of
from synthassay.scans.unreadable import Unreadable

PHILIPS = ("Philips PET Private Group", 0x7053)
UPTAKE, ACTIVITY = 0x00, 0x09  # its factors: SUV per count, and Bq/ml per count
BY_WEIGHT = "BW"
TIME = re.compile(r"([01]\d|2[0-3]):?([0-5]\d):?([0-5]\d)?")  # TM may end early; hours alone are too little
DAY = 86400.0


def suv_factor(dataset: Any) -> float:
    """SUV per rescaled unit. Raises :class:`Unreadable` where the header does not tell it."""
    if str(dataset.get("Modality")) != "PT":
        _refuse("Modality", "not PT")
    units = str(dataset.get("Units") or "")
    if units == "GML":
        if str(dataset.get("SUVType") or BY_WEIGHT) != BY_WEIGHT:
            _refuse("SUVType", "not BW")
        return 1.0
    counts = units == "CNTS"
    uptake, activity = (_philips_factor(dataset, element) if counts else None for element in (UPTAKE, ACTIVITY))
    if uptake is not None:
        return uptake
    if units != "BQML" and activity is None:
        _refuse("Units", "neither BQML nor GML")
    corrected = dataset.get("CorrectedImage") or ()
    if not {"ATTN", "DECY"} <= set([corrected] if isinstance(corrected, str) else corrected):
        _refuse("CorrectedImage", "without ATTN and DECY")
    return (activity or 1.0) * _positive(dataset, "PatientWeight") * 1000.0 / _dose(dataset)


def _philips_factor(dataset: Any, element: int) -> float | None:
    factor = private_number_of(dataset, *PHILIPS, element)
    return factor if factor and factor > 0 else None


def _dose(dataset: Any) -> float:
    """Bq at the time to which the pixels are corrected."""
    drugs = dataset.get("RadiopharmaceuticalInformationSequence")
    if not drugs:
        _refuse("RadiopharmaceuticalInformationSequence", "absent")
    drug = drugs[0]
    injected = _positive(drug, "RadionuclideTotalDose")
    correction = str(dataset.get("DecayCorrection") or "")
    if correction == "ADMIN":
        return injected
    if correction != "START":
        _refuse("DecayCorrection", "neither START nor ADMIN")
    passed = (_scanned(dataset) - _given(dataset, drug)).total_seconds()
    if not 0 <= passed < DAY:
        _refuse("RadiopharmaceuticalStartTime", "not within the day before the scan")
    return injected * math.exp2(-passed / _positive(drug, "RadionuclideHalfLife"))


def _scanned(dataset: Any) -> datetime.datetime:
    """The start of the series: its own time, unless that is later than the acquisition's, as for derived series."""
    series = _moment(dataset.get("SeriesDate"), dataset.get("SeriesTime"))
    acquired = _moment(dataset.get("AcquisitionDate"), dataset.get("AcquisitionTime"))
    if series is None or (acquired is not None and series > acquired):
        _refuse("SeriesTime", "absent or later than the acquisition")
    return series


def _given(dataset: Any, drug: Any) -> datetime.datetime:
    whole = str(drug.get("RadiopharmaceuticalStartDateTime") or "")
    given = _moment(whole[:8], whole[8:]) if whole else None
    given = given or _moment(dataset.get("SeriesDate"), drug.get("RadiopharmaceuticalStartTime"))
    if given is None:
        _refuse("RadiopharmaceuticalStartTime", "absent")
    return given


def _moment(day: object, time: object) -> datetime.datetime | None:
    date, clock = date_of(day), TIME.match(str(time))
    if date is None or clock is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    return datetime.datetime.combine(date, datetime.time(hours, minutes, seconds))


def _positive(dataset: Any, keyword: str) -> float:
    number = float(dataset.get(keyword) or 0)
    if not 0 < number < math.inf:
        _refuse(keyword, "absent or not positive")
    return number


def _refuse(field: str, found: str) -> NoReturn:
    raise Unreadable(field, found, "the header does not tell the standardised uptake (cohort.units=suv)")
