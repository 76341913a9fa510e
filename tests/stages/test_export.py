"""A set of a finished run as files: read back by the product itself, pixels and facts are equal."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest

from synthassay.cli.main import main
from synthassay.cohorts.prepare import prepare_cohort
from synthassay.cohorts.specs import DicomSpec, LabelSpec, MaskSpec, NiftiSpec, TableSpec, WindowSpec
from synthassay.errors import UserError
from synthassay.records import UNKNOWN_MASK, Cohort, ImageSet, ScanRecord, SilentProgress
from synthassay.scans.dicom.header import read_header
from synthassay.scans.dicom.series import Slice, split_series
from synthassay.scans.dicom.volumes import read_volume as read_series
from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import NiftiFile, read_volume
from synthassay.scans.orientation import stack, stack_spacing, upright
from synthassay.specs import Resources
from synthassay.stages.export import Order, export
from synthassay.store.tables import save_cohort, save_images

N, SIZE = 24, 20
SAMPLE, CONTROL, PREPARE = (f"{stage}/{digit * 24}" for stage, digit in
                            (("sample", "a"), ("control", "b"), ("prepare", "c")))  # fmt: skip


def image_set(name, origin, dtype=np.uint8, channels=1, depth=(), **more):
    random = np.random.default_rng(len(name))
    ids = np.array([f"{name}-{i:06d}" for i in range(N)])
    groups = {"site": np.array(["north", "south"])[np.arange(N) // 2 % 2], "device": np.full(N, "Siemens Skyra"),
              "sex": np.array(["F", "M", ""])[np.arange(N) // 2 % 3]}  # fmt: skip
    shape = (N, channels, *depth, SIZE, SIZE)
    return ImageSet(
        name=name, origin=origin, pixels=random.integers(1, np.iinfo(dtype).max + 1, shape, dtype), ids=ids,
        patients=ids[np.arange(N) // 2 * 2], labels=np.arange(N) % 3 - 1, label_names=("no", "yes"),
        groups=groups, covariates={"age": np.where(np.arange(N) % 4, 34.0, np.nan).astype(np.float32)}, **more,
    )  # fmt: skip


def finished_run(place, images, phantom=None, kind="dicom", depth=(), **source):
    """A run as the report stage leaves it, with one generated, one control and the real set.

    ``source``: what the records say of the real images' sources.
    """
    save = {SAMPLE: images, CONTROL: image_set("oracle", "control")}
    for folder, each in save.items():
        (place / "store" / folder).mkdir(parents=True)
        save_images(each, place / "store" / folder)
    real = image_set("real", "real", depth=depth)
    policy = {"size": SIZE, "fit": "crop", "dimensions": 3 if depth else 2}
    records = [ScanRecord(scan_id=i, patient_id=p, study_id=f"st-{p}", **source)
               for i, p in zip(real.ids.tolist(), real.patients.tolist(), strict=True)]  # fmt: skip
    splits = np.where(np.arange(N) < N // 2, "generator-train", "test")
    (place / "store" / PREPARE).mkdir(parents=True)
    cohort = Cohort(name="toy", images=real, splits=splits, records=records, label="lesion", positive=1, policy=policy)
    save_cohort(cohort, place / "store" / PREPARE)
    stages = [{"stage": f.partition("/")[0], "key": f[-24:], "folder": f} for f in (PREPARE, SAMPLE, CONTROL)]
    (place / "run").mkdir()
    held = {"run_id": "0", "cohort": "0", "spec": {"cohort": {"kind": kind, "phantom": phantom}}, "stages": stages}
    (place / "run" / "run.json").write_text(json.dumps(held))
    return place / "run"


def order(run, name="edm", format="dicom", **changes):
    return Order(**{"run": run, "store": None, "name": name, "format": format, "out": run.parent / "out"} | changes)


def prepared(out, kind, images):
    """The exported folder as a cohort of its own, with an intensity window that changes nothing."""
    table = TableSpec(path="images.tsv", file="path", patient="patient", label="label", site="site", device="device",
                      age="age", sex="sex")  # fmt: skip
    spec = kind(
        name="back", root=str(out), size=SIZE, channels=images.pixels.shape[1],
        bits=8 * images.pixels.dtype.itemsize, table=table,
        window=WindowSpec(mode="fixed", low=0, high=images.pixel_max), **({"exclude": ()} if kind is NiftiSpec else {}),
    )  # fmt: skip
    place = out.parent
    return prepare_cohort(spec, out, place / "keys", place / "work", Resources(device="cpu"), SilentProgress())


@pytest.mark.parametrize(("format", "kind", "dtype", "channels"), [
    ("dicom", DicomSpec, np.uint8, 1), ("dicom", DicomSpec, np.uint16, 1), ("dicom", DicomSpec, np.uint8, 3),
    ("nifti", NiftiSpec, np.uint8, 1), ("nifti", NiftiSpec, np.uint16, 1), ("nifti", NiftiSpec, np.uint8, 3),
])  # fmt: skip
def test_what_prepare_reads_back_is_equal(tmp_path, format, kind, dtype, channels):
    images = image_set("edm", "generator", dtype, channels, seeds=np.arange(N))
    images = images.take(images.labels >= 0)  # a table must label what it lists
    table = export(order(finished_run(tmp_path, images), format=format), SilentProgress())
    cohort = prepared(table.parent, kind, images)
    assert [row.path[-5:] for row in cohort.quarantined] == [".json"]  # export.json, which is no scan
    back = cohort.images
    # Other pseudonyms, and the order of paths, which is that of the rows.
    assert np.array_equal(back.pixels, images.pixels)
    assert [back.label_names[i] for i in back.labels] == [images.label_names[i] for i in images.labels]
    for name in ("site", "device", "sex"):
        assert back.groups[name].tolist() == images.groups[name].tolist()
    assert np.array_equal(back.covariates["age"], images.covariates["age"], equal_nan=True)
    same = np.equal.outer(images.patients, images.patients)
    assert np.array_equal(np.equal.outer(back.patients, back.patients), same)


def test_headers_alone_carry_the_facts(tmp_path):
    images = image_set("edm", "generator", seeds=np.arange(N) + 100)
    table = export(order(finished_run(tmp_path, images), modality="MR"), SilentProgress())
    rows = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    assert len(rows) == N
    for i, path in enumerate(rows["path"]):
        data = pydicom.dcmread(table.parent / path)
        assert data.SyntheticData == "YES"
        assert (data.PatientID, data.Modality, data.InstanceNumber) == (images.patients[i], "MR", i + 1)
        assert data.InstitutionName == images.groups["site"][i]
        assert data.get("ImageComments", "") == rows["label"][i] == ("", "no", "yes")[i % 3]
        assert f"seed {i + 100}" in data.DerivationDescription
    facts = json.loads((table.parent / "export.json").read_text())
    assert (facts["content_id"], facts["images"], facts["origin"]) == (images.content_id, N, "generator")


@pytest.mark.parametrize("name", ["test", "generator-train", "oracle"])
def test_images_of_patients_are_refused_unless_asked_for(tmp_path, name):
    run = finished_run(tmp_path, image_set("edm", "generator"))
    with pytest.raises(UserError, match="real=true"):
        export(order(run, name), SilentProgress())
    assert not (tmp_path / "out").exists()
    table = export(order(run, name, real=True), SilentProgress())
    data = pydicom.dcmread(table.parent / "images" / "000001.dcm")
    assert "SyntheticData" not in data
    if name != "oracle":
        assert f"split {name}" in data.DerivationDescription
        rows = pd.read_csv(table, sep="\t")
        assert len(rows) == N // 2
        assert (rows["study"] == "st-" + rows["patient"]).all()


def test_real_images_of_the_phantom_are_marked_as_synthetic(tmp_path):
    run = finished_run(tmp_path, image_set("edm", "generator"), phantom={"kind": "phantom"})
    table = export(order(run, "test", real=True), SilentProgress())
    assert pydicom.dcmread(table.parent / "images" / "000001.dcm").SyntheticData == "YES"


def test_equal_sets_give_equal_files(tmp_path):
    run = finished_run(tmp_path, image_set("edm", "generator"))
    for format in ("dicom", "nifti"):
        one, two = (export(order(run, format=format, out=tmp_path / f"{format}{i}"), SilentProgress()) for i in "ab")
        for path in sorted(one.parent.rglob("*.*")):
            assert path.read_bytes() == (two.parent / path.relative_to(one.parent)).read_bytes()


@pytest.mark.parametrize(("arguments", "message"), [
    (["set=edm", "format=dicom", "out=o"], "run="),
    (["run={run}", "set=gan", "format=dicom", "out={new}"], "it has: generator-train, test, edm, oracle"),
    (["run={run}", "set=edm", "format=png", "out={new}"], "dicom, nifti"),
    (["run={run}", "set=edm", "format=dicom", "out={run}"], "not an empty folder"),
    (["run={run}", "set=edm", "format=dicom", "out={new}", "modality=m r"], "modality"),
    (["run={run}", "set=edm", "format=dicom", "out={new}", "store={new}"], "store=DIR"),
    (["run={new}", "set=edm", "format=dicom", "out={new}"], "holds no run.json"),
    (["run={run}", "set=edm", "format=dicom", "out={new}", "size=3"], "not size"),
    (["run={run}", "set=edm", "format=dicom", "out={new}", "real=yes"], "neither true nor false"),
])  # fmt: skip
def test_mistakes_are_named(tmp_path, capsys, arguments, message):
    run = finished_run(tmp_path, image_set("edm", "generator"))
    assert main(["export", *(a.format(run=run, new=tmp_path / "new") for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) <= 3
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("folder", ["sample/../../../etc", "/etc/passwd", "sample/" + "a" * 23, "prepare/" + "a" * 24])
def test_a_run_json_that_points_elsewhere_is_refused(tmp_path, folder):
    run = finished_run(tmp_path, image_set("edm", "generator"))
    held = json.loads((run / "run.json").read_text())
    held["stages"][1]["folder"] = folder
    (run / "run.json").write_text(json.dumps(held))
    with pytest.raises(UserError, match=r"run\.json"):
        export(order(run), SilentProgress())


def test_the_command_prints_the_table(tmp_path, capsys):
    run = finished_run(tmp_path, image_set("edm", "generator"))
    out = tmp_path / "new"
    assert main(["export", f"run={run}", "set=edm", "format=nifti", f"out={out}"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(out / "images.tsv")
    assert "100%" in shown.err
    assert len(list((out / "images").iterdir())) == 2 * N


SOURCE = {"spacing_mm": (0.5, 0.4, 3.0), "orientation": "coronal", "source_rows": 40, "source_columns": 60}


@pytest.mark.parametrize("name", ["edm", "test"])
def test_spacing_is_what_cutting_and_scaling_left(tmp_path, name):
    run = finished_run(tmp_path, image_set("edm", "generator"), **SOURCE)
    table = export(order(run, name, real=True), SilentProgress())
    data = pydicom.dcmread(table.parent / "images" / "000001.dcm")
    # The central 40 x 40 pixels of the source became 20 x 20.
    assert [float(v) for v in data.PixelSpacing] == [1.0, 0.8]
    assert data.SliceThickness == 3
    assert not data.PatientOrientation  # a DICOM slice keeps its own order of rows and columns


def test_slices_of_nifti_files_keep_spacing_and_plane(tmp_path):
    run = finished_run(tmp_path, image_set("edm", "generator"), kind="nifti", **SOURCE)
    table = export(order(run, format="nifti"), SilentProgress())
    image = nibabel.load(table.parent / "images" / "000001.nii.gz")
    assert nibabel.aff2axcodes(image.affine) == ("L", "I", "A")
    assert image.header.get_zooms() == pytest.approx((0.8, 1.0, 3.0))


def test_sets_that_others_made_have_no_spacing(tmp_path):
    run = finished_run(tmp_path, image_set("theirs", "external"), **SOURCE)
    table = export(order(run, "theirs"), SilentProgress())
    data = pydicom.dcmread(table.parent / "images" / "000001.dcm")
    assert "PixelSpacing" not in data
    assert (data.SyntheticData, data.ContributingEquipmentSequence[0].Manufacturer) == ("YES", "unknown")


@pytest.mark.parametrize("format", ["dicom", "nifti"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_volumes_come_back_with_voxels_and_spacing(tmp_path, format, dtype):
    images = image_set("edm", "generator", dtype, depth=(4,))
    run = finished_run(tmp_path, images, depth=(4,), **SOURCE)
    folder = export(order(run, format=format), SilentProgress()).parent / "images"
    first = sorted(path for path in folder.iterdir() if path.name.startswith("000001") and path.suffix != ".json")
    if format == "nifti":
        volume = read_volume(NiftiFile(first[0].read_bytes()), LimitSpec())
    else:
        facts = [(path.name, read_header(path, LimitSpec()).slices[0]) for path in first]
        (series,) = split_series([Slice(path=path, facts=fact) for path, fact in facts])
        volume = read_series(folder, series, LimitSpec())
    volume = upright(volume)
    assert np.array_equal(stack(volume.values, "coronal"), images.pixels[0, 0])
    assert stack_spacing(volume, "coronal") == pytest.approx((0.5, 0.4, 3.0))


def test_volumes_that_lie_nowhere_are_no_dicom_series(tmp_path):
    run = finished_run(tmp_path, image_set("edm", "generator", depth=(4,)), depth=(4,))
    with pytest.raises(UserError, match="format=nifti"):
        export(order(run), SilentProgress())
    assert not (tmp_path / "out").exists()


def with_masks(images):
    masks = np.random.default_rng(0).integers(0, 3, (N, *images.pixels.shape[2:])).astype(np.uint8)
    masks[3] = UNKNOWN_MASK
    return replace(images, masks=masks, mask_names=("background", "a", "b"), content_id="")


def test_masks_go_along_and_are_read_back_equal(tmp_path):
    images = with_masks(image_set("edm", "generator"))
    table = export(order(finished_run(tmp_path, images), format="nifti"), SilentProgress())
    rows = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    assert np.flatnonzero(rows["mask"] == "").tolist() == [3]
    assert len(list((table.parent / "masks").iterdir())) == N - 1
    spec = NiftiSpec(
        name="back", size=SIZE, exclude=("masks/*",),
        table=TableSpec(path="images.tsv", file="path", patient="patient"),
        label=LabelSpec(source="none", mask="masks/{name}.nii.gz"), masks=MaskSpec(keep=True, names=("a", "b")),
    )  # fmt: skip
    back = prepare_cohort(spec, table.parent, tmp_path / "keys", tmp_path / "work", Resources(device="cpu"),
                          SilentProgress()).images  # fmt: skip
    assert np.array_equal(back.masks, images.masks)
    assert json.loads((table.parent / "export.json").read_text())["mask_names"] == ["background", "a", "b"]


def test_masks_lie_on_their_volumes(tmp_path):
    images = with_masks(image_set("edm", "generator", depth=(4,)))
    folder = export(
        order(finished_run(tmp_path, images, depth=(4,), **SOURCE), format="nifti"), SilentProgress()
    ).parent
    image, mask = (upright(read_volume(NiftiFile((folder / part / "000001.nii.gz").read_bytes()), LimitSpec()))
                   for part in ("images", "masks"))  # fmt: skip
    assert np.array_equal(stack(mask.values, "coronal"), images.masks[0])
    assert np.array_equal(mask.affine, image.affine)


def test_dicom_files_have_no_masks(tmp_path):
    images = replace(image_set("edm", "generator"), masks=np.zeros((N, SIZE, SIZE), np.uint8),
                     mask_names=("background", "a"), content_id="")  # fmt: skip
    table = export(order(finished_run(tmp_path, images)), SilentProgress())
    assert not (table.parent / "masks").exists()
    assert "mask" not in table.read_text().splitlines()[0].split("\t")
    assert json.loads((table.parent / "export.json").read_text())["mask_names"] == []
