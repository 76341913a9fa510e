"""Standardised uptake values of PET by body weight (SUVbw), from the header.

The activity that was injected is decayed to the time of the scan; QIBA's vendor-neutral recipe. A file whose header
does not say all of it is refused, naming what is missing.
"""

import datetime
import math
from typing import Any, NoReturn

from pydicom.tag import Tag

from synthassay.scans.unreadable import Unreadable

PHILIPS_FACTOR = Tag(0x7053, 0x1000)  # SUV per count
DAY = 86400.0


def suv_factor(dataset: Any) -> float:
    """SUV per rescaled unit. Raises :class:`Unreadable` where the header does not tell it."""
    if str(dataset.get("Modality")) != "PT":
        _refuse("Modality", "not PT")
    units = str(dataset.get("Units") or "")
    if units == "GML":
        return 1.0
    if units == "CNTS" and PHILIPS_FACTOR in dataset:
        factor = float(dataset[PHILIPS_FACTOR].value or 0)
        if factor > 0 and math.isfinite(factor):
            return factor
    if units != "BQML":
        _refuse("Units", "neither BQML nor GML")
    corrected = dataset.get("CorrectedImage") or ()
    if not {"ATTN", "DECY"} <= set([corrected] if isinstance(corrected, str) else corrected):
        _refuse("CorrectedImage", "without ATTN and DECY")
    return _positive(dataset, "PatientWeight") * 1000.0 / _dose(dataset)


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
    given = _moment(whole[:8], whole[8:14]) if whole else None
    given = given or _moment(dataset.get("SeriesDate"), drug.get("RadiopharmaceuticalStartTime"))
    if given is None:
        _refuse("RadiopharmaceuticalStartTime", "absent")
    return given


def _moment(day: object, time: object) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(f"{day}{str(time)[:6]}", "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _positive(dataset: Any, keyword: str) -> float:
    number = float(dataset.get(keyword) or 0)
    if not 0 < number < math.inf:
        _refuse(keyword, "absent or not positive")
    return number


def _refuse(field: str, found: str) -> NoReturn:
    raise Unreadable(field, found, "the header does not tell the standardised uptake (cohort.units=suv)")
