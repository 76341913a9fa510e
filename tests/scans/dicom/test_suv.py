"""Uptake of a made-up examination: 70 kg, 370 MBq of F-18 injected 54.885 minutes (half a half-life) before."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from tests.scans.dicom_files import save_dicom, texture

HALF_LIFE = 6586.2  # s


def pet(path, drug=None, **changes):
    given = Dataset()
    given.RadionuclideTotalDose, given.RadionuclideHalfLife = "370000000", str(HALF_LIFE)
    given.RadiopharmaceuticalStartTime = "100000"
    for name, value in (drug or {}).items():
        setattr(given, name, value)
    tags = {
        "Modality": "PT", "Units": "BQML", "CorrectedImage": ["ATTN", "DECY", "SCAT"], "DecayCorrection": "START",
        "PatientWeight": "70", "SeriesDate": "20200110", "SeriesTime": "105453.1", "AcquisitionDate": "20200110",
        "AcquisitionTime": "105453.1", "RescaleSlope": "2.5", "RescaleIntercept": "0",
        "RadiopharmaceuticalInformationSequence": Sequence([given]),
    }  # fmt: skip
    stored = texture(1)
    save_dicom(path, stored, **{**tags, **changes})
    return stored


def read(path):
    return read_planes(path.read_bytes(), LimitSpec(), "suv")[0].values


def test_uptake_is_by_weight_and_by_what_is_left_of_the_dose(tmp_path):
    stored = pet(tmp_path / "a.dcm")
    left = 370e6 * 0.5**0.5  # 3293 s of 6586.2 s
    assert np.allclose(read(tmp_path / "a.dcm"), stored * 2.5 * 70_000 / left, rtol=1e-4)


def test_pixels_corrected_to_the_injection_keep_the_whole_dose(tmp_path):
    stored = pet(tmp_path / "a.dcm", DecayCorrection="ADMIN")
    assert np.allclose(read(tmp_path / "a.dcm"), stored * 2.5 * 70_000 / 370e6, rtol=1e-6)


def test_an_injection_with_its_date_may_lie_before_midnight(tmp_path):
    stored = pet(tmp_path / "a.dcm", {"RadiopharmaceuticalStartDateTime": "20200109233000.00"}, SeriesTime="002453")
    assert np.allclose(read(tmp_path / "a.dcm"), stored * 2.5 * 70_000 / (370e6 * 0.5**0.5), rtol=1e-4)


def test_values_that_are_uptakes_already_stay(tmp_path):
    stored = pet(tmp_path / "a.dcm", Units="GML", PatientWeight=None)
    assert np.array_equal(read(tmp_path / "a.dcm"), stored * np.float32(2.5))


def test_philips_counts_are_scaled_by_their_private_factor(tmp_path):
    pet(tmp_path / "a.dcm", Units="CNTS")
    with pytest.raises(Unreadable, match=r"cohort\.units=suv"):
        read(tmp_path / "a.dcm")
    stored = texture(1)
    data = save_dicom(tmp_path / "b.dcm", stored, Modality="PT", Units="CNTS")
    data.add_new((0x7053, 0x0010), "LO", "Philips PET Private Group")
    data.add_new((0x7053, 0x1000), "DS", "0.25")
    data.save_as(tmp_path / "b.dcm")
    assert np.array_equal(read(tmp_path / "b.dcm"), stored * np.float32(0.25))
    data.add_new((0x7053, 0x1000), "OB", b"\xff\xfe")  # no number: as if it were absent
    data.save_as(tmp_path / "b.dcm")
    with pytest.raises(Unreadable, match=r"cohort\.units=suv"):
        read(tmp_path / "b.dcm")


def test_philips_counts_without_that_factor_are_scaled_to_activity(tmp_path):
    stored = pet(tmp_path / "a.dcm", Units="CNTS")
    data = dcmread(tmp_path / "a.dcm")
    for element, value in ((0x0010, "Philips PET Private Group"), (0x1000, "0"), (0x1009, "4")):
        data.add_new((0x7053, element), "LO" if element == 0x0010 else "DS", value)
    data.save_as(tmp_path / "a.dcm")
    left = 370e6 * 0.5**0.5
    assert np.allclose(read(tmp_path / "a.dcm"), stored * 2.5 * 4 * 70_000 / left, rtol=1e-4)


@pytest.mark.parametrize(("time", "minutes"), [("1054", 54), ("10:54:30", 54.5), ("105430.999", 54.5)])
def test_times_may_end_early(tmp_path, time, minutes):
    stored = pet(tmp_path / "a.dcm", SeriesTime=time)
    left = 370e6 * 0.5 ** (60 * minutes / HALF_LIFE)
    assert np.allclose(read(tmp_path / "a.dcm"), stored * 2.5 * 70_000 / left, rtol=1e-6)


@pytest.mark.parametrize(
    ("field", "changes", "drug"),
    [
        ("Modality", {"Modality": "CT"}, {}),
        ("Units", {"Units": "PROPCPS"}, {}),
        ("SUVType", {"Units": "GML", "SUVType": "LBM"}, {}),
        ("SeriesTime", {"SeriesTime": "10"}, {}),
        ("CorrectedImage", {"CorrectedImage": ["ATTN"]}, {}),
        ("PatientWeight", {"PatientWeight": None}, {}),
        ("PatientWeight", {"PatientWeight": "0"}, {}),
        ("DecayCorrection", {"DecayCorrection": "NONE"}, {}),
        ("SeriesTime", {"SeriesTime": "120000"}, {}),
        ("RadiopharmaceuticalInformationSequence", {"RadiopharmaceuticalInformationSequence": Sequence([])}, {}),
        ("RadionuclideTotalDose", {}, {"RadionuclideTotalDose": None}),
        ("RadionuclideHalfLife", {}, {"RadionuclideHalfLife": None}),
        ("RadiopharmaceuticalStartTime", {}, {"RadiopharmaceuticalStartTime": None}),
        ("RadiopharmaceuticalStartTime", {}, {"RadiopharmaceuticalStartTime": "110000"}),
    ],
)
def test_a_header_that_does_not_tell_it_is_refused_by_the_field(tmp_path, field, changes, drug):
    pet(tmp_path / "a.dcm", drug, **changes)
    with pytest.raises(Unreadable, match="standardised uptake") as caught:
        read(tmp_path / "a.dcm")
    assert caught.value.field == field
