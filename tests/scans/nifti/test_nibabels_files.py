"""Every file of nibabel's own test data is read as nibabel reads it, or refused: another format, or NaN in it."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.orientation import upright
from synthassay.scans.unreadable import Unreadable

FOLDER = Path(nib.__file__).parent / "tests" / "data"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="this nibabel comes without its test data")
FILES = sorted(path for path in FOLDER.glob("*") if path.is_file()) if FOLDER.is_dir() else []
READ = {"anatomical.nii", "functional.nii", "reoriented_anat_moved.nii", "example4d.nii.gz", "example_nifti2.nii.gz",
        "standard.nii.gz"}  # fmt: skip


@pytest.mark.parametrize("path", [path for path in FILES if path.name in READ], ids=lambda path: path.name)
def test_volumes_are_what_nibabel_reads(read, path):
    volume = upright(read(path, index="mean"))
    image = nib.as_closest_canonical(nib.load(path))
    values = image.get_fdata()
    values = values.mean(axis=3) if values.ndim == 4 else values
    assert np.allclose(volume.values, values, rtol=1e-5)
    assert np.allclose(volume.affine, image.affine)


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in READ], ids=lambda path: path.name)
def test_the_others_are_refused_with_a_reason(read, path):
    with pytest.raises(Unreadable) as caught:
        read(path, index="mean")
    assert caught.value.reason
    assert caught.value.found


def test_the_list_of_what_can_be_read_is_there():
    assert {path.name for path in FILES} >= READ
