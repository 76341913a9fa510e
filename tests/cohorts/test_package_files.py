"""The test files of pydicom and nibabel, which come with the packages: each is read, or refused with a reason.

So many are read that nothing here passes by refusing everything; the rest are no images, or damaged on purpose.
"""

from collections import Counter
from pathlib import Path

import nibabel
import pydicom
import pytest

from synthassay.cohorts.nifti import NiftiFolder
from synthassay.cohorts.reading import read_headers, read_pixels
from synthassay.cohorts.specs import CohortSpec, DicomSpec, LabelSpec, NiftiSpec
from synthassay.records import SilentProgress
from synthassay.scans.discovery import discover
from synthassay.scans.pool import CRASH, FAULT, MEMORY, TIME
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import VolumeSpec
from synthassay.specs import Resources

PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
CHARSETS = Path(pydicom.__file__).parent / "data" / "charset_files"
NIBABEL = Path(nibabel.__file__).parent
VENDORS = Path(__file__).parents[2].parent / "shared" / "data" / "dicom_vendors"
SETTINGS = {"name": "foreign", "size": 8, "label": LabelSpec(source="none")}


def sources_of(root: Path, spec: CohortSpec, paths: list[str], resources: Resources):
    if isinstance(spec, DicomSpec):
        return read_headers(root, paths, spec, resources, SilentProgress())[:2]
    folder, sources, refused = NiftiFolder(root, paths, spec), [], []
    for path in paths:
        try:
            sources.append(folder.describe(path)[0])
        except Unreadable as error:
            refused.append(error.row(path))
    return sources, refused


def outcome(root: Path, spec: CohortSpec, work: Path) -> tuple[int, Counter]:
    """How many files are read, and how many are refused for each reason."""
    resources = Resources(workers=1)
    paths, refused = discover(root, "cohort.root")
    listed = len(paths) + len(refused)
    sources, more = sources_of(root, spec, paths, resources)
    images, damaged = read_pixels(root, sources, spec, work, resources, SilentProgress())
    refused += [*more, *damaged]
    read = {image.source.path for image in images}
    assert len(read) + len(refused) == listed
    assert not read & {row.path for row in refused}
    reasons = Counter(row.reason for row in refused)
    assert not reasons.keys() & {CRASH, MEMORY, TIME, FAULT}
    return len(read), reasons


def test_pydicom(tmp_path):
    read, reasons = outcome(PYDICOM, DicomSpec(**SETTINGS), tmp_path / "work")
    assert read >= 78  # of 176 in pydicom 3.0; segmentations and planned doses are no scans
    assert reasons["not a scan: the DICOM file holds no image"] >= 60  # plans, reports, waveforms, directories
    assert sum(reasons[r] for r in reasons if not r.startswith("not a scan")) <= 8  # five damaged ones in 3.0


def test_pydicom_character_sets(tmp_path):
    read, reasons = outcome(CHARSETS, DicomSpec(**SETTINGS), tmp_path / "work")
    assert read >= 12  # of 18
    assert all(reason.startswith("not a scan") for reason in reasons)


REFUSED_NAN = "holds NaN; cohort.not_a_number=background takes such voxels for background"


def test_nibabel(tmp_path):
    spec = NiftiSpec(**SETTINGS, volume=VolumeSpec(index=0))
    read, reasons = outcome(NIBABEL / "tests" / "data", spec, tmp_path / "work")
    assert read >= 6
    assert reasons[REFUSED_NAN] == 1  # resampled_anat_moved.nii
    assert reasons["the file with the voxels is not beside the header"] == 3


def test_a_folder_of_anything_offered_as_dicom(tmp_path):
    read, reasons = outcome(NIBABEL, DicomSpec(**SETTINGS), tmp_path / "work")
    assert read >= 2
    assert reasons["not a scan: not a DICOM file"] >= 200  # nibabel's own code, tables and volumes


@pytest.mark.shared_data
@pytest.mark.skipif(not VENDORS.is_dir(), reason="needs the real scans in ../shared/data")
def test_four_vendors(tmp_path):
    read, reasons = outcome(VENDORS, DicomSpec(**SETTINGS), tmp_path / "work")
    assert read >= 326
    assert sum(reasons.values()) == 344 - read
    assert reasons["not a scan: not a DICOM file"] == 1  # the table beside them
