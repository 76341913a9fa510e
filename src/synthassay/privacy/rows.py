"""Rates → result rows and the verdict, with the reason for each answer as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthassay.metrics.intervals import wilson
from synthassay.privacy.detector import Calibration, Detector
from synthassay.privacy.rates import Rate, certifiable_rate, difference
from synthassay.records import MIN_PATIENTS_FOR_INFERENCE, MetricResult, Status, identity

FAMILY = "memorisation"
VERDICT = "memorisation_verdict"
PER = 1000.0
BOOTSTRAP = "cluster bootstrap (percentile) or Wilson at the effective size, the wider limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one detector found in one set. Rates count the judged images only; ``n`` counts all images of the set."""

    calibration: Calibration
    detector: Detector
    name: str
    n: int
    flagged: Rate  # clusters: the set's own units
    by_copied_patient: Rate  # clusters: the nearest training patient
    affected: int  # training patients with at least one flagged image
    share: tuple[float, ...] | None  # value, low, high; of all images of the set

    @property
    def unit(self) -> str:
        """What was resampled: images of a generator are independent, others come in patients."""
        return "image" if self.flagged.clusters == self.flagged.n else "patient"


def rows_of(evidence: Evidence) -> list[MetricResult]:
    """Every row but the verdict."""
    rows = [*_flagged_rows(evidence), _share_row(evidence), _patients_row(evidence), _false_alarm_row(evidence)]
    return [*rows, *_recall_rows(evidence)]


def missing_rows(calibration: Calibration, name: str, n: int, reason: str) -> list[MetricResult]:
    """The rows of a set that cannot be assessed: each says "insufficient evidence" and why."""
    metrics = {"copies_per_1000": "per 1,000 images", "excess_per_1000": "per 1,000 images", "copied_share": "1",
               "patients_affected": "training patients", "false_alarm_rate": "1", VERDICT: "1"}  # fmt: skip
    return [
        MetricResult(
            family="memorisation", metric=metric, generator=name, encoder=calibration.headline,
            reference="generator-train", unit=unit, status="insufficient evidence", note=f"Not assessed: {reason}.",
            n_real=calibration.control_images, n_synthetic=n, n_patients=calibration.control_patients,
            identity=calibration.definition, higher_is_better=False,
        )
        for metric, unit in metrics.items()
    ]  # fmt: skip


def _row(evidence: Evidence, metric: str, **fields: Any) -> MetricResult:
    """A row about the set against the controls, with ``fields`` changed."""
    calibration = evidence.calibration
    base: dict[str, Any] = {
        "reference": "generator-train",
        "ci_method": BOOTSTRAP,
        "unit": "1",
        "resampling_unit": evidence.unit,
        "n_real": calibration.control_images,
        "n_synthetic": evidence.flagged.n,
        "n_patients": calibration.control_patients,
        "identity": evidence.detector.definition,
        "higher_is_better": False,
        "status": _status(evidence),
        "note": _scope(evidence),
    }
    encoder = evidence.detector.encoder
    return MetricResult(
        family="memorisation", metric=metric, generator=evidence.name, encoder=encoder, **(base | fields)
    )


def _status(evidence: Evidence, patients: int | None = None) -> Status:
    """Too few controls outweigh too few units of the row itself."""
    if evidence.calibration.control_patients < evidence.calibration.spec.min_control_patients:
        return "insufficient evidence"
    units = evidence.flagged.clusters if patients is None else patients
    return "descriptive" if units < MIN_PATIENTS_FOR_INFERENCE else "ok"


def _scope(evidence: Evidence) -> str:
    """Which images were judged, where that is not all of them."""
    left_out = evidence.n - evidence.flagged.n
    if not left_out:
        return ""
    return f"{left_out} images of control A patients set the threshold and are left out."


def _limits(rate: Rate, per: float = 1.0) -> dict[str, float]:
    return {"value": rate.value * per, "ci_low": rate.low * per, "ci_high": rate.high * per}


def _floor(rate: Rate, per: float = 1.0) -> dict[str, float]:
    return {"floor": rate.value * per, "floor_ci_low": rate.low * per, "floor_ci_high": rate.high * per}


def _flagged_rows(evidence: Evidence) -> list[MetricResult]:
    """Flagged images per 1,000 by either clustering, and the excess over control B."""
    floor = evidence.detector.false_alarms
    unit = "per 1,000 images"
    excess = dict(
        zip(("value", "ci_low", "ci_high"), (PER * x for x in difference(evidence.flagged, floor)), strict=True)
    )
    calibration = evidence.calibration
    return [
        _row(evidence, "copies_per_1000", unit=unit, **_limits(evidence.flagged, PER), **_floor(floor, PER)),
        _row(evidence, "copies_per_1000", variant="by copied patient", unit=unit, **_floor(floor, PER),
             **_limits(evidence.by_copied_patient, PER), resampling_unit="training patient",
             n_real=calibration.train_images, n_patients=evidence.by_copied_patient.clusters,
             status=_status(evidence, evidence.by_copied_patient.clusters)),
        _row(evidence, "excess_per_1000", unit=unit, **excess, floor=0.0, ci_method="Newcombe, from both intervals"),
    ]  # fmt: skip


def _share_row(evidence: Evidence) -> MetricResult:
    """The flagged share corrected for false alarms and recall."""
    method = "Rogan-Gladen, parametric bootstrap of flagged share, false alarms and recall at effective size"
    if evidence.share is None:
        reason = "The recall of planted copies is not clearly above the false alarms"
        if not evidence.detector.recalls:
            reason = "No copies were planted"
        note = f"{reason}, so the share of copies cannot be told from the share that is flagged."
        return _row(evidence, "copied_share", status="insufficient evidence", ci_method="", note=note)
    value, low, high = evidence.share
    kinds = ", ".join(evidence.detector.recalls)
    note = f"Copies are taken to be found as often as the mean over {kinds}. {_scope(evidence)}".strip()
    return _row(evidence, "copied_share", value=value, ci_low=low, ci_high=high, floor=0.0, ci_method=method,
                n_synthetic=evidence.n, note=note)  # fmt: skip


def _patients_row(evidence: Evidence) -> MetricResult:
    """Training patients with at least one flagged image; the floor spreads false alarms evenly over the patients."""
    patients, n = evidence.calibration.train_patients, evidence.flagged.n
    low, high = wilson(evidence.affected, patients).ends()
    alarms = evidence.detector.false_alarms
    floor, floor_low, floor_high = (
        patients * (1 - (1 - rate / patients) ** n) for rate in (alarms.value, alarms.low, alarms.high)
    )
    note = f"The floor is what false alarms alone would reach if they fell evenly on patients. {_scope(evidence)}"
    definition = tuple(sorted((*evidence.detector.definition, *identity(n_synthetic=n))))
    return _row(evidence, "patients_affected", value=float(evidence.affected), ci_low=low * patients,
                ci_high=high * patients, ci_method="Wilson over training patients", unit="training patients",
                resampling_unit="training patient", floor=floor, floor_ci_low=floor_low, floor_ci_high=floor_high,
                n_real=evidence.calibration.train_images, n_patients=patients, note=note.strip(),
                identity=definition)  # fmt: skip


def _false_alarm_row(evidence: Evidence) -> MetricResult:
    """The realised share of control B that is flagged."""
    alarms, spec = evidence.detector.false_alarms, evidence.calibration.spec
    note = (f"Threshold {evidence.detector.threshold:.4g} on the score, from control A for a share of "
            f"{spec.false_alarms:g}; {alarms.hits} of {alarms.n} images of control B are below.")  # fmt: skip
    return _row(evidence, "false_alarm_rate", **_limits(alarms), reference="control-b", resampling_unit="patient",
                n_real=alarms.n, n_patients=alarms.clusters, status=_status(evidence, alarms.clusters),
                note=note)  # fmt: skip


def _recall_rows(evidence: Evidence) -> list[MetricResult]:
    """The share of planted copies that is found, by kind; a kind without planted copies says so."""
    calibration, recalls = evidence.calibration, evidence.detector.recalls
    rows = []
    for kind in dict.fromkeys((*calibration.spec.panel_kinds, *recalls)):
        common = {"group": f"kind={kind}", "higher_is_better": True, "n_real": calibration.train_images}
        if kind not in recalls:
            rows.append(_row(evidence, "copy_recall", **common, status="insufficient evidence", n_synthetic=0,
                             n_patients=0, ci_method="", note="No copies of this kind were planted."))  # fmt: skip
            continue
        rate = recalls[kind]
        few = rate.clusters < calibration.spec.min_panel_patients
        needed = f"{rate.clusters} patients, {calibration.spec.min_panel_patients} are needed." if few else ""
        rows.append(_row(evidence, "copy_recall", **common, **_limits(rate), resampling_unit="patient",
                         ci_method="Clopper-Pearson over patients", n_synthetic=rate.n, n_patients=rate.clusters,
                         status="insufficient evidence" if few else _status(evidence, rate.clusters),
                         note=needed))  # fmt: skip
    return rows


def verdict_row(evidence: Evidence) -> MetricResult:
    """1 = copying found, 0 = none found, no value = insufficient evidence; the note says why.

    Copying is found when the lower limit of the flagged share exceeds the upper limit of control B's. None is found
    when it does not, the interval of the copied share reaches from zero to what is tolerated, and the controls hold.
    """
    found = evidence.flagged.low > evidence.detector.false_alarms.high
    numbers = _numbers(evidence)
    basis = _shortfalls(evidence)
    value: float | None = None
    if basis:
        lean = "points to copying" if found else "does not stand out"
        note = f"Insufficient evidence: {_join(basis)}. The flagged share {lean}: {numbers}."
    elif found:
        value, note = 1.0, f"Copying found: {numbers}."
    elif doubts := _doubts(evidence):
        note = f"Insufficient evidence for saying that there is no copying: {_join(doubts)}. Flagged: {numbers}."
    else:
        value, note = 0.0, f"No copying found: {numbers}. {_certified(evidence)}"
    status: Status = "insufficient evidence" if value is None else "ok"
    return _row(evidence, VERDICT, value=value, status=status, note=f"{note} {_scope(evidence)}".strip(),
                ci_method="flagged share's lower limit against control B's upper limit")  # fmt: skip


def _numbers(evidence: Evidence) -> str:
    flagged, floor = evidence.flagged, evidence.detector.false_alarms
    return (f"{flagged.value * PER:.1f} images in 1,000 ({flagged.low * PER:.1f} to {flagged.high * PER:.1f}) against "
            f"{floor.value * PER:.1f} ({floor.low * PER:.1f} to {floor.high * PER:.1f}) of control B")  # fmt: skip


def _shortfalls(evidence: Evidence) -> list[str]:
    """What is missing for any verdict."""
    calibration, spec = evidence.calibration, evidence.calibration.spec
    found = []
    if calibration.control_patients < spec.min_control_patients:
        found.append(f"{calibration.control_patients} control patients, {spec.min_control_patients} are needed")
    if evidence.flagged.clusters < MIN_PATIENTS_FOR_INFERENCE:
        found.append(f"{evidence.flagged.clusters} independent {evidence.unit}s in the set, "
                     f"{MIN_PATIENTS_FOR_INFERENCE} are needed")  # fmt: skip
    if not evidence.detector.recalls:
        found.append("no copies were planted, so the detector is untested")
    return found


def _doubts(evidence: Evidence) -> list[str]:
    """What stands against saying that there is no copying."""
    spec, detector = evidence.calibration.spec, evidence.detector
    found = [f"no {kind} copies were planted" for kind in spec.panel_kinds if kind not in detector.recalls]
    for kind, rate in detector.recalls.items():
        if rate.clusters < spec.min_panel_patients:
            found.append(f"{kind} copies of {rate.clusters} patients, {spec.min_panel_patients} are needed")
        elif rate.low < spec.min_recall:
            found.append(f"the recall of {kind} copies may be as low as {rate.low:.2f}, {spec.min_recall:g} is needed")
    if detector.false_alarms.low > spec.false_alarms:
        found.append(f"control B realises more false alarms than {spec.false_alarms:g}")
    return [*found, *_share_doubts(evidence)]


def _share_doubts(evidence: Evidence) -> list[str]:
    if evidence.share is None:
        return ["the copied share cannot be estimated"]
    _, low, high = evidence.share
    found = [f"the copied share is likely above zero, from {low:.2%}"] if low > 0 else []
    if high > (tolerated := evidence.calibration.spec.tolerated_share):
        found.append(f"the copied share may be as high as {high:.2%}, at most {tolerated:.2%} is tolerated")
    return found


def _certified(evidence: Evidence) -> str:
    """How much copying the sample could have missed."""
    patients, units = evidence.calibration.control_patients, evidence.flagged.clusters
    best = certifiable_rate(min(patients, units))
    kinds = ", ".join(evidence.detector.recalls)
    upper = f"A copied share of up to {evidence.share[2]:.1%} cannot be excluded. " if evidence.share else ""
    sample = (
        f"{patients} control patients and {units} independent {evidence.unit}s of the set certify {best:.2%} at best."
    )
    scope = f"This speaks of the kinds of copy that were planted ({kinds})"
    return f"{upper}{sample} {scope}; shifted, scaled or cropped copies can go unseen."


def _join(parts: Sequence[str]) -> str:
    return "; ".join(parts)
