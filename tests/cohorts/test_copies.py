from pydicom.uid import RLELossless

from synthassay.cohorts.copies import CONFLICT, COPY, without_copies
from synthassay.cohorts.dicom_sources import read_source
from synthassay.records import SilentProgress
from synthassay.specs import Resources


def compare(root, scans):
    spec = scans.dicom_spec(table=None, label={"source": "none"})
    sources = [read_source(root, path.name, spec) for path in sorted(root.iterdir())]
    kept, refused = without_copies(sources, root, spec, Resources(workers=1), SilentProgress())
    return [source.path for source in kept], {row.path: row.reason for row in refused}


def test_copies_are_read_once_however_they_are_compressed(tmp_path, scans):
    image = scans.texture(1)
    scans.dicom(tmp_path / "a.dcm", image, SOPInstanceUID="1.2.3")
    scans.dicom(tmp_path / "b.dcm", image, SOPInstanceUID="1.2.3", StudyDate="20210101")
    packed = scans.dicom(tmp_path / "c.dcm", image, SOPInstanceUID="1.2.3")
    packed.compress(RLELossless, generate_instance_uid=False)
    packed.save_as(tmp_path / "c.dcm")
    scans.dicom(tmp_path / "d.dcm", image, SOPInstanceUID="1.2.4")
    assert compare(tmp_path, scans) == (["a.dcm", "d.dcm"], {"b.dcm": COPY.reason, "c.dcm": COPY.reason})


def test_one_uid_with_other_pixels_is_refused_as_it_says_nothing_of_which_is_right(tmp_path, scans):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        scans.dicom(tmp_path / f"{name}.dcm", scans.texture(seed), SOPInstanceUID="1.2.3")
    scans.dicom(tmp_path / "d.dcm", scans.texture(3), SOPInstanceUID="")
    scans.dicom(tmp_path / "e.dcm", scans.texture(4), SOPInstanceUID="")
    assert compare(tmp_path, scans) == (["d.dcm", "e.dcm"], dict.fromkeys(["a.dcm", "b.dcm", "c.dcm"], CONFLICT.reason))


def test_other_units_are_other_pixels(tmp_path, scans):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), SOPInstanceUID="1.2.3")
    scans.dicom(tmp_path / "b.dcm", scans.texture(1), SOPInstanceUID="1.2.3", RescaleSlope=2, RescaleIntercept=0)
    assert compare(tmp_path, scans)[0] == []


def test_a_damaged_copy_is_no_other_image(tmp_path, scans):
    scans.dicom(tmp_path / "a.dcm", scans.texture(1), SOPInstanceUID="1.2.3", PixelData=b"short!")
    scans.dicom(tmp_path / "b.dcm", scans.texture(1), SOPInstanceUID="1.2.3")
    kept, refused = compare(tmp_path, scans)
    assert kept == ["b.dcm"]
    assert refused == {"a.dcm": "the pixel data are truncated or damaged"}
