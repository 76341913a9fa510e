"""Images, masks and channels in the layout of the Medical Segmentation Decathlon."""

import json

from synthassay.scans.nifti.decathlon import DecathlonFolder

GZ = ".nii.gz"


def test_images_are_cases_and_their_masks_have_their_names(tmp_path):
    folder = DecathlonFolder(
        tmp_path, ["T/imagesTr/la_003.nii.gz", "T/labelsTr/la_003.nii.gz", "T/imagesTs/la_9.nii.gz"]
    )
    assert folder.case("T/imagesTr/la_003.nii.gz", GZ) == "la_003"
    assert folder.mask("T/imagesTr/la_003.nii.gz", GZ) == "T/labelsTr/la_003.nii.gz"
    assert folder.case("T/imagesTs/la_9.nii.gz", GZ) == "la_9"
    assert folder.mask("T/imagesTs/la_9.nii.gz", GZ) is None
    assert folder.case("T/other/la_003.nii.gz", GZ) is None


def test_a_folder_called_images_is_this_layout_where_there_are_masks(tmp_path):
    folder = DecathlonFolder(tmp_path, ["images/a.nii.gz", "labels/a.nii.gz", "images/b.nii.gz"])
    assert [folder.case(f"images/{name}.nii.gz", GZ) for name in "ab"] == ["a", None]


def test_channels_of_nnunet_are_one_case_and_numbers_of_patients_are_not(tmp_path):
    nnunet = DecathlonFolder(tmp_path, ["imagesTr/x_0000.nii.gz", "imagesTr/x_0001.nii.gz", "labelsTr/x.nii.gz"])
    assert {nnunet.case(f"imagesTr/x_000{i}.nii.gz", GZ) for i in (0, 1)} == {"x"}
    assert nnunet.mask("imagesTr/x_0001.nii.gz", GZ) == "labelsTr/x.nii.gz"
    numbered = DecathlonFolder(tmp_path, ["imagesTr/x_0001.nii.gz", "labelsTr/x_0001.nii.gz", "imagesTr/x_0002.nii.gz"])
    assert [numbered.case(f"imagesTr/x_000{i}.nii.gz", GZ) for i in (1, 2)] == ["x_0001", "x_0002"]


def test_dataset_json_names_masks_and_modalities(tmp_path):
    facts = {
        "modality": {"0": "FLAIR", "1": "T1w"},
        "training": [
            {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/other.nii.gz"},
            {"image": "./imagesTr/b.nii.gz", "label": "../../outside.nii.gz"}, "nonsense",
        ],
    }  # fmt: skip
    (tmp_path / "T").mkdir()
    (tmp_path / "T" / "dataset.json").write_text(json.dumps(facts))
    paths = ["T/dataset.json", "T/imagesTr/a.nii.gz", "T/imagesTr/b.nii.gz", "T/labelsTr/other.nii.gz"]
    folder = DecathlonFolder(tmp_path, paths)
    assert folder.mask("T/imagesTr/a.nii.gz", GZ) == "T/labelsTr/other.nii.gz"
    assert folder.mask("T/imagesTr/b.nii.gz", GZ) is None
    assert folder.modality("T/imagesTr/a.nii.gz", GZ, 1) == "T1w"
    assert folder.modality("T/imagesTr/a.nii.gz", GZ, "mean") is None


def test_a_broken_dataset_json_says_nothing(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    folder = DecathlonFolder(tmp_path, ["dataset.json", "imagesTr/a.nii.gz", "labelsTr/a.nii.gz"])
    assert folder.mask("imagesTr/a.nii.gz", GZ) == "labelsTr/a.nii.gz"
    assert folder.modality("imagesTr/a.nii.gz", GZ, 0) is None
