"""What a cohort cannot answer, as sentences computed from its data."""

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.labels import Classes
from synthassay.cohorts.specs import IN_DOMAIN, CohortSpec
from synthassay.records import MIN_PATIENTS_FOR_INFERENCE, ImageSet

# A false alarm rate of 1% cannot be told from 4% with fewer control patients; see the memorisation assay.
CONTROL_PATIENTS_FOR_MEMORISATION = 100
MOST_SITES = 5  # that are named one by one
DARK, MANY_DARK = 1 / 8, 0.05  # of the stored range; of the patients


def limits_of(images: ImageSet, splits: NDArray[np.str_], classes: Classes, spec: CohortSpec) -> list[str]:
    """Sentences about one prepared cohort."""
    found = [
        _unit(spec), _window(spec), _units(images, spec), *_labels(images, splits, classes), *_places(images, splits),
        *_counts(images, splits), *_missing(images),
    ]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _unit(spec: CohortSpec) -> str:
    texts = {
        "patient": "",
        "lesion": "Ids are of lesions, not of patients: a patient with several lesions may be in more than one split, "
        "and intervals over lesions are narrower than intervals over patients would be.",
        "image": "Each image counts as a patient of its own: a patient with several images may be in more than one "
        "split, and intervals over images are narrower than intervals over patients would be.",
    }
    return texts[spec.patient_is]


def _window(spec: CohortSpec) -> str:
    own = {"scan": "its own percentiles", "header": "the window of its own header"}.get(spec.window.mode)
    return (
        f"Each scan was windowed by {own}: equal grey values of two scans need not mean equal source values."
        if own
        else ""
    )


def _units(images: ImageSet, spec: CohortSpec) -> str:
    """Patients who are dark throughout under a window that all share: their scans are in other units, or all are."""
    if spec.window.mode in ("scan", "header") or not len(images):
        return ""
    brightest: dict[str, int] = {}
    for patient, image in zip(images.patients.tolist(), images.pixels, strict=True):
        brightest[patient] = max(brightest.get(patient, 0), int(image.max()))
    dark = sum(value < DARK * images.pixel_max for value in brightest.values())
    if dark < MANY_DARK * len(brightest):
        return ""
    if dark == len(brightest):
        return ("No image has a pixel brighter than an eighth of the stored range: the files do not fill the window, "
                "as 12 bits do not fill 16. cohort.window.mode=percentiles fits it to generator-train.")  # fmt: skip
    return (f"{dark:,} of {len(brightest):,} patients have no pixel brighter than an eighth of the stored range: their "
            "scans may be in other units than the rest. cohort.window.mode=scan gives each scan its own "
            "window.")  # fmt: skip


def _labels(images: ImageSet, splits: NDArray[np.str_], classes: Classes) -> list[str]:
    if (images.labels < 0).all():
        return ["The images have no labels: generators are trained without them, and nothing can be said about "
                "classifiers trained on synthetic images."]  # fmt: skip
    name = classes.names[classes.positive]
    positive = images.labels == classes.positive
    sentences = []
    patients = set(images.patients.tolist())
    with_positive, with_other = (set(images.patients[mask].tolist()) for mask in (positive, ~positive))
    if with_positive == patients and len(with_other) > 0:
        sentences.append(f"Every patient has the label {name!r} in some image, so a classifier tells slices apart, "
                         "not patients.")  # fmt: skip
    for split in dict.fromkeys(splits.tolist()):
        present = set(images.labels[splits == split].tolist())
        absent = [text for index, text in enumerate(classes.names) if index not in present]
        if absent:
            sentences.append(f"{split} has no image with the label {' or '.join(map(repr, absent))}.")
    return [*sentences, *_sites_of_one_label(images, classes)]


def _sites_of_one_label(images: ImageSet, classes: Classes) -> list[str]:
    """A sentence for each such site, or one for all where there are many."""
    sites, cannot = _known(images.groups["site"]), "there the label cannot be told from the site."
    here = {site: set(images.labels[images.groups["site"] == site].tolist()) for site in sites}
    only = {site: classes.names[labels.pop()] for site, labels in here.items() if len(labels) == 1}
    if len(only) > MOST_SITES:
        return [f"All images of one site have the same label at {len(only):,} of {len(sites):,} sites: {cannot}"]
    return [f"All images of site {site!r} have the label {label!r}: {cannot}" for site, label in only.items()]


def _known(column: NDArray[np.str_]) -> list[str]:
    return sorted(set(column.tolist()) - {""})


def _places(images: ImageSet, splits: NDArray[np.str_]) -> list[str]:
    sites, devices = images.groups["site"], images.groups["device"]
    names, sentences = _known(sites), []
    if len(names) < 2:
        one = f"The only site is {names[0]!r}" if names else "No site is known"
        sentences.append(f"{one}: nothing can be said about other sites.")
    pairs = {pair for pair in zip(sites.tolist(), devices.tolist(), strict=True) if all(pair)}
    sites_of_pairs, devices_of_pairs = ({pair[i] for pair in pairs} for i in (0, 1))
    if len(pairs) > 1 and len(pairs) == len(sites_of_pairs) == len(devices_of_pairs):
        sentences.append("Site and device coincide: their effects cannot be told apart.")
    elif len(pairs) > 1 and len(pairs) == len(devices_of_pairs) and len(names) > 1:
        sentences.append("No device is used at two sites: the effects of device and site cannot be told apart.")
    if "external" not in splits:
        sentences.append("No site or device is held out: nothing can be said about places that were never seen.")
    return sentences


def _counts(images: ImageSet, splits: NDArray[np.str_]) -> list[str]:
    counts = {split: len(set(images.patients[splits == split].tolist())) for split in (*IN_DOMAIN, "external")}
    sentences = [f"{split} has no patient: what needs it has no answer." for split in IN_DOMAIN if not counts[split]]
    for split in ("test", "external"):
        if 0 < counts[split] < MIN_PATIENTS_FOR_INFERENCE:
            sentences.append(f"{split} has {counts[split]} patients, fewer than {MIN_PATIENTS_FOR_INFERENCE}: its "
                             "intervals are descriptive.")  # fmt: skip
    controls = counts["control-a"] + counts["control-b"]
    if controls < CONTROL_PATIENTS_FOR_MEMORISATION:
        sentences.append(f"The controls have {controls} patients, fewer than {CONTROL_PATIENTS_FOR_MEMORISATION}: the "
                         "evidence is insufficient for any claim that patients are not copied.")  # fmt: skip
    return sentences


def _missing(images: ImageSet) -> list[str]:
    total = len(images)
    unknown = {name: int((images.groups[name] == "").sum()) for name in ("site", "device", "sex")}
    unknown["age"] = int(np.isnan(images.covariates["age"]).sum())
    nowhere = [f"No image has a known {name}." for name, count in unknown.items() if count == total and name != "site"]
    return nowhere + [f"The {name} of {count:,} of {total:,} images is unknown."
                      for name, count in unknown.items() if 0 < count < total]  # fmt: skip
