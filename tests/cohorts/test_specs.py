import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from synthassay.cohorts.phantom.specs import PhantomSpec
from synthassay.cohorts.specs import (
    DicomSpec,
    ImagesSpec,
    LabelSpec,
    NiftiSpec,
    SliceSpec,
    SplitSpec,
    TableSpec,
    WindowSpec,
)
from synthassay.scans.volumes import VolumeSpec
from synthassay.specs import digest_of

LISTING = TableSpec(path="t.csv", file="f", label="y", several_rows="list")
CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("dicom", DicomSpec), ("nifti", NiftiSpec), ("images", ImagesSpec), ("lgg_mri", NiftiSpec),
     ("ham10000", ImagesSpec), ("phantom", DicomSpec)],
)  # fmt: skip
def test_every_shipped_cohort_is_a_valid_spec_called_after_its_file(shipped, name, kind):
    spec = shipped(name)
    assert type(spec) is kind
    assert (spec.name, spec.root) == (name, None)


@pytest.mark.parametrize(("name", "kind"), [("dicom", DicomSpec), ("nifti", NiftiSpec), ("images", ImagesSpec)])
def test_the_files_to_learn_from_show_every_field(name, kind):
    text = (CONF / "cohort" / f"{name}.yaml").read_text()
    missing = [field for field in kind.model_fields if f"\n{field}:" not in text]
    assert missing == []


def test_the_shipped_phantom_shows_every_field_and_holds_out_one_of_its_hospitals(shipped):
    spec = shipped("phantom")
    assert isinstance(spec, DicomSpec)
    assert spec.phantom is not None
    assert spec.phantom.model_fields_set == set(PhantomSpec.model_fields)
    hospitals = {site.institution for site in spec.phantom.sites}
    assert set(spec.split.external_sites) < hospitals


def test_a_cohort_without_labels_can_be_asked_for_on_the_command_line(shipped):
    spec = shipped("dicom", "cohort.label.source=none", "cohort.table=null")
    assert spec.table is None


def test_a_folder_of_dicom_files_needs_no_table_and_has_no_labels_then(shipped):
    spec = shipped("dicom")
    assert spec.table is None
    assert spec.label.source == "none"
    assert spec == shipped("dicom", "cohort.label.source=none", "cohort.table=null")
    header = shipped("dicom", "cohort.label.source=header:BodyPartExamined")
    assert (header.table, header.label.source) == (None, "header:BodyPartExamined")
    table = shipped("dicom", "cohort.table.path=labels.csv")
    assert table.table is not None
    assert table.label.source == "table"


@pytest.mark.parametrize(("change", "named"), [
    ("+cohort.table.also.x={kind: table, path: a.csv, join_on: patient, patient: p, site: s}", r"table\.also"),
    ("cohort.table.label=dx", r"table\.label"),
    ("cohort.table.site=hospital", r"table\.site"),
    ("cohort.label.names=[no,yes]", r"label\.names"),
])  # fmt: skip
def test_settings_of_a_table_without_its_path_are_an_error(shipped, change, named):
    with pytest.raises(Exception, match=named + r" is set, and table\.path, the table that it is about, is not"):
        shipped("dicom", change)


def test_root_and_key_file_are_not_part_of_the_key_and_everything_else_is(shipped):
    table = "cohort.table.path=labels.csv"
    key = digest_of(shipped("dicom", table).to_key())
    assert digest_of(shipped("dicom", table, "cohort.root=/data", "cohort.key_file=/k").to_key()) == key
    for change in ("cohort.size=32", "cohort.split.seed=1", "cohort.window.low=1", "cohort.table.label=x",
                   "cohort.slices.every_n=2", "cohort.site_from=StationName"):  # fmt: skip
        assert digest_of(shipped("dicom", table, change).to_key()) != key


def test_where_an_absolute_table_lies_is_not_part_of_the_key():
    first, second = (TableSpec(path=f"/{home}/labels.csv", file="f").to_key() for home in ("a", "b"))
    assert first == second
    assert TableSpec(path="x/labels.csv", file="f").to_key() != first


def test_patterns_and_paths_that_may_name_somebody_are_digests_in_the_key():
    label = LabelSpec(source="mask", mask="Doe/{name}_mask.nii")
    table = TableSpec(path="Doe/labels.csv", file="f")
    spec = NiftiSpec(
        name="x", label=label, table=table, include=("*", "*.nii.gz", "*/*.nii"), exclude=("*Doe*", "*.Doe")
    )
    key = spec.to_key()
    assert key["include"] == ["*", "*.nii.gz", "*/*.nii"]
    assert all(re.fullmatch("sha256:[0-9a-f]{16}", text) for text in key["exclude"])
    assert "Doe" not in repr(key)
    assert spec.exclude == ("*Doe*", "*.Doe")
    assert digest_of(spec.model_copy(update={"exclude": ("*Roe*", "*.Doe")}).to_key()) != digest_of(key)


UNLABELLED = LabelSpec(source="none")


def test_the_order_of_further_tables_and_the_pattern_of_paths_are_part_of_the_key():
    one, two = (TableSpec(path=path, file="f") for path in ("b", "c"))
    keys = [TableSpec(path="a", file="f", also=also).to_key() for also in ({"x": one, "y": two}, {"y": two, "x": one})]
    assert digest_of(keys[0]) != digest_of(keys[1])
    patterns = [NiftiSpec(name="x", label=LabelSpec(source="none"), path_facts=f"Doe(?P<patient>{p})") for p in "ab"]
    assert digest_of(patterns[0].to_key()) != digest_of(patterns[1].to_key())
    assert "Doe" not in repr(patterns[0].to_key())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WindowSpec(low=5, high=5), "must be below"),
        (lambda: WindowSpec(low=0, high=101), "between 0 and 100"),
        (lambda: SplitSpec(test=0.3), "add up to 1.1"),
        (lambda: SplitSpec(generator_train=0, test=0.7), "must be above 0"),
        (lambda: LabelSpec(names=("a", "b"), values=("1",)), "one value for each name"),
        (lambda: LabelSpec(names=("a",)), "one class"),
        (lambda: LabelSpec(source="mask", names=("a", "b", "c")), "no or two label.names"),
        (lambda: ImagesSpec(name="x", label=LabelSpec(source="none"), slices=SliceSpec(with_mask=True)), "NIfTI"),
        (lambda: LabelSpec(names=("a", "b"), positive="c"), "not one of label.names"),
        (lambda: TableSpec(path="t.csv", join_on="study"), "needs table.study"),
        (lambda: TableSpec(path="t.csv", file="file", encoding="cp12"), "cp12 is no encoding"),
        (lambda: ImagesSpec(name="x"), "needs table.path"),
        (lambda: NiftiSpec(name="x", channels=3, dimensions=3, label=LabelSpec(source="none")), "grey"),
        (lambda: ImagesSpec(name="x", label=LabelSpec(source="header:Modality")), "DICOM"),
        (lambda: DicomSpec(name="x", label=UNLABELLED, volume=VolumeSpec(index="mean")), "NIfTI"),
        (lambda: DicomSpec(name="x", label=UNLABELLED, volume=VolumeSpec(spacing_mm=1)), "dimensions=3"),
        (lambda: DicomSpec(name="x", label=UNLABELLED, dimensions=3, window=WindowSpec(mode="header")), "dimensions=2"),
        (lambda: LabelSpec(names=("a", "b"), values=(("0", "1"), ("1",))), "must not repeat"),
        (
            lambda: TableSpec(path="t", file="f", label="y", also={"b": TableSpec(path="u", file="f", label="z")}),
            "only one table can have a label",
        ),
        (
            lambda: TableSpec(path="t", file="f", also={"b": TableSpec(path="u", file="f", also={"c": LISTING})}),
            "list all of them in the first",
        ),
        (lambda: ImagesSpec(name="x", table=LISTING), r"several_rows=list needs label\.separator"),
        (lambda: TableSpec(path="t", file="f", match_file="last"), "pattern"),
        (lambda: ImagesSpec(name="x", label=LabelSpec(source="path")), "needs path_facts with a group"),
        (lambda: ImagesSpec(name="x", label=LabelSpec(source="array")), "needs arrays.rows"),
        (lambda: NiftiSpec(name="x", label=LabelSpec(source="array")), "is for array files"),
        (lambda: DicomSpec(name="x", label=LabelSpec(source="mask", mask="m.nii")), "NIfTI volumes or pictures"),
        (lambda: ImagesSpec(name="x", label=LabelSpec(source="none"), path_facts="(?P<x>"), "not a regular expression"),
        (lambda: ImagesSpec(name="x", label=LabelSpec(source="none"), path_facts="(?P<ward>x)"), "needs named groups"),
        (lambda: ImagesSpec(name="x", label=LabelSpec(source="none"), recode={"patient": {"a": "b"}}), "site"),
        (lambda: ImagesSpec(name="../x", label=LabelSpec(source="none")), "pattern"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(build, message):
    with pytest.raises(ValidationError, match=message):
        build()


@pytest.mark.parametrize(("name", "low", "high"), [("lung", -1350, 150), ("bone", -500, 1300), ("brain", 0, 80),
                                                   ("soft_tissue", -150, 250)])  # fmt: skip
def test_a_window_for_ct_goes_by_its_name(shipped, name, low, high):
    named = shipped("nifti", f"cohort.window.name={name}").window
    assert (named.mode, named.low, named.high) == ("fixed", low, high)
    assert WindowSpec.model_validate_json(named.model_dump_json()) == named
    with pytest.raises(ValidationError):
        WindowSpec(name="liver")


def test_the_shape_of_an_image_is_that_of_its_dimensions(shipped):
    settings = {"name": "x", "label": LabelSpec(source="none"), "size": 32}
    assert NiftiSpec(**settings).image_shape == (32, 32)
    assert NiftiSpec(**settings, dimensions=3).image_shape == (32, 32, 32)
    assert shipped("nifti", "cohort.dimensions=3", "cohort.volume.shape=[8,16,24]").image_shape == (8, 16, 24)


def test_text_is_looked_for_in_pictures_only():
    with pytest.raises(ValidationError, match="set dimensions=2"):
        NiftiSpec(name="n", dimensions=3, label=LabelSpec(source="none"), deidentification={"ocr": True})


@pytest.mark.parametrize("pairs", [{"NIH FMRIF": "NIH"}, [["NIH FMRIF", "NIH"]]])
def test_sites_to_merge_are_pairs_or_a_mapping(pairs):
    spec = ImagesSpec(name="n", label=LabelSpec(source="none"), merge_sites=pairs)
    assert spec.merge_sites == (("NIH FMRIF", "NIH"),)


def test_pictures_have_no_header_to_name_a_site():
    with pytest.raises(ValidationError, match="pictures have no header"):
        ImagesSpec(name="n", label=LabelSpec(source="none"), site_from="InstitutionName")


def test_values_of_a_label_may_be_written_as_numbers(shipped):
    spec = shipped("images", "cohort.label.names=[no,yes]", "cohort.label.values=[0,[1,2]]")
    assert spec.label.values == ("0", ("1", "2"))
    assert shipped("images", "++cohort.recode={sex: {1: M, 2: F}}").recode == {"sex": {"1": "M", "2": "F"}}
    assert shipped("images", "cohort.table.sheet=1", "cohort.table.label=3").table.sheet == 1
