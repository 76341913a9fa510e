"""Each recipe reads a tiny tree with its data set's own folder, file and column names."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

PATIENTS = range(12)
Build = Callable[[Path, SimpleNamespace], None]


def picture(path: Path, seed: int, colour: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (16, 16, 3) if colour else (16, 16)
    values = np.random.default_rng([seed, *path.name.encode()]).integers(0, 256, shape)
    Image.fromarray(values.astype(np.uint8)).save(path)


def write_csv(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


def medmnist(root: Path, _: SimpleNamespace) -> None:
    random, arrays = np.random.default_rng(0), {}
    for part, count in (("train", 12), ("val", 4), ("test", 8)):
        arrays[f"{part}_images"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    np.savez_compressed(root / "pneumoniamnist.npz", **arrays)


def chexpert(root: Path, _: SimpleNamespace) -> None:
    rows = []
    for n in PATIENTS:
        study = f"train/patient{n:05d}/study1"
        for view, side, projection in (("view1_frontal", "Frontal", "AP"), ("view2_lateral", "Lateral", "")):
            picture(root / study / f"{view}.jpg", n)
            rows.append({
                "Path": f"CheXpert-v1.0-small/{study}/{view}.jpg", "Sex": ("Male", "Female")[n % 2], "Age": 40 + n,
                "Frontal/Lateral": side, "AP/PA": projection, "No Finding": "", "Pneumonia": "",
                "Pleural Effusion": ("1.0", "", "0.0", "-1.0")[n % 4],
            })  # fmt: skip
    write_csv(root / "train.csv", rows)
    picture(root / "valid/patient64541/study1/view1_frontal.jpg", 99)
    write_csv(root / "valid.csv", rows[:1])


def mimic_cxr_jpg(root: Path, _: SimpleNamespace) -> None:
    images, findings = [], []
    for n in PATIENTS:
        subject, study = 10000032 + n, 50414267 + n
        for view in ("PA", "LATERAL"):
            dicom = f"02aa804e-bde0afdd-112c0b34-7bc16630-{n:04d}{view.lower()}"
            picture(root / f"files/p10/p{subject}/s{study}/{dicom}.jpg", n)
            images.append({"dicom_id": dicom, "subject_id": subject, "study_id": study, "ViewPosition": view,
                           "Rows": 3056, "Columns": 2544, "StudyDate": 21800506})  # fmt: skip
        label = (1.0, 0.0, None, -1.0)[n % 4]
        findings.append({"subject_id": subject, "study_id": study, "Pneumonia": None, "Pleural Effusion": label})
    write_csv(root / "mimic-cxr-2.0.0-metadata.csv.gz", images)
    write_csv(root / "mimic-cxr-2.0.0-chexpert.csv.gz", findings)
    write_csv(root / "mimic-cxr-2.0.0-split.csv.gz", images)


def nih_chestxray14(root: Path, _: SimpleNamespace) -> None:
    rows = []
    for n in PATIENTS:
        for follow_up in (0, 1):
            name = f"{n + 1:08d}_{follow_up:03d}.png"
            picture(root / f"images_{n % 3 + 1:03d}/images/{name}", n)
            rows.append({
                "Image Index": name, "Finding Labels": ("No Finding", "Cardiomegaly|Effusion", "Mass")[n % 3],
                "Follow-up #": follow_up, "Patient ID": n + 1, "Patient Age": 58 + n,
                "Patient Gender": "MF"[n % 2], "View Position": ("PA", "AP")[follow_up],
                "OriginalImage[Width": 2682, "Height]": 2749,
            })  # fmt: skip
    write_csv(root / "Data_Entry_2017.csv", rows)


def vindr_cxr(root: Path, scans: SimpleNamespace) -> None:
    rows = []
    for n in PATIENTS:
        image = f"{n:032x}"
        scans.dicom(root / f"train/{image}.dicom", scans.texture(n), PatientID="", StudyInstanceUID=scans.uid(n),
                    InstitutionName="", Modality="DX", PhotometricInterpretation="MONOCHROME1")  # fmt: skip
        votes = (n % 2, n % 2, 0)
        rows += [{"image_id": image, "rad_id": f"R{r}", "Pleural effusion": vote, "Pneumonia": 0, "No finding": 0}
                 for r, vote in enumerate(votes)]  # fmt: skip
    write_csv(root / "annotations/image_labels_train.csv", rows)
    write_csv(root / "annotations/annotations_train.csv", rows)


def rsna_pneumonia(root: Path, scans: SimpleNamespace) -> None:
    boxes, classes = [], []
    for n in PATIENTS:
        patient = f"0004cfab-14fd-4e49-80ba-63a80b6b{n:04d}"
        scans.dicom(root / f"stage_2_train_images/{patient}.dcm", scans.texture(n), PatientID=patient,
                    SOPInstanceUID=scans.uid(n), StudyInstanceUID=scans.uid("s", n), Modality="CR")  # fmt: skip
        box = {"x": 264.0, "y": 152.0, "width": 213.0, "height": 379.0} if n % 2 else {}
        boxes += [{"patientId": patient, "x": None, **box, "Target": n % 2}] * (1 + n % 2)
        classes.append({"patientId": patient, "class": ("Normal", "Lung Opacity")[n % 2]})
    write_csv(root / "stage_2_train_labels.csv", boxes)
    write_csv(root / "stage_2_detailed_class_info.csv", classes)


def lidc_idri(root: Path, scans: SimpleNamespace) -> None:
    rows = []
    for n in PATIENTS:
        patient = f"LIDC-IDRI-{n + 1:04d}"
        folder = root / "LIDC-IDRI" / patient / "01-01-2000-NA-NA-30178" / "3000566.000000-NA-03192"
        for z in range(3):
            scans.dicom(folder / f"1-{z + 1:03d}.dcm", scans.texture(n, z), PatientID=patient, Modality="CT",
                        StudyInstanceUID=scans.uid(n), SeriesInstanceUID=scans.uid(n, "series"), InstitutionName="",
                        SOPInstanceUID=scans.uid(n, z), ImagePositionPatient=[0, 0, -2.5 * z],
                        ImageOrientationPatient=[1, 0, 0, 0, 1, 0])  # fmt: skip
        scans.dicom(folder.with_name("3000923.000000-NA-62357") / "1-1.dcm", scans.texture(n), PatientID=patient,
                    Modality="DX", SOPInstanceUID=scans.uid(n, "dx"))  # fmt: skip
        large = n % 3
        rows.append({"TCIA Patent ID": patient, "Total Number of Nodules* ": large + 1,
                     "Number of Nodules >=3mm**": large, "Number of Nodules <3mm***": 1})  # fmt: skip
    rows.append(rows[2] | {"Number of Nodules >=3mm**": 5})  # a patient with two scans has two rows
    rows.append({"TCIA Patent ID": "TOTAL", "Number of Nodules >=3mm**": sum(n % 3 for n in PATIENTS)})
    pd.DataFrame(rows).to_excel(root / "lidc-idri-nodule-counts-6-23-2015.xlsx", index=False)


def volume_and_mask(scans: SimpleNamespace, folder: Path, scan: str, mask: str, seed: int) -> None:
    values = scans.texture(seed, shape=(16, 18, 3)).astype(np.float32)
    marked = np.zeros((16, 18, 3), np.uint8)
    marked[5:11, 5:11, 1] = 4
    scans.volume(folder / scan, values)
    scans.volume(folder / mask, marked)


def brats(root: Path, scans: SimpleNamespace) -> None:
    rows = []
    for n in PATIENTS:
        case = f"BraTS2021_{n:05d}"
        volume_and_mask(scans, root / case, f"{case}_flair.nii.gz", f"{case}_seg.nii.gz", n)
        scans.volume(root / case / f"{case}_t1ce.nii.gz", scans.texture(n, 1, shape=(16, 18, 3)).astype(np.float32))
        rows.append({"Data Collection (as on TCIA+additional)": "UPENN-GBM", "Site ID": 1 + n % 2,
                     "PatientID on TCIA Radiology Portal": f"UPENN-GBM-{n:05d}", "BraTS2021 ID": case,
                     "Segmentation (Task 1) Cohort": "Training"})  # fmt: skip
    pd.DataFrame(rows).to_excel(root / "BraTS2021_MappingToTCIA.xlsx", index=False)


def ixi(root: Path, scans: SimpleNamespace) -> None:
    rows = []
    for n in range(18):
        site = ("Guys", "HH", "IOP")[n % 3]
        for sequence in ("T1", "T2"):
            values = scans.texture(n, shape=(16, 18, 3)).astype(np.float32)
            scans.volume(root / f"IXI{n + 2:03d}-{site}-{828 + n:04d}-{sequence}.nii.gz", values)
        rows.append({"IXI_ID": n + 2, "SEX_ID (1=m, 2=f)": 1 + n // 3 % 2, "HEIGHT": 164, "DOB": "1970-02-21",
                     "STUDY_DATE": "2005-11-25", "AGE": 35.8 + n})  # fmt: skip
    pd.DataFrame(rows).to_excel(root / "IXI.xlsx", index=False)


def fastmri(root: Path, _: SimpleNamespace) -> None:
    rows = []
    for n in PATIENTS:
        name = f"file{1000001 + n}"
        path = root / ("singlecoil_train" if n % 2 else "singlecoil_val") / f"{name}.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            slices = np.random.default_rng(n).random((4, 20, 20), np.float32) * 1e-4
            file["reconstruction_rss"] = slices
            file["kspace"] = slices.astype(np.complex64)
            file["ismrmrd_header"] = "<xml/>"
            file.attrs.update({"patient_id": f"{n:064x}", "acquisition": ("CORPD_FBK", "CORPDFS_FBK")[n % 2],
                               "max": 1e-4, "norm": 2e-2})  # fmt: skip
        for finding in ((), ("Meniscus Tear", "Bone- Subchondral edema"), ("Bone- Subchondral edema",))[n % 3]:
            rows.append({"file": name, "slice": 1, "study_level": "No", "x": 1, "y": 1, "width": 2, "height": 2,
                         "label": finding})  # fmt: skip
    write_csv(root / "knee.csv", rows)


def acdc(root: Path, scans: SimpleNamespace) -> None:
    for n in PATIENTS:
        patient = f"patient{n + 1:03d}"
        folder = root / ("training", "testing")[n % 2] / patient
        for frame in ("01", "12"):
            volume_and_mask(scans, folder, f"{patient}_frame{frame}.nii.gz", f"{patient}_frame{frame}_gt.nii.gz", n)
        scans.volume(folder / f"{patient}_4d.nii.gz", np.ones((4, 4, 3, 5), np.float32))
        group = ("NOR", "DCM", "MINF")[n % 3]
        (folder / "Info.cfg").write_text(f"ED: 1\nES: 12\nGroup: {group}\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n")


def mnms(root: Path, scans: SimpleNamespace) -> None:
    rows = []
    for n in range(18):
        code, part = f"A{n}S9V9"[-6:], ("Training/Labeled", "Validation", "Testing")[n % 3]
        phases = np.stack([scans.texture(n, phase, shape=(16, 18, 3)) for phase in range(4)], axis=3)
        scans.volume(root / part / code / f"{code}_sa.nii.gz", phases.astype(np.float32))
        scans.volume(root / part / code / f"{code}_sa_gt.nii.gz", np.zeros((16, 18, 3, 4), np.uint8))
        centre = 1 + n % 2
        rows.append({"": n, "External code": code, "VendorName": ("Siemens", "Philips")[centre - 1],
                     "Vendor": "AB"[centre - 1], "Centre": centre, "ED": 0, "ES": 9, "Age": 55.0,
                     "Pathology": ("NOR", "HCM", "DCM")[n // 2 % 3], "Sex": "MF"[n % 2], "Height": 167.0,
                     "Weight": 84.0})  # fmt: skip
    write_csv(root / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv", rows)


def camelyon17_wilds(root: Path, _: SimpleNamespace) -> None:
    rows = []
    for n in range(18):
        patient, x, y = f"{n:03d}", 3328 + n, 21792
        for tumour in (0, 1):
            picture(root / f"patches/patient_{patient}_node_4/patch_patient_{patient}_node_4_x_{x + tumour}_y_{y}.png",
                    n, colour=True)  # fmt: skip
            rows.append({"": len(rows), "patient": patient, "node": 4, "x_coord": x + tumour, "y_coord": y,
                         "tumor": tumour, "slide": n, "center": n % 3, "split": 0})  # fmt: skip
    write_csv(root / "metadata.csv", rows)


def ham10000_dataverse(root: Path, _: SimpleNamespace) -> None:
    rows = []
    for n in range(24):
        image = f"ISIC_{24306 + n:07d}"
        picture(root / f"HAM10000_images_part_{1 + n % 2}/{image}.jpg", n, colour=True)
        rows.append({"lesion_id": f"HAM_{n // 2:07d}", "image_id": image, "dx": ("nv", "mel", "bkl")[n // 2 % 3],
                     "dx_type": "histo", "age": 80.0, "sex": ("male", "unknown")[n // 2 % 2], "localization": "scalp",
                     "dataset": ("vidir_modern", "rosendahl")[n // 2 % 2]})  # fmt: skip
    write_csv(root / "HAM10000_metadata.csv", rows)


def lgg_mri_kaggle(root: Path, _: SimpleNamespace) -> None:
    rows = []
    for n in range(15):
        patient = f"TCGA_{('CS', 'DU', 'HT')[n % 3]}_{4941 + n}"
        rows.append({"Patient": patient, "RNASeqCluster": 2, "gender": 2, "age_at_initial_pathologic": 67 - n})
        for number in (1, 2):
            folder = root / f"{patient}_19960909"
            picture(folder / f"{patient}_19960909_{number}.tif", n, colour=True)
            mask = Image.new("L", (16, 16))
            if number == 2:
                mask.paste(255, (4, 4, 12, 12))
            mask.save(folder / f"{patient}_19960909_{number}_mask.tif")
    write_csv(root / "data.csv", rows)
    (root / "README.md").write_text("Dataset used in: Mateusz Buda, ...")


def oasis(root: Path, scans: SimpleNamespace) -> None:
    rows = []
    for n in range(15):
        session = f"OAS1_{n + 1:04d}_MR1"
        folder = root / f"disc{1 + n % 2}" / session / "PROCESSED/MPRAGE/T88_111"
        for kind in ("t88_gfc", "t88_masked_gfc"):
            values = scans.texture(n, shape=(16, 18, 3, 1)).astype(">i2")
            folder.mkdir(parents=True, exist_ok=True)
            image = nib.AnalyzeImage(values, np.eye(4), nib.AnalyzeHeader(endianness=">"))
            nib.save(image, folder / f"{session}_mpr_n4_anon_111_{kind}.img")
        rating = (0.0, 0.5, None)[n % 3]
        rows.append({"ID": session, "M/F": "MF"[n % 2], "Hand": "R", "Age": 74, "Educ": 2, "SES": 3, "MMSE": 29,
                     "CDR": rating, "eTIV": 1344, "nWBV": 0.743, "ASF": 1.306, "Delay": None})  # fmt: skip
    write_csv(root / "oasis_cross-sectional.csv", rows)


@dataclass(frozen=True)
class Case:
    """What the recipe named after ``build`` must find in its tree."""

    build: Build
    patients: int
    labels: dict[str, int]
    sites: set[str] = field(default_factory=lambda: {""})
    views: set[str] = field(default_factory=lambda: {""})
    devices: set[str] | None = None
    external: set[str] = field(default_factory=set)
    note: str = ""


CASES = [
    Case(medmnist, 24, {"0": 12, "1": 12}, note="test_images (8), train_images (12), val_images (4)"),
    Case(chexpert, 9, {"no pleural effusion": 6, "pleural effusion": 3}, views={"AP"}),
    Case(mimic_cxr_jpg, 9, {"no pleural effusion": 6, "pleural effusion": 3}, views={"PA"}),
    Case(nih_chestxray14, 12, {"no pleural effusion": 16, "pleural effusion": 8}, views={"AP", "PA"}),
    Case(vindr_cxr, 12, {"no pleural effusion": 6, "pleural effusion": 6}, devices={"Siemens Skyra"}),
    Case(rsna_pneumonia, 12, {"no lung opacity": 6, "lung opacity": 6}, views={"PA"}),
    Case(lidc_idri, 12, {"no nodule": 12, "nodule": 24}, devices={"Siemens Skyra"}),
    Case(brats, 12, {"no tumour": 24, "tumour": 12}, {"site 1", "site 2"}),
    Case(ixi, 18, {"male": 27, "female": 27}, {"Guy's Hospital", "Hammersmith Hospital", "Institute of Psychiatry"},
         {"T1"}, {"Philips 1.5 T", "Philips 3 T", "GE 1.5 T"}),
    Case(fastmri, 12, {"no meniscus tear": 32, "meniscus tear": 16}, views={"CORPD_FBK", "CORPDFS_FBK"}),
    Case(acdc, 12, {"normal": 24, "diseased": 48}),
    Case(mnms, 18, {"normal": 18, "diseased": 36}, {"centre 1", "centre 2"}, devices={"Siemens", "Philips"}),
    Case(camelyon17_wilds, 18, {"no tumour": 18, "tumour": 18}, {"centre 0", "centre 1", "centre 2"},
         external={"centre 2"}),
    Case(ham10000_dataverse, 12, {"benign": 16, "malignant": 8},
         {"Medical University of Vienna, Austria", "Rosendahl, Queensland, Australia"},
         devices={"vidir_modern", "rosendahl"}),
    Case(lgg_mri_kaggle, 15, {"no tumour": 15, "tumour": 15},
         {"Thomas Jefferson University", "Henry Ford Hospital", "Case Western - St Joseph's"},
         external={"Case Western - St Joseph's"}),
    Case(oasis, 10, {"no dementia": 15, "dementia": 15}, note="10 of 10 volumes do not say how they lie"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.build.__name__)
def test_a_recipe_reads_its_data_set(case, tmp_path, scans, shipped, prepare):
    root = tmp_path / "root"
    root.mkdir()
    case.build(root, scans)
    cohort = prepare(shipped(case.build.__name__, "cohort.size=16"), root)
    images = cohort.images
    assert len(set(images.patients.tolist())) == case.patients
    assert Counter(images.label_names[label] for label in images.labels.tolist()) == case.labels
    assert set(images.groups["site"].tolist()) == case.sites
    assert set(images.groups["view"].tolist()) == case.views
    assert case.devices is None or set(images.groups["device"].tolist()) == case.devices
    assert set(cohort.split("external").groups["site"].tolist()) == case.external
    assert case.note in " ".join(cohort.notes)


def test_chexpert_is_read_as_its_full_size_comes_in_batches(tmp_path, scans, shipped, prepare):
    root = tmp_path / "root"
    chexpert(root, scans)
    (root / "CheXpert-v1.0 batch 1 (validate & csv)").mkdir()
    (root / "valid").rename(root / "CheXpert-v1.0 batch 1 (validate & csv)/valid")
    (root / "train").rename(root / "CheXpert-v1.0 batch 2 (train 1)")
    cohort = prepare(shipped("chexpert", "cohort.size=16"), root)
    assert len(set(cohort.images.patients.tolist())) == len(cohort.images) == 9


def test_the_table_of_ham10000_is_read_as_the_dataverse_calls_it(tmp_path, scans, shipped, prepare):
    root = tmp_path / "root"
    ham10000_dataverse(root, scans)
    (root / "HAM10000_metadata.csv").rename(root / "HAM10000_metadata")
    cohort = prepare(shipped("ham10000_dataverse", "cohort.size=16", "cohort.table.path=HAM10000_metadata"), root)
    assert len(cohort.images) == 24


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("medmnist", ("cohort.include=[bloodmnist_224.npz]", "cohort.label.names=[]", "cohort.label.values=[]")),
        ("mimic_cxr_jpg", ("+cohort.table.also.people={path: /DIR/patients.csv.gz, join_on: patient, "
                           "patient: subject_id, sex: gender, age: anchor_age}",)),
        ("nih_chestxray14", ('cohort.label.values=["*", Pneumonia]',)),
        ("rsna_pneumonia", ("cohort.table.path=stage_2_detailed_class_info.csv", "cohort.table.label=class",
                            "cohort.label.values=[Normal, Lung Opacity]")),
        ("fastmri", ('cohort.label.values=["*", Cartilage - Partial Thickness loss/defect]',)),
        ("brats", ("cohort.table=null",)),
        ("acdc", ("cohort.label.names=[NOR, MINF, DCM, HCM, RV]", "cohort.label.values=[]")),
        ("ham10000_dataverse", ("cohort.table.site=null", "cohort.table.device=null")),
    ],
)  # fmt: skip
def test_what_a_recipe_says_can_be_set_can_be_set(recipe, settings, shipped):
    assert shipped(recipe, *settings) != shipped(recipe)
