"""Volumes from single-slice, enhanced and mosaic files that the tests write."""

import contextlib
import datetime
import struct

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from synthassay.scans.dicom.header import read_header
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.dicom.series import Slice, split_series
from synthassay.scans.dicom.slices import TELLING
from synthassay.scans.dicom.volumes import read_volume
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from tests.scans.dicom_files import save_dicom, texture

LIMITS = LimitSpec()
PLACED = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.5, 0.8], "SliceThickness": 2}


def stacks_of(root):
    paths = sorted(path.name for path in root.iterdir())
    slices = [Slice(path=path, facts=facts) for path in paths for facts in read_header(root / path, LIMITS).slices]
    return split_series(slices)


def item(**values):
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def group(**sequences):
    return item(**{name: Sequence([values]) for name, values in sequences.items()})


def test_single_slices_become_a_volume_in_the_order_of_space(tmp_path):
    frames = [texture(i, shape=(12, 16)) for i in range(4)]
    for number, place in enumerate((2, 0, 3, 1)):
        save_dicom(tmp_path / f"{number}.dcm", frames[place], ImagePositionPatient=[10, 20, 30 + 2 * place], **PLACED,
                   InstanceNumber=number, RescaleSlope="2", RescaleIntercept="-7")  # fmt: skip
    (stack,) = stacks_of(tmp_path)
    volume = read_volume(tmp_path, stack, LIMITS)
    assert np.array_equal(volume.values, np.stack(frames, axis=2).transpose(1, 0, 2) * 2.0 - 7)
    assert np.allclose(volume.affine, [[-0.8, 0, 0, -10], [0, -0.5, 0, -20], [0, 0, 2, 30], [0, 0, 0, 1]])
    assert np.allclose(volume.spacing_mm, (0.8, 0.5, 2))
    assert np.array_equal(read_volume(tmp_path, stack, LIMITS, "stored").values, (volume.values + 7) / 2)


def write_enhanced(path, frames, places, **per_frame):
    own = []
    for index, z in enumerate(places):
        content = item(**{name: values[index] for name, values in per_frame.items()})
        own.append(group(PlanePositionSequence=item(ImagePositionPatient=[0, 0, z]), FrameContentSequence=content))
    shared = group(
        PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=item(PixelSpacing=[0.5, 0.8], SliceThickness=2),
    )
    save_dicom(path, frames[0], PixelData=frames.tobytes(), NumberOfFrames=len(frames),
               PerFrameFunctionalGroupsSequence=Sequence(own),
               SharedFunctionalGroupsSequence=Sequence([shared]))  # fmt: skip


def test_an_enhanced_file_is_one_volume_or_one_for_each_time(tmp_path):
    frames = texture(1, shape=(6, 10, 14))
    write_enhanced(tmp_path / "a.dcm", frames, (4, 0, 2, 0, 4, 2), TemporalPositionIndex=(1, 1, 1, 2, 2, 2))
    first, second = stacks_of(tmp_path)
    assert (first.apart, second.apart) == (("time",), ("time",))
    assert np.array_equal(read_volume(tmp_path, first, LIMITS).values, frames[[1, 2, 0]].transpose(2, 1, 0))
    assert np.array_equal(read_volume(tmp_path, second, LIMITS).values, frames[[3, 5, 4]].transpose(2, 1, 0))
    assert np.allclose(first.affine, [[-0.8, 0, 0, 0], [0, -0.5, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])


def test_frames_without_places_are_no_volume(tmp_path):
    frames = texture(1, shape=(3, 10, 14))
    save_dicom(tmp_path / "a.dcm", frames[0], PixelData=frames.tobytes(), NumberOfFrames=3,
               ImagePositionPatient=[0, 0, 0], **PLACED)  # fmt: skip
    (stack,) = stacks_of(tmp_path)
    with pytest.raises(Unreadable, match="where its slices lie is not written"):
        read_volume(tmp_path, stack, LIMITS)


def csa_header(normal):
    """Siemens' private header (CSA2) with the one element that tells the order of the tiles."""
    values = [f"{value:.8f}".encode() for value in normal] + [b""] * 3
    content = b"SV10\4\3\2\1" + struct.pack("<2I", 1, 77)
    content += struct.pack("<64si4s3i", b"SliceNormalVector", 3, b"FD\0\0", 4, len(values), 77)
    for text in values:
        padded = text + b"\0" * (-len(text) % 4)
        content += struct.pack("<4i", len(text), len(text), 77, len(text)) + padded
    return content + b"\0" * (len(content) % 2)


def write_mosaic(path, slices, normal, count=None):
    """Tiles in a square grid of a picture whose position is written as Siemens does: of a slice of its size."""
    side, (rows, columns) = int(np.ceil(np.sqrt(len(slices)))), slices[0].shape
    picture = np.zeros((side * rows, side * columns), np.uint16)
    for i, one in enumerate(slices):
        picture[i // side * rows :, i % side * columns :][:rows, :columns] = one
    corner = [10 - 0.8 * (side - 1) * columns / 2, 20 - 0.5 * (side - 1) * rows / 2, 30]
    data = save_dicom(path, picture, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"], ImagePositionPatient=corner,
                      SpacingBetweenSlices=2, **PLACED)  # fmt: skip
    data.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    if count is not None or normal is not None:
        data.add_new(0x0019100A, "US", len(slices) if count is None else count)
    if normal is not None:
        data.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
        data.add_new(0x00291010, "OB", csa_header(normal))
    data.save_as(path)


@pytest.mark.parametrize("direction", [1, -1])
def test_the_tiles_of_a_mosaic_are_the_slices_of_a_volume(tmp_path, direction):
    slices = [texture(i, shape=(8, 10)) for i in range(5)]
    write_mosaic(tmp_path / "a.dcm", slices, (0, 0, direction))
    (stack,) = stacks_of(tmp_path)
    volume = read_volume(tmp_path, stack, LIMITS)
    in_space = slices if direction == 1 else slices[::-1]
    assert np.array_equal(volume.values, np.stack(in_space, axis=2).transpose(1, 0, 2))
    lowest = 30 if direction == 1 else 30 - 4 * 2
    assert np.allclose(volume.affine, [[-0.8, 0, 0, -10], [0, -0.5, 0, -20], [0, 0, 2, lowest], [0, 0, 0, 1]])


@pytest.mark.parametrize(("normal", "count"), [(None, None), (None, 5), ((0, 0, 1), 99), ((1, 0, 0), None)])
def test_a_mosaic_that_does_not_tell_its_arrangement_is_refused(tmp_path, normal, count):
    write_mosaic(tmp_path / "a.dcm", [texture(i, shape=(8, 10)) for i in range(5)], normal, count)
    with pytest.raises(Unreadable, match="arranged is not written") as caught:
        read_header(tmp_path / "a.dcm", LIMITS)
    assert (caught.value.field, caught.value.found) == ("ImageType", "MOSAIC")


@pytest.mark.parametrize(("vr", "value", "refused"), [("DS", "4", True), ("DS", ["4", "4"], True), ("DS", "1", False),
                                                      ("OB", b"\x04\0", False)])  # fmt: skip
def test_the_grid_of_another_maker_is_not_taken_for_one_slice(tmp_path, vr, value, refused):
    data = save_dicom(tmp_path / "a.dcm", texture(1), **PLACED)
    data.add_new(0x00650010, "LO", "Image Private Header")
    data.add_new(0x00651050, vr, value)
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(Unreadable, match="many slices in one picture") if refused else contextlib.nullcontext():
        read_header(tmp_path / "a.dcm", LIMITS)


def test_the_count_of_a_mosaic_is_found_by_its_maker(tmp_path):
    write_mosaic(tmp_path / "a.dcm", [texture(i, shape=(8, 10)) for i in range(5)], (0, 0, 1))
    data = dcmread(tmp_path / "a.dcm")
    data[0x00190010].value = "ANOTHER MAKER"
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(Unreadable, match="arranged is not written"):
        read_header(tmp_path / "a.dcm", LIMITS)
    del data[0x0019100A]
    data.add_new(0x00190011, "LO", "SIEMENS MR HEADER")
    data.add_new(0x0019110A, "US", 5)
    data.save_as(tmp_path / "a.dcm")
    assert len(read_header(tmp_path / "a.dcm", LIMITS).slices) == 5


def test_limits_hold_for_the_whole_volume(tmp_path):
    for number in range(3):
        save_dicom(tmp_path / f"{number}.dcm", texture(number), ImagePositionPatient=[0, 0, number], **PLACED)
    (stack,) = stacks_of(tmp_path)
    with pytest.raises(Unreadable, match=r"limits\.voxels"):
        read_volume(tmp_path, stack, LimitSpec(voxels=1000))


@pytest.mark.parametrize(
    ("tags", "b_value"),
    [
        ({0x00189087: ("FD", 800.0)}, 800.0),
        ({0x00190010: ("LO", "SIEMENS MR HEADER"), 0x0019100C: ("IS", "1000")}, 1000.0),
        ({0x00430010: ("LO", "GEMS_PARM_01"), 0x00431039: ("IS", [1000000600, 8, 0, 0])}, 600.0),
        ({0x20010010: ("LO", "Philips Imaging DD 001"), 0x20011003: ("FL", 500.0)}, 500.0),
        ({0x20010012: ("LO", "Philips Imaging DD 001"), 0x20011203: ("FL", 500.0)}, 500.0),
        ({0x00650010: ("LO", "Image Private Header"), 0x00651009: ("FD", 700.0)}, 700.0),
        ({0x00190010: ("LO", "PHILIPS MR/PART"), 0x0019100C: ("DS", "12.5")}, None),
        ({}, None),
    ],
)
def test_b_values_are_found_where_each_vendor_writes_them(tmp_path, tags, b_value):
    data = save_dicom(tmp_path / "a.dcm", texture(1))
    for tag, (vr, value) in tags.items():
        data.add_new(tag, vr, value)
    data.save_as(tmp_path / "a.dcm")
    assert read_header(tmp_path / "a.dcm", LIMITS).slices[0].b_value == b_value


def test_what_tells_repeats_apart_is_read_from_plain_and_enhanced_files(tmp_path):
    data = save_dicom(tmp_path / "a.dcm", texture(1), TriggerTime="30.5", FlipAngle="10", KVP="80", InversionTime="100",
                      ConvolutionKernel=["B30f", "3"], ImageType=["ORIGINAL", "PRIMARY"])  # fmt: skip
    data.add_new(0x00430010, "LO", "GEMS_PARM_01")
    data.add_new(0x0043102F, "SS", 1)
    data.save_as(tmp_path / "a.dcm")
    (facts,) = read_header(tmp_path / "a.dcm", LIMITS).slices
    assert dict(zip([name for name, *_ in TELLING][2:], facts.telling[2:], strict=True)) == {
        "inversion time": "100", "flip angle": "10", "tube voltage": "80", "kernel": "['B30f', '3']",
        "diffusion direction": "",
    }  # fmt: skip
    assert facts.telling[:2] == ("30.5", "")
    assert facts.kind == ("ORIGINAL", "PRIMARY", "1")
    frames = np.stack([texture(i) for i in range(2)])
    own = [group(CardiacSynchronizationSequence=item(NominalCardiacTriggerDelayTime=delay)) for delay in (0.0, 40.0)]
    save_dicom(tmp_path / "b.dcm", frames[0], PixelData=frames.tobytes(), NumberOfFrames=2,
               PerFrameFunctionalGroupsSequence=Sequence(own),
               SharedFunctionalGroupsSequence=Sequence([group(CTXRayDetailsSequence=item(KVP=120.0))]))  # fmt: skip
    first, second = (facts.telling for facts in read_header(tmp_path / "b.dcm", LIMITS).slices)
    assert (first[0], second[0], first[4]) == ("0.0", "40.0", "120.0")


@pytest.mark.parametrize(
    ("planned", "tags"),
    [
        (True, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "Modality": "CT"}),
        (True, {"SeriesDescription": "AAHead_Scout"}), (True, {"SeriesDescription": "3-plane Loc SSFSE"}),
        (False, {"ProtocolName": "3-Plane Loc, brain"}), (True, {"SeriesDescription": "SURVEY_BFFE"}),
        (False, {"SeriesDescription": "T1 local shim"}),
        (False, {"SeriesDescription": "bone survey", "Modality": "DX"}),
        (False, {"SeriesDescription": "faces localizer", "ScanningSequence": "EP"}), (False, {}),
        (False, {"SeriesDescription": "faces localizer fMRI", "EchoPlanarPulseSequence": "YES"}),
        (True, {"SeriesDescription": "localizer", "EchoPlanarPulseSequence": "NO"}),
        (False, {"SeriesDescription": "T2 post LOC"}), (False, {"SeriesDescription": "Lesion loc"}),
        (True, {"SeriesDescription": "LOC"}), (True, {"SeriesDescription": "Ax/Sag/Cor loc 2"}),
    ],
)  # fmt: skip
def test_localisers_are_known_by_image_type_and_those_of_mr_by_their_description(tmp_path, planned, tags):
    save_dicom(tmp_path / "a.dcm", texture(1), **tags)
    assert read_header(tmp_path / "a.dcm", LIMITS).slices[0].is_localiser == planned


def region(**changes):
    return item(**{"RegionSpatialFormat": 1, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3,
                   "PhysicalDeltaX": 0.02, "PhysicalDeltaY": -0.03, **changes})  # fmt: skip


@pytest.mark.parametrize(
    ("spacing", "tags"),
    [
        ((0.3, 0.2), {"SequenceOfUltrasoundRegions": [region(), region()]}),
        ((0.3, 0.2), {"SequenceOfUltrasoundRegions": [region(), region(RegionSpatialFormat=3, PhysicalDeltaX=0.5)]}),
        (None, {"SequenceOfUltrasoundRegions": [region(), region(PhysicalDeltaX=0.05)]}),
        (None, {"SequenceOfUltrasoundRegions": [region(PhysicalUnitsXDirection=4)]}),
        ((0.1, 0.1), {"ImagerPixelSpacing": [0.1, 0.1], "NominalScannedPixelSpacing": [1, 1]}),
        ((0.5, 0.4), {"NominalScannedPixelSpacing": [0.5, 0.4]}), (None, {"PixelSpacing": [0, 0]}),
    ],
)  # fmt: skip
def test_spacing_is_found_where_each_kind_of_image_has_it(tmp_path, spacing, tags):
    save_dicom(tmp_path / "a.dcm", texture(1), **tags)
    header = read_header(tmp_path / "a.dcm", LIMITS)
    assert (header.spacing_mm, header.slices[0].spacing) == (spacing, spacing)


def test_enhanced_files_say_voltage_kernel_side_and_day_in_their_groups(tmp_path):
    shared = group(CTXRayDetailsSequence=item(KVP=120.0), FrameAnatomySequence=item(FrameLaterality="L"),
                   CTReconstructionSequence=item(ConvolutionKernel="B30f"))  # fmt: skip
    save_dicom(tmp_path / "a.dcm", texture(1), SharedFunctionalGroupsSequence=Sequence([shared]), StudyDate="20200101",
               AcquisitionDateTime="20200103101500.5")  # fmt: skip
    header = read_header(tmp_path / "a.dcm", LIMITS)
    assert (header.kvp, header.kernel, header.laterality) == (120.0, "B30f", "L")
    assert header.day == datetime.date(2020, 1, 3).toordinal()


@pytest.mark.parametrize(("places", "expected"), [((5, 5, 5), [None] * 3), ((9, 5, 7), [1, 0, 0.5])])
def test_frames_of_one_place_are_not_spread_over_a_volume(tmp_path, places, expected):
    frames = np.stack([texture(i) for i in range(3)])
    write_enhanced(tmp_path / "a.dcm", frames, places)
    planes = read_planes((tmp_path / "a.dcm").read_bytes(), LIMITS)
    assert [plane.slice_position for plane in planes] == expected
