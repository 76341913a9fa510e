"""Real scans of four manufacturers beside the checkout."""

import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import pixel_array

from synthassay.scans.dicom.header import read_header
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.dicom.series import Slice, split_series
from synthassay.scans.dicom.volumes import read_volume
from synthassay.scans.limits import LimitSpec

VENDORS = Path(__file__).parents[3].parent / "shared" / "data" / "dicom_vendors"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not VENDORS.is_dir(), reason="needs the real scans in ../shared/data"),
]
LIMITS = LimitSpec()
# Stacks, slices of each, spacing of rows, columns and slices.
EXPECTED = {
    "ge_mr750_nih_epi": (10, 15, (3.75, 3.75, 5.0)),
    "ge_mr750_pgbm002_t1post": (1, 22, (0.4297, 0.4297, 6.5)),
    "philips_achieva_bangalore_dwi_b0": (1, 60, (1.75, 1.75, 2.5)),
    "philips_achieva_magdeburg_epi": (3, 9, (3.75, 3.75, 8.0)),
    "philips_enhanced_multiframe": (2, 32, (4.0, 4.0, 4.0)),
    "siemens_espree_pgbm003_t1post": (1, 22, (0.6875, 0.6875, 6.5)),
    "siemens_skyra_nih_epi": (8, 5, (3.0, 3.0, 12.0)),
    "siemens_vida_xa10_enhanced_multiframe": (4, 6, (3.375, 3.375, 2.4)),
    "toshiba_galan_dti_first_volume": (1, 40, (3.0, 3.0, 3.0)),
}


def stacks_of(folder):
    series = defaultdict(list)
    for path in sorted((VENDORS / folder).iterdir()):
        header = read_header(path, LIMITS)
        series[header.series_uid] += [Slice(path=path.name, facts=facts) for facts in header.slices]
    return [stack for slices in series.values() for stack in split_series(slices)]


def test_one_image_in_seven_transfer_syntaxes_gives_the_identical_array_seven_times():
    arrays = {}
    for path in sorted((VENDORS / "siemens_trio_transfer_syntaxes").glob("*.dcm")):
        planes = read_planes(path.read_bytes(), LIMITS)
        arrays.setdefault(read_header(path, LIMITS).transfer_syntax, []).append([plane.values for plane in planes])
    assert len(arrays) == 7
    first, *others = [np.stack(planes) for same in arrays.values() for planes in same]
    assert first.shape == (35, 64, 64)
    assert (first.min(), first.max()) == (0, 2362)
    assert all(np.array_equal(other, first) for other in others)


@pytest.mark.parametrize("folder", ["philips_achieva_bangalore_dwi_b0", "ge_mr750_pgbm002_t1post"])
def test_rescaled_values_equal_those_of_pydicom(folder):
    for path in sorted((VENDORS / folder).iterdir())[::10]:
        data = dcmread(path)
        expected = np.float32(apply_modality_lut(pixel_array(data), data))
        assert np.array_equal(read_planes(path.read_bytes(), LIMITS)[0].values, expected)


@pytest.mark.parametrize("folder", EXPECTED)
def test_volumes_of_four_manufacturers(folder):
    count, slices, spacing = EXPECTED[folder]
    stacks = stacks_of(folder)
    assert [len(stack.slices) for stack in stacks] == [slices] * count
    for stack in stacks:
        assert stack.problem is None
        assert np.allclose(stack.spacing_mm, spacing, atol=1e-3)
        assert stack.tilt_degrees == 0
    volume = read_volume(VENDORS / folder, stacks[0], LIMITS)
    assert volume.values.shape[2] == slices
    assert np.isfinite(volume.values).all()
    assert volume.values.std() > 0


@pytest.mark.parametrize("folder", ["ge_mr750_pgbm002_t1post", "toshiba_galan_dti_first_volume"])
def test_every_voxel_lies_where_its_tags_say(folder):
    (stack,) = stacks_of(folder)
    for place, one in enumerate(stack.slices):
        data = dcmread(VENDORS / folder / one.path, stop_before_pixels=True)
        row, column = np.reshape(np.float64(data.ImageOrientationPatient), (2, 3))
        corner, (between_rows, between_columns) = np.float64(data.ImagePositionPatient), data.PixelSpacing
        for i, j in ((0, 0), (7, 0), (0, 5), (63, 31)):  # PS3.3 C.7.6.2.1.1, from LPS+ to RAS+
            lps = corner + row * between_columns * i + column * between_rows * j
            assert np.allclose((stack.affine @ [i, j, place, 1])[:3], lps * [-1, -1, 1], atol=0.02)


@pytest.mark.parametrize(
    ("folder", "file"),
    [("siemens_trio_transfer_syntaxes", "1.dcm"), ("siemens_vida_xa10_enhanced_multiframe", "6_1.dcm"),
     ("philips_enhanced_multiframe", "IM_0027_fMAP.dcm")],
)  # fmt: skip
def test_mosaics_and_enhanced_files_lie_where_nibabel_puts_them(folder, file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls its DICOM readers experimental
        from nibabel.nicom.dicomwrappers import wrapper_from_file

        theirs = wrapper_from_file(VENDORS / folder / file)
        values = theirs.get_data().reshape(*theirs.image_shape[:3], -1)[..., 0]
    facts = [Slice(path=file, facts=facts) for facts in read_header(VENDORS / folder / file, LIMITS).slices]
    stack = split_series(facts)[0]
    volume = read_volume(VENDORS / folder, stack, LIMITS)
    rows, columns, slices = (np.ravel(index) for index in np.indices(values.shape))
    ras = np.diag([-1, -1, 1, 1]) @ theirs.affine @ np.stack([rows, columns, slices, np.ones_like(rows)])
    index = np.linalg.inv(stack.affine) @ ras
    assert np.allclose(index, np.rint(index), atol=1e-2)
    if len(set(stack.apart)) < 2:  # of two kinds of images nibabel mixes the frames
        mine = volume.values[tuple(np.rint(index[:3]).astype(int))]
        assert np.allclose(mine, values.ravel(), rtol=1e-5, atol=1e-3)
