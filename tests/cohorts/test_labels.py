from dataclasses import replace

import pytest

from synthassay.cohorts.labels import Classes, class_of, find_classes, labels_of
from synthassay.cohorts.sources import Image, Plane, Source
from synthassay.cohorts.specs import LabelSpec
from synthassay.errors import UserError


def sources(*labels: str | None) -> list[Source]:
    return [Source(path=f"{i}", patient="p", study="s", series="x", label=text) for i, text in enumerate(labels)]


def images(found: list[Source], mask_pixels: tuple[int, ...] = ()) -> list[Image]:
    counts = mask_pixels or (0,) * len(found)
    planes = [
        Plane(frame=0, slice_index=None, slice_position=None, foreground=1, digest="", mask_pixels=n) for n in counts
    ]
    return [Image(source=s, plane=p, sha256="", chunk=0, row=0) for s, p in zip(found, planes, strict=True)]


def test_values_become_the_named_classes_in_order(scans):
    spec = scans.dicom_spec(label=LabelSpec(names=("well", "ill"), values=("0", "1"), positive="ill"))
    classes, kept, refused = find_classes(sources("1.0", "0", "2", "", None), spec)
    assert classes == Classes(("well", "ill"), 1, (("0",), ("1",)))
    assert labels_of(images(kept), classes, spec) == [1, 0]
    assert [row.found for row in refused] == ["another value", "no label", "no label"]


def test_without_names_the_values_found_are_the_classes_sorted_as_numbers(scans):
    spec = scans.dicom_spec()
    assert find_classes(sources("10", "2", "1"), spec)[0] == Classes(("1", "2", "10"), 2, (("1",), ("2",), ("10",)))
    assert find_classes(sources("nevus", "melanoma"), spec)[0].names == ("melanoma", "nevus")


def test_masks_give_two_classes_by_the_fewest_pixels(scans):
    spec = scans.bids_spec()
    spec = spec.model_copy(update={"label": spec.label.model_copy(update={"mask_min_pixels": 3})})
    classes, kept, _ = find_classes(sources(None, None, None), spec)
    assert classes.names == ("no tumour", "tumour")
    assert labels_of(images(kept, (0, 2, 3)), classes, spec) == [0, 0, 1]


def test_unlabelled_cohorts_have_one_name_and_no_label(scans):
    spec = scans.dicom_spec(label=LabelSpec(source="none"))
    classes, kept, refused = find_classes(sources(None, "x"), spec)
    assert classes.names == ("unlabelled",)
    assert labels_of(images(kept), classes, spec) == [-1, -1]
    assert refused == []


def test_one_class_only_is_a_users_mistake(scans):
    spec = scans.dicom_spec()
    classes, kept, _ = find_classes(sources("1", "1"), spec)
    with pytest.raises(UserError, match="all 2 images have the label '1'; at least two classes"):
        labels_of(images(kept), classes, spec)


def test_labels_that_nothing_matches_are_a_users_mistake(scans):
    spec = scans.dicom_spec(label=LabelSpec(names=("well", "ill")))
    with pytest.raises(UserError, match=r"none of 2 labels is one of cohort\.label\.values 'well', 'ill'"):
        find_classes(sources("0", "1"), spec)
    with pytest.raises(UserError, match="none of 2 scans has a label"):
        find_classes(sources("", None), spec)
    with pytest.raises(UserError, match="positive=sick is not one of the classes 0, 1"):
        find_classes(sources("0", "1"), scans.dicom_spec(label=LabelSpec(positive="sick")))


def test_a_label_that_may_be_an_id_is_not_quoted(scans):
    classes, kept, _ = find_classes(sources("19800707", "19800707"), scans.dicom_spec())
    with pytest.raises(UserError, match="all 2 images have one label; at least"):
        labels_of(images(kept), classes, scans.dicom_spec())
    with pytest.raises(UserError, match="positive=sick is not one of the classes 2 values found"):
        find_classes(sources("1980", "1981"), scans.dicom_spec(label=LabelSpec(positive="sick")))


def test_more_classes_than_half_the_patients_are_not_classes(scans):
    def of_patients(count: int, classes: int) -> list[Source]:
        return [replace(s, patient=s.path, label=f"c{i % classes}") for i, s in enumerate(sources(*["x"] * count))]

    with pytest.raises(UserError, match="11 different values among 21 patients"):
        find_classes(of_patients(21, 11), scans.dicom_spec())
    assert len(find_classes(of_patients(22, 11), scans.dicom_spec())[0].names) == 11
    assert len(find_classes(of_patients(10, 10), scans.dicom_spec())[0].names) == 10


def test_a_column_of_ids_is_not_taken_for_a_label(scans):
    with pytest.raises(UserError, match="101 different values"):
        find_classes(sources(*[f"id{i}" for i in range(101)]), scans.dicom_spec())


@pytest.mark.parametrize(
    ("values", "separator", "expected"),
    [
        ([["0", ""], ["1"]], "", {"0": 0, "": 0, "1": 1, "-1": None}),
        (["0", "*"], "", {"0": 0, "7": 1, "": None}),
        (["*", "Effusion"], "|", {"Mass|Effusion": 1, "Effusion": 1, "Mass": 0, "": None}),
        (["No Finding", "Effusion"], "|", {"No Finding": 0, "Mass| Effusion": 1, "Mass": None,
                                           "No Finding|Effusion": None}),
    ],
)  # fmt: skip
def test_a_class_is_one_text_or_several_or_every_other(scans, values, separator, expected):
    spec = scans.dicom_spec(label=LabelSpec(names=("well", "ill"), values=values, separator=separator))
    classes, kept, refused = find_classes(sources(*expected), spec)
    assert dict(zip([s.label for s in kept], labels_of(images(kept), classes, spec), strict=True)) == {
        text: number for text, number in expected.items() if number is not None
    }
    assert len(refused) == list(expected.values()).count(None)
    assert ("several classes" in [row.found for row in refused]) == ("No Finding|Effusion" in expected)


def test_lists_of_values_without_names_give_the_values_found_in_them(scans):
    spec = scans.dicom_spec(label=LabelSpec(separator="|"))
    assert find_classes(sources("a", "b", "a|b"), spec)[0].names == ("a", "b")


def test_labels_of_one_class_have_their_class_in_common_and_others_their_text():
    common = class_of(LabelSpec(names=("benign", "malignant"), values=(("nv", "df"), ("mel", "bcc"))))
    assert common("nv") == common("df") != common("mel") == common("bcc")
    assert common("unlisted") != common("another")
    found = class_of(LabelSpec())
    assert found("nv") != found("df")
