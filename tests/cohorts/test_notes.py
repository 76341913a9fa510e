import numpy as np
import pytest

from synthassay.cohorts.labels import Classes
from synthassay.cohorts.notes import limits_of
from synthassay.records import ImageSet

CLASSES = Classes(("well", "ill"), 1, ("0", "1"))


def sentences(scans, n=8, splits="generator-train", classes=CLASSES, patient_is="patient", **columns):
    """Notes on ``n`` images of ``n / 2`` patients; columns override what is otherwise unremarkable."""
    index = np.arange(n)
    half = index // 2
    settings = {"patients": half, "labels": half % 2, "site": index // 4, "device": half % 2, "sex": "F", "age": 50.0}
    settings |= columns
    text = {
        name: np.broadcast_to(np.asarray(settings[name]).astype(str), n)
        for name in ("patients", "site", "device", "sex")
    }
    images = ImageSet(
        name="x", origin="real", pixels=np.random.default_rng(0).integers(0, 255, (n, 1, 8, 8)).astype(np.uint8),
        ids=index.astype(str), patients=text.pop("patients"),
        labels=np.broadcast_to(np.asarray(settings["labels"], dtype=np.int64), n), label_names=classes.names,
        groups=text, covariates={"age": np.broadcast_to(np.float32(settings["age"]), n)},
    )  # fmt: skip
    spec = scans.images_spec(patient_is=patient_is)
    return " ".join(limits_of(images, np.broadcast_to(np.asarray(splits), n), classes, spec))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"labels": [0, 1] * 4}, "Every patient has the label 'ill' in some image, so a classifier tells slices apart"),
        ({"labels": -1}, "The images have no labels"),
        ({"labels": [0] * 4 + [1, 0] * 2}, "All images of site '0' have the label 'well'"),
        ({"device": [0] * 4 + [1] * 4}, "Site and device coincide"),
        ({"device": [0, 1, 0, 1, 2, 2, 2, 2]}, "No device is used at two sites"),
        ({"site": "A"}, "The only site is 'A'"),
        ({"site": ""}, "No site is known"),
        ({"patient_is": "lesion"}, "Ids are of lesions, not of patients"),
        ({"patient_is": "image"}, "Each image counts as a patient"),
        ({}, "No site or device is held out"),
        ({"splits": ["generator-train"] * 4 + ["test"] * 4}, "test has 2 patients, fewer than 20"),
        ({"splits": ["generator-train"] * 4 + ["external"] * 4}, "external has 2 patients, fewer than 20"),
        ({"splits": ["generator-train"] * 4 + ["control-a"] * 4}, "The controls have 2 patients, fewer than 100"),
        ({}, "control-b has no patient"),
        ({"splits": ["generator-train"] * 6 + ["test"] * 2}, "test has no image with the label 'well'"),
        ({"sex": ""}, "No image has a known sex."),
        ({"age": [50] * 7 + [np.nan]}, "The age of 1 of 8 images is unknown."),
    ],
)
def test_what_the_data_cannot_answer_is_said(scans, columns, sentence):
    assert sentence in sentences(scans, **columns)


def test_many_sites_of_one_label_are_said_in_one_sentence(scans):
    text = sentences(scans, n=40, site=np.arange(40) // 4, labels=[1, 0] * 2 + [0, 0, 1, 1] + [1] * 32)
    assert "All images of one site have the same label at 8 of 10 sites: there the label cannot be told" in text
    assert "of site '" not in text


def test_nothing_is_said_that_is_not_so(scans):
    text = sentences(scans, splits=["generator-train"] * 6 + ["external"] * 2)
    for words in (
        "Every patient",
        "coincide",
        "No device",
        "only site",
        "held out",
        "unknown",
        "lesions",
    ):
        assert words not in text


def test_patients_in_other_units_are_said(scans):
    bright = np.random.default_rng(0).integers(0, 255, (8, 1, 8, 8))
    dark = np.where(np.arange(8)[:, None, None, None] < 6, bright, bright // 16)
    part, none = "1 of 4 patients have no pixel brighter", "No image has a pixel brighter"
    for pixels, expected in ((bright, []), (dark, [part]), (bright // 16, [none])):
        images = ImageSet(
            name="x", origin="real", pixels=pixels.astype(np.uint8), ids=np.arange(8).astype(str),
            patients=(np.arange(8) // 2).astype(str), labels=np.zeros(8, np.int64), label_names=CLASSES.names,
            groups={name: np.full(8, "A") for name in ("site", "device", "sex")},
            covariates={"age": np.full(8, 50, np.float32)},
        )  # fmt: skip
        notes = limits_of(images, np.full(8, "test"), CLASSES, scans.images_spec())
        assert [start for start in (part, none) if any(note.startswith(start) for note in notes)] == expected
