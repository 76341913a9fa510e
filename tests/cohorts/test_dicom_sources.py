import os

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from synthassay.cohorts.dicom_sources import read_images, read_source
from synthassay.cohorts.sources import FileImages
from synthassay.cohorts.specs import WindowSpec
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable

AXIAL = [1, 0, 0, 0, 1, 0]


@pytest.fixture
def spec(scans):
    return scans.dicom_spec(size=20)


@pytest.fixture
def read(tmp_path, spec):
    """``read(name)`` reads a file of ``tmp_path`` as the pipeline does."""

    def through(name: str, **changes) -> FileImages:
        settings = spec.model_copy(update=changes)
        return read_images(tmp_path, read_source(tmp_path, name, settings), settings)

    return through


def test_the_header_says_who_where_and_with_what(tmp_path, scans, spec):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), InstitutionName=" North \t Hospital ", AcquisitionDate="20200115")
    source = read_source(tmp_path, "a.dcm", spec)
    assert (source.site, source.device, source.view) == ("North Hospital", "Siemens Skyra", "PA")
    assert (source.patient, source.sex, source.age) == ("PID-0001", "F", 45.0)


def test_site_and_view_come_from_the_keyword_asked_for(tmp_path, scans):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), StationName="MR1", SeriesDescription="AX FLAIR")
    spec = scans.dicom_spec(site_from="StationName", view_from="SeriesDescription")
    source = read_source(tmp_path, "a.dcm", spec)
    assert (source.site, source.view) == ("MR1", "AX FLAIR")
    assert read_source(tmp_path, "a.dcm", scans.dicom_spec(site_from="none")).site is None


def test_a_label_can_come_from_the_header(tmp_path, scans):
    from synthassay.cohorts.specs import LabelSpec

    scans.dicom(tmp_path / "a.dcm", scans.texture(1), BodyPartExamined="HEAD")
    spec = scans.dicom_spec(label=LabelSpec(source="header:BodyPartExamined"))
    assert read_source(tmp_path, "a.dcm", spec).label == "HEAD"


def test_stored_values_become_rescaled_values(tmp_path, scans, read):
    pixels = scans.texture(1)
    scans.dicom(tmp_path / "a.dcm", pixels, RescaleSlope="0.5", RescaleIntercept="-1024")
    assert np.array_equal(read("a.dcm").pixels[0, 0], pixels * np.float32(0.5) - 1024)


def test_monochrome1_is_inverted_within_the_stored_range(tmp_path, scans, read):
    pixels = scans.texture(1) % 4096
    scans.dicom(tmp_path / "a.dcm", pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    assert np.array_equal(read("a.dcm").pixels[0, 0], 4095 - pixels.astype(np.float32))
    signed = (pixels.astype(np.int16) - 2000).astype(np.int16)
    scans.dicom(tmp_path / "b.dcm", signed, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(read("b.dcm").pixels[0, 0], -1 - signed.astype(np.float32))


def test_colour_becomes_rgb_or_grey(tmp_path, scans, read):
    pixels = scans.texture(1, shape=(20, 20, 3), top=256).astype(np.uint8)
    scans.dicom(tmp_path / "a.dcm", pixels)
    assert np.array_equal(read("a.dcm", channels=3).pixels[0], np.moveaxis(pixels, 2, 0))
    grey = read("a.dcm").pixels
    assert np.allclose(grey[0, 0], pixels @ np.array([0.299, 0.587, 0.114]), atol=1e-3)


def test_compressed_pixels_equal_the_raw_ones(tmp_path, scans, read):
    data = scans.dicom(tmp_path / "a.dcm", scans.texture(1))
    raw = read("a.dcm").pixels
    data.compress(RLELossless)
    data.save_as(tmp_path / "b.dcm")
    assert dcmread(tmp_path / "b.dcm").file_meta.TransferSyntaxUID == RLELossless
    assert np.array_equal(read("b.dcm").pixels, raw)


def _group(name: str, **values) -> Sequence:
    item = Dataset()
    for key, value in values.items():
        setattr(item, key, value)
    group = Dataset()
    setattr(group, name, Sequence([item]))
    return group


def test_frames_of_a_file_are_images_ordered_along_the_normal_with_their_own_rescale(tmp_path, scans, read):
    frames = scans.texture(1, shape=(3, 20, 20))
    own = []
    for index, z in enumerate((4.0, 0.0, 2.0)):
        group = _group("PlanePositionSequence", ImagePositionPatient=[0, 0, z])
        value = Dataset()
        value.RescaleSlope, value.RescaleIntercept = str(index + 1), "0"
        group.PixelValueTransformationSequence = Sequence([value])
        own.append(group)
    shared = _group("PlaneOrientationSequence", ImageOrientationPatient=AXIAL)
    measures = _group("PixelMeasuresSequence", PixelSpacing=[0.5, 0.6], SliceThickness=2)
    shared.PixelMeasuresSequence = measures.PixelMeasuresSequence
    scans.dicom(
        tmp_path / "a.dcm", frames[0], PixelData=frames.tobytes(), NumberOfFrames=3,
        PerFrameFunctionalGroupsSequence=Sequence(own), SharedFunctionalGroupsSequence=Sequence([shared]),
    )  # fmt: skip
    got = read("a.dcm")
    assert np.array_equal(got.pixels[:, 0], frames * np.float32([1, 2, 3])[:, None, None])
    assert [(plane.slice_index, plane.slice_position) for plane in got.planes] == [(2, 1.0), (0, 0.0), (1, 0.5)]
    assert got.planes[0].spacing_mm == (0.5, 0.6, 2.0)
    assert got.planes[0].orientation == "axial"


def test_the_window_of_each_header_can_be_the_cohorts(tmp_path, scans, read):
    values = scans.texture(1)
    scans.dicom(tmp_path / "a.dcm", values, WindowCenter="500.5", WindowWidth="1001")
    got = read("a.dcm", window=WindowSpec(mode="header"))
    assert np.allclose(got.pixels[0, 0], values / 1000, atol=1e-6)


def test_units_are_those_asked_for(tmp_path, scans, read):
    values = scans.texture(1)
    scans.dicom(tmp_path / "a.dcm", values, RescaleSlope="2", RescaleIntercept="0")
    assert np.array_equal(read("a.dcm", units="stored").pixels[0, 0], values)
    assert np.array_equal(read("a.dcm", units="rescaled").pixels[0, 0], 2 * values)
    with pytest.raises(Unreadable, match=r"cohort\.units=suv"):
        read("a.dcm", units="suv")


def test_without_a_patient_id_the_study_is_the_patient(tmp_path, scans, spec):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), PatientID="")
    source = read_source(tmp_path, "a.dcm", spec)
    assert source.patient == f"study {source.study}"


@pytest.mark.parametrize("written", ["Anonymous", "UNKNOWN", "-", " "])
def test_a_patient_id_that_was_written_over_is_none(tmp_path, scans, spec, written):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), PatientID=written, StudyInstanceUID="1.2.3")
    assert read_source(tmp_path, "a.dcm", spec).patient == "study 1.2.3"


def test_files_that_are_not_images_for_the_cohort_are_refused_with_a_reason(tmp_path, scans, spec):
    (tmp_path / "text.dcm").write_bytes(b"x" * 500)
    scans.dicom(tmp_path / "mosaic.dcm", scans.texture(1), ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    scans.dicom(tmp_path / "ct.dcm", scans.texture(1), Modality="CT")
    report = scans.dicom(tmp_path / "sr.dcm", scans.texture(1))
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    report.save_as(tmp_path / "sr.dcm")
    only_mr = spec.model_copy(update={"modalities": ("MR",)})
    for name, reason in (("text", "not a DICOM file"), ("mosaic", "is not written"), ("ct", "cohort.modalities"),
                         ("sr", "holds no image")):  # fmt: skip
        with pytest.raises(Unreadable, match=reason):
            read_source(tmp_path, f"{name}.dcm", only_mr)


@pytest.mark.parametrize(("modality", "shown"), [
    ("CT", "CT"), ("RTIMAGE", "RTIMAGE"), ("M3D", "M3D"), ("", "absent"), ("DOE JANE", "another value"),
    ("DOE", "another value"),
])  # fmt: skip
def test_a_refused_modality_is_named_only_if_it_is_a_code(tmp_path, scans, spec, modality, shown):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), Modality=modality)
    with pytest.raises(Unreadable) as caught:
        read_source(tmp_path, "a.dcm", spec.model_copy(update={"modalities": ("MR",)}))
    assert (caught.value.field, caught.value.found) == ("Modality", shown)
    assert (read_source(tmp_path, "a.dcm", spec).modality or "absent") == shown


def test_headers_of_files_over_the_limit_are_not_read(tmp_path, scans, spec):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1))
    os.truncate(tmp_path / "a.dcm", 2 << 20)
    with pytest.raises(Unreadable, match=r"limits\.file_mib"):
        read_source(tmp_path, "a.dcm", spec.model_copy(update={"limits": LimitSpec(file_mib=1)}))


def test_a_file_that_claims_too_many_pixels_is_refused_before_decoding(tmp_path, scans, spec):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), Rows=65535, Columns=65535, NumberOfFrames=1000)
    with pytest.raises(Unreadable, match=r"limits\.voxels"):
        read_source(tmp_path, "a.dcm", spec)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_truncated_pixels_are_refused_without_quoting_the_file(tmp_path, scans, read, kept):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1, shape=(64, 64)))
    content = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(Unreadable, match="truncated or damaged") as caught:
        read("a.dcm")
    assert "PID" not in repr((caught.value.field, caught.value.found, caught.value.reason))


def test_a_file_cut_within_its_header_is_refused(tmp_path, scans, read):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1))
    (tmp_path / "a.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:300])
    with pytest.raises(Unreadable):
        read("a.dcm")


def test_text_that_cannot_be_decoded_does_not_stop_the_file(tmp_path, scans, spec):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1))
    content = (tmp_path / "a.dcm").read_bytes().replace(b"PA", b"\xff\xfe")
    (tmp_path / "b.dcm").write_bytes(content)
    assert read_source(tmp_path, "b.dcm", spec).patient == "PID-0001"


def test_reading_a_header_says_nothing_on_the_terminal(tmp_path, scans, spec, capsys, recwarn):
    data = scans.dicom(tmp_path / "a.dcm", scans.texture(1))
    data["PatientAge"]._value = "forty-five years"
    data.save_as(tmp_path / "a.dcm")
    read_source(tmp_path, "a.dcm", spec)
    assert capsys.readouterr() == ("", "")
    assert [warning for warning in recwarn if "forty" in str(warning.message)] == []


def test_of_several_software_versions_all_are_one_text(tmp_path, scans, spec):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), SoftwareVersions=["27", "LX"], ViewPosition="LL")
    source = read_source(tmp_path, "a.dcm", spec)
    assert (source.scanner.software, source.view) == ("27 LX", "LATERAL")
