import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from synthassay.cohorts import nifti
from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import LabelSpec, SliceSpec, TableSpec
from synthassay.errors import UserError
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import VolumeSpec


@pytest.fixture
def read(tmp_path, scans):
    def through(path: str, mask: str | None = None, **changes):
        spec = scans.bids_spec(size=16).model_copy(update=changes)
        return nifti.read_images(tmp_path, Source(path=path, patient="p", study="p", series=path, mask=mask), spec)

    return through


def read_nifti(root, scans, path, mask=None, not_a_number="refuse"):
    spec = scans.bids_spec(size=16, not_a_number=not_a_number)
    return nifti.read_images(root, Source(path=path, patient="p", study="p", series=path, mask=mask), spec)


def describe(root, path, spec):
    return nifti.NiftiFolder(root, [p.relative_to(root).as_posix() for p in root.rglob("*")], spec).describe(path)


def test_bids_names_give_patient_session_and_mask(tmp_path, scans):
    mask = "derivatives/masks/sub-01/ses-2/anat/sub-01_ses-2_mask.nii.gz"
    (tmp_path / mask).parent.mkdir(parents=True)
    (tmp_path / mask).touch()
    path = "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz"
    source, belonging = describe(tmp_path, path, scans.bids_spec())
    assert (source.patient, source.study, source.mask) == ("sub-01", "sub-01/ses-2", mask)
    assert belonging == (mask,)


def test_a_scan_without_its_mask_is_refused(tmp_path, scans):
    with pytest.raises(Unreadable, match="no mask at the place"):
        describe(tmp_path, "sub-01/anat/sub-01_FLAIR.nii.gz", scans.bids_spec())


def test_a_sidecar_gives_site_and_device_and_a_broken_one_nothing(tmp_path, scans):
    spec = scans.bids_spec(label=LabelSpec(source="none"))
    facts = {"Manufacturer": "SIEMENS", "ManufacturersModelName": "Skyra", "InstitutionName": "North"}
    (tmp_path / "a.json").write_text(json.dumps(facts))
    (tmp_path / "b.json").write_text("{")
    source, belonging = describe(tmp_path, "a.nii.gz", spec)
    assert (source.site, source.device, belonging) == ("North", "Siemens Skyra", ("a.json",))
    assert describe(tmp_path, "b.nii.gz", spec)[0].site is None


def test_slices_are_upright_whatever_the_storage_order(tmp_path, scans, read):
    values = np.zeros((16, 16, 3), np.float32)
    values[2, 13, 1] = 9  # low x = the patient's left, high y = anterior
    scans.volume(tmp_path / "ras.nii", values)
    flipped = np.diag([-1.0, -1.0, 1.0, 1.0])
    scans.volume(tmp_path / "lps.nii", values[::-1, ::-1], flipped)
    got = read("ras.nii")
    row, column = np.argwhere(got.pixels[1, 0])[0]
    assert row < 8 < column  # anterior at the top, the patient's left at the right
    assert np.array_equal(read("lps.nii").pixels, got.pixels)


@pytest.mark.parametrize(("axis", "count", "spacing"), [("axial", 3, (2.0, 1.0, 3.0)), ("coronal", 8, (3.0, 1.0, 2.0)),
                                                        ("sagittal", 16, (3.0, 2.0, 1.0))])  # fmt: skip
def test_slices_along_each_axis_with_their_spacing(tmp_path, scans, read, axis, count, spacing):
    scans.volume(tmp_path / "a.nii.gz", scans.texture(1, shape=(16, 8, 3)).astype(np.float32), np.diag([1.0, 2, 3, 1]))
    got = read("a.nii.gz", slices=SliceSpec(axis=axis), fit="stretch")
    assert len(got.planes) == count
    assert got.planes[0].spacing_mm == spacing
    assert [plane.slice_position for plane in got.planes][:: count - 1] == [0.0, 1.0]


def test_mask_pixels_are_counted_in_each_slice_and_only_for_the_values_asked_for(tmp_path, scans, read):
    mask = np.zeros((16, 16, 3), np.uint8)
    mask[3:5, 3, 1], mask[9, 9, 2] = 1, 2
    scans.volume(tmp_path / "a.nii", scans.texture(1, shape=(16, 16, 3)).astype(np.float32))
    scans.volume(tmp_path / "m.nii", mask)
    assert [plane.mask_pixels for plane in read("a.nii", "m.nii").planes] == [0, 2, 1]
    spec = scans.bids_spec()
    label = spec.label.model_copy(update={"mask_values": (2,)})
    assert [plane.mask_pixels for plane in read("a.nii", "m.nii", label=label).planes] == [0, 0, 1]


def with_holes(bad: float) -> np.ndarray:
    values = np.full((16, 16, 3), 5, np.float32)
    values[3, 3, 1], values[0, 0, :2] = -2, bad
    return values


@pytest.mark.parametrize(("bad", "word", "setting"), [
    (np.nan, "NaN", "refuse"), (np.inf, "infinite", "refuse"), (-np.inf, "infinite", "background"),
])  # fmt: skip
def test_voxels_that_are_not_finite_are_refused_and_counted(tmp_path, scans, read, bad, word, setting):
    scans.volume(tmp_path / "a.nii.gz", with_holes(bad))
    with pytest.raises(Unreadable, match=word) as caught:
        read_nifti(tmp_path, scans, "a.nii.gz", not_a_number=setting)
    assert caught.value.found == f"2 of 768 are {word}"
    assert ("cohort.not_a_number=background" in caught.value.reason) == (word == "NaN")


def test_nan_is_background_where_that_is_asked_for_and_nothing_in_a_mask(tmp_path, scans, read):
    mask = np.full((16, 16, 3), np.nan, np.float32)
    mask[3:5, 3, 1] = 1
    filled = np.where(np.isnan(with_holes(np.nan)), -2, with_holes(np.nan))
    for name, values in (("a", with_holes(np.nan)), ("b", filled), ("m", mask), ("all", np.full_like(mask, np.nan))):
        scans.volume(tmp_path / f"{name}.nii", values)
    got, same = (read_nifti(tmp_path, scans, f"{name}.nii", "m.nii", "background") for name in "ab")
    assert np.array_equal(got.pixels, same.pixels)
    assert {plane.filled for plane in got.planes} == {2}
    assert {plane.filled for plane in same.planes} == {0}
    assert [plane.mask_pixels for plane in got.planes] == [0, 2, 0]
    with pytest.raises(Unreadable, match=r"mask cannot be used: .*cohort\.not_a_number"):
        read_nifti(tmp_path, scans, "b.nii", "m.nii")
    with pytest.raises(Unreadable, match="no voxel is a number"):
        read_nifti(tmp_path, scans, "all.nii", None, "background")


def test_how_many_voxels_became_background_is_told_and_the_window_does_not_see_nan(tmp_path, scans, prepare):
    root = tmp_path / "root"
    for number in range(9):
        values = scans.texture(number, shape=(16, 16, 3)).astype(np.float32) + 1
        values[0, : number % 3, 0] = np.nan
        scans.volume(root / f"{number}.nii.gz", values)
    rules = {"include": ("*",), "table": None, "label": LabelSpec(source="none")}
    cohort = prepare(scans.bids_spec(**rules, not_a_number="background"), root)
    told = "6 of 9 volumes have voxels that are not a number, 9 in all and up to 2 in one"
    assert any(told in note for note in cohort.notes)
    assert cohort.policy["not_a_number"] == "background"
    assert np.isfinite([cohort.policy["low"], cohort.policy["high"]]).all()
    refusing = scans.bids_spec(**rules)
    with pytest.raises(UserError, match=r"cohort\.not_a_number"):
        prepare(refusing.model_copy(update={"include": ("[1245].nii.gz",)}), root)


def test_truncated_volumes_and_series_are_refused(tmp_path, scans, read):
    scans.volume(tmp_path / "cut.nii.gz", scans.texture(1, shape=(16, 16, 9)).astype(np.float32))
    (tmp_path / "cut.nii.gz").write_bytes((tmp_path / "cut.nii.gz").read_bytes()[:800])
    scans.volume(tmp_path / "cut.nii", scans.texture(1, shape=(16, 16, 9)).astype(np.float32))
    (tmp_path / "cut.nii").write_bytes((tmp_path / "cut.nii").read_bytes()[:800])
    (tmp_path / "empty.nii").write_bytes(b"")
    scans.volume(tmp_path / "series.nii", np.ones((4, 4, 4, 2), np.float32))
    for name, reason in (("cut.nii.gz", "truncated"), ("cut.nii", "truncated"), ("empty.nii", "truncated"),
                         ("series.nii", "series of volumes")):  # fmt: skip
        with pytest.raises(Unreadable, match=reason):
            read(name)


def test_colours_are_slices_of_colours_and_neither_resampled_nor_masks(tmp_path, scans, read):
    values = scans.texture(1, shape=(16, 16, 4, 3), top=256).astype(np.uint8)
    scans.volume(tmp_path / "a.nii.gz", values.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0])
    pixels = read("a.nii.gz", channels=3).pixels
    assert np.array_equal(pixels, values.transpose(2, 3, 1, 0)[:, :, ::-1, ::-1])
    assert read("a.nii.gz").pixels.shape == (4, 1, 16, 16)
    for changes in ({"volume": VolumeSpec(spacing_mm=2.0)}, {"dimensions": 3}):
        with pytest.raises(Unreadable, match="colours are"):
            read("a.nii.gz", **changes)
    with pytest.raises(Unreadable, match="it holds colours"):
        read("a.nii.gz", mask="a.nii.gz")
    scans.volume(tmp_path / "m.nii.gz", (values[..., 0] > 100).astype(np.uint8))
    marked = [plane.mask_pixels for plane in read("a.nii.gz", mask="m.nii.gz", channels=3).planes]
    assert marked == (values[..., 0] > 100).sum((0, 1)).tolist()


def test_scans_of_several_kinds_are_told(tmp_path, scans):
    names = [f"sub-{n}/anat/sub-{n}_{kind}.nii.gz" for n in range(3) for kind in ("T1w", "run-1_T2w", "run-2_T2w")]
    names.append("sub-2/anat/sub-2_DoeJane.nii.gz")
    sources = [describe(tmp_path, name, scans.bids_spec(label=LabelSpec(source="none")))[0] for name in names]
    assert nifti.told(sources) == [
        "The volumes are of several kinds by their names: T2w (6), T1w (3), others (1). "
        "cohort.include=[*_T2w.nii.gz] reads one."
    ]
    assert nifti.told(sources[1:3]) == []
    assert nifti.told([replace(source, path=f"{n}.nii") for n, source in enumerate(sources)]) == []


def test_masks_among_the_scans_are_told(tmp_path, scans, prepare):
    for number in range(10):
        values = scans.texture(number, shape=(16, 18, 4)).astype(np.float32)
        scans.volume(tmp_path / "root" / f"p{number}_t1.nii.gz", values)
        scans.volume(tmp_path / "root" / f"p{number}_seg.nii.gz", (values > values.mean()).astype(np.uint8))
    spec = scans.bids_spec(include=("*",), table=None, label=LabelSpec(source="none"))
    notes = prepare(spec, tmp_path / "root").notes
    assert any(note.startswith("10 of 20 files have hardly any different values. If they are") for note in notes)


def test_a_single_slice_has_no_position(tmp_path, scans, read):
    scans.volume(tmp_path / "a.nii", scans.texture(1, shape=(16, 16)).astype(np.float32))
    scans.volume(tmp_path / "b.nii", scans.texture(1, shape=(16, 16, 1, 1)).astype(np.float32))
    assert [plane.slice_position for name in ("a.nii", "b.nii") for plane in read(name).planes] == [None, None]
    assert np.array_equal(read("a.nii").pixels, read("b.nii").pixels)


def series(root, scans, patients=8):
    """Volumes of two sessions with what BIDS writes about them."""
    for number in range(patients):
        name = f"sub-{number:02d}"
        lines = ["session_id\tage\tacq_time"]
        for session, day in (("ses-1", "2001-01-01"), ("ses-2", "2001-03-02")):
            path = root / name / session / "anat" / f"{name}_{session}_T1w.nii.gz"
            scans.volume(path, scans.texture(number, len(session), shape=(12, 12, 3)).astype(np.float32) + 1)
            lines.append(f"{session}\t{30 + number}\t{day}T10:00:00")
        (root / name / f"{name}_sessions.tsv").write_text("\n".join(lines))
    (root / "T1w.json").write_text(json.dumps({"Manufacturer": "GE", "InstitutionName": "North"}))


def test_a_bids_set_with_sessions(tmp_path, scans, prepare):
    series(tmp_path / "bids", scans)
    table = TableSpec(path="participants.tsv", join_on="patient", patient="participant_id", label="diagnosis")
    cohort = prepare(scans.bids_spec(label=LabelSpec(source="table"), table=table), tmp_path / "bids")
    assert len(cohort.images) == 48
    assert {record.date_shift_days for record in cohort.records} == {0, 60}
    assert {record.age for record in cohort.records} == {30.0 + number for number in range(8)}
    assert {(record.site, record.device) for record in cohort.records} == {("North", "GE")}
    assert len({record.study_id for record in cohort.records}) == 16
    assert {row.path for row in cohort.quarantined} == set()
    assert any("There is no participants.tsv" in note for note in cohort.notes)


def test_the_age_at_a_session_goes_before_that_of_the_table_of_patients(tmp_path, scans, prepare):
    root = tmp_path / "bids"
    series(root, scans)
    sessions = root / "sub-00" / "sub-00_sessions.tsv"
    sessions.write_text(sessions.read_text().replace("ses-2\t30", "ses-2\tn/a").replace("ses-1\t30", "ses-1\t33"))
    rows = [f"sub-{number:02d}\t25" for number in range(8)]
    (root / "participants.tsv").write_text("\n".join(["participant_id\tage", *rows]))
    table = TableSpec(path="participants.tsv", join_on="patient", patient="participant_id", age="age")
    cohort = prepare(scans.bids_spec(label=LabelSpec(source="none"), table=table), root)
    ages = [record.age for record in cohort.records]
    assert (ages.count(25.0), ages.count(33.0), ages.count(31.0)) == (3, 3 + 6, 6)  # n/a, two patients, one


@pytest.fixture
def decathlon(tmp_path, scans):
    """Ten cases in the layout of the Medical Segmentation Decathlon, of two modalities each."""
    root = tmp_path / "Task99_Thing"
    for number in range(10):
        values = scans.texture(number, shape=(16, 18, 6, 2)).astype(np.float32) + 1
        mask = np.zeros((16, 18, 6), np.uint8)
        mask[4:9, 4:9, 2:4] = 1 + number % 2
        scans.volume(root / "imagesTr" / f"thing_{number:03d}.nii.gz", values)
        scans.volume(root / "labelsTr" / f"thing_{number:03d}.nii.gz", mask)
    facts = {"name": "Thing", "modality": {"0": "FLAIR", "1": "T1w"}, "labels": {"0": "background", "1": "a", "2": "b"}}
    (root / "dataset.json").write_text(json.dumps(facts))
    return root


def test_the_layout_of_the_decathlon(decathlon, scans, prepare):
    label = LabelSpec(source="mask", name="thing")
    spec = scans.bids_spec(include=("*.nii.gz",), table=None, label=label, volume=VolumeSpec(index=1))
    cohort = prepare(spec, decathlon)
    assert len(cohort.images) == 60
    assert cohort.images.labels.sum() == 20
    assert {record.view for record in cohort.records} == {"T1w"}
    assert len({record.patient_id for record in cohort.records}) == 10
    assert not any("no patient id" in note for note in cohort.notes)
    unchosen = scans.bids_spec(include=("*.nii.gz",), table=None, label=label)
    with pytest.raises(UserError, match=r"cohort\.volume\.index"):
        prepare(unchosen, decathlon)


def test_volumes_around_their_masks_are_stored_whole_in_16_bits(decathlon, scans, prepare):
    rules = VolumeSpec(index="mean", shape=(8, 12, 10), centre="mask")
    spec = scans.bids_spec(include=("*.nii.gz",), table=None, label=LabelSpec(source="none"), dimensions=3, bits=16,
                           volume=rules)  # fmt: skip
    cohort = prepare(spec, decathlon)
    assert cohort.images.pixels.shape == (10, 1, 8, 12, 10)
    assert cohort.images.pixels.dtype == np.uint16
    assert len(np.unique(cohort.images.pixels)) > 256
    policy = cohort.policy
    assert (policy["dimensions"], policy["shape"], policy["centre"]) == (3, [8, 12, 10], "mask")
    train = cohort.split("generator-train").pixels
    assert (train == 65535).any()  # the percentiles are those of generator-train


def test_a_pair_of_files_is_one_scan(tmp_path, scans):
    nib.save(nib.Nifti1Pair(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / "a.hdr")
    spec = scans.bids_spec(label=LabelSpec(source="none"))
    assert describe(tmp_path, "a.hdr", spec)[1] == ("a.img",)
    (tmp_path / "a.img").unlink()
    with pytest.raises(Unreadable, match="not beside the header"):
        describe(tmp_path, "a.hdr", spec)


def test_analyze_pairs_are_read_and_halves_of_them_go_to_the_quarantine(tmp_path, scans, prepare):
    root = tmp_path / "root"
    root.mkdir()
    for number in range(10):
        nib.save(
            nib.AnalyzeImage(scans.texture(number, shape=(16, 16, 3)).astype(np.int16), np.eye(4)),
            root / f"{number}.img",
        )
    (root / "8.hdr").unlink()
    (root / "9.img").unlink()
    rules = {"include": ("*.hdr",), "table": None, "label": LabelSpec(source="none")}
    cohort = prepare(scans.bids_spec(**rules), root)
    assert len(cohort.images) == 24
    assert {record.orientation for record in cohort.records} == {None}
    assert any("8 of 8 volumes do not say how they lie" in note for note in cohort.notes)
    assert sorted((row.found, row.reason) for row in cohort.quarantined) == [
        ("no header", "the header (.hdr) is not beside the file with the voxels"),
        ("no image file", "the file with the voxels is not beside the header"),
    ]


def test_a_mask_in_another_order_is_counted_where_it_lies(tmp_path, scans, read):
    mask = np.zeros((16, 16, 3), np.uint8)
    mask[3:5, 3, 1] = 1
    scans.volume(tmp_path / "a.nii", scans.texture(1, shape=(16, 16, 3)).astype(np.float32))
    flipped = np.diag([-1.0, 1, -1, 1])
    flipped[:3, 3] = [15, 0, 2]
    scans.volume(tmp_path / "m.nii", mask[::-1, :, ::-1], flipped)
    assert [plane.mask_pixels for plane in read("a.nii", "m.nii").planes] == [0, 2, 0]
