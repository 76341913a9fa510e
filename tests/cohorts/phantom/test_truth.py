import numpy as np
import pandas as pd
import pytest

from synthassay.cohorts.phantom.scene import FIELD_OF_VIEW_MM, STRUCTURES
from synthassay.cohorts.phantom.truth import structures_beside, structures_of
from synthassay.scans.unreadable import Unreadable

from .conftest import Written


def test_mask_is_there_exactly_where_the_label_is(phantom: Written):
    np.testing.assert_array_equal(phantom.masks.any((1, 2)), phantom.truth.lesion)
    assert set(np.unique(phantom.masks)) == {0, 1}


def test_structures_lie_in_each_other_and_hold_the_lesion(phantom: Written):
    structures = np.load(phantom.out / "truth" / "structures.npy")
    assert structures.shape == phantom.masks.shape
    np.testing.assert_array_equal(structures == STRUCTURES.index("lesion"), phantom.masks == 1)
    areas = {name: (structures >= i).mean((1, 2)) for i, name in enumerate(STRUCTURES)}
    assert (areas["head"] < 0.8).all()
    assert (areas["brain"] > 0.5 * areas["head"]).all()
    pixel = (FIELD_OF_VIEW_MM / phantom.spec.size) ** 2
    ventricles = (structures == STRUCTURES.index("ventricles")).sum((1, 2)) * pixel
    assert np.corrcoef(ventricles, phantom.truth.ventricle_mm2)[0, 1] > 0.9
    for image, structure in zip(phantom.noise_free[::9], structures[::9], strict=True):
        assert image[structure == 0].max() < 0.5 < image[structure == 1].max()  # the scalp is bright, air is not
    assert structures_beside(phantom.out / "dicom") == "../truth/structures.npy"
    assert structures_beside(phantom.out) is None
    np.testing.assert_array_equal(structures_of(phantom.out / "dicom", phantom.truth.file[3]), structures[3])
    with pytest.raises(Unreadable, match="does not list"):
        structures_of(phantom.out / "dicom", "another.dcm")


def test_place_is_stated_exactly_where_the_label_is(phantom: Written):
    place = phantom.truth[["centre_row", "centre_col", "radius_px"]].notna()
    assert (place.all(axis=1) == phantom.truth.lesion).all()
    ill = phantom.truth[phantom.truth.lesion]
    rows = np.arange(phantom.spec.size)
    for index, truth in list(ill.iterrows())[::5]:
        mask = phantom.masks[index]
        centre = (mask.sum(1) @ rows / mask.sum(), mask.sum(0) @ rows / mask.sum())
        assert np.hypot(centre[0] - truth.centre_row, centre[1] - truth.centre_col) < max(1.0, 0.4 * truth.radius_px)


def test_only_patients_with_a_lesion_show_one(phantom: Written):
    assert not (phantom.truth.lesion & ~phantom.truth.patient_lesion).any()
    assert (phantom.truth.groupby("patient").patient_lesion.nunique() == 1).all()


def test_lesion_of_a_patient_grows_between_studies(phantom: Written):
    shown = phantom.truth[phantom.truth.lesion].sort_values("study")
    radii = shown.groupby(["patient", "slice_mm"]).radius_px.apply(list)
    growth = [later[-1] / later[0] for later in radii if len(later) > 1]
    assert len(growth) >= 3
    assert np.mean(growth) > 1.02


def test_patients_have_several_studies_and_stay_in_one_hospital(phantom: Written):
    by_patient = phantom.truth.groupby("patient")
    assert (by_patient.study.nunique() > 1).mean() > 0.2
    assert (by_patient.site.nunique() == 1).all()
    assert (by_patient.device.nunique() == 1).all()
    assert phantom.truth.patient.nunique() == sum(site.patients for site in phantom.spec.sites)


def test_arrays_have_a_row_for_each_row_of_the_table(phantom: Written):
    shape = (len(phantom.truth), phantom.spec.size, phantom.spec.size)
    assert phantom.noise_free.shape == phantom.masks.shape == shape
    assert phantom.noise_free.dtype == np.float32
    assert phantom.masks.dtype == np.uint8
    assert phantom.noise_free.min() >= 0


def test_label_table_beside_the_scans_agrees_with_the_truth(phantom: Written):
    labels = pd.read_csv(phantom.out / "dicom" / "labels.csv")
    assert labels.columns.tolist() == ["file", "lesion"]
    assert labels.file.tolist() == phantom.truth.file.tolist()
    assert (labels.lesion.astype(bool) == phantom.truth.lesion).all()
    assert all((phantom.out / "dicom" / file).is_file() for file in labels.file)


def test_noise_free_image_is_what_the_scan_shows(phantom: Written):
    values = phantom.values()
    for row in range(0, len(values), 9):
        assert np.corrcoef(values[row].ravel(), phantom.noise_free[row].ravel())[0, 1] > 0.9
