import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthassay.cohorts.dicom_series import (
    outcome,
    places_of,
    series_table,
    stacks_of,
    told,
    told_of_files,
    volumes_of,
    without_localisers,
    write_series,
)
from synthassay.cohorts.dicom_sources import read_source
from synthassay.cohorts.specs import LabelSpec, SliceSpec, WindowSpec
from synthassay.cohorts.survey import survey
from synthassay.records import SilentProgress
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import VolumeSpec
from synthassay.specs import Resources

AXIAL = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.5, 0.8]}


@pytest.fixture
def sources(tmp_path, scans):
    """``sources(name, places, **tags)`` writes a file for each place along z and gives their sources."""

    def write(name, places, patient="P1", **tags):
        found = []
        for number, z in enumerate(places):
            path = f"{name}-{number}.dcm"
            scans.dicom(tmp_path / path, scans.texture(number), **{
                "SeriesInstanceUID": scans.uid(name), "PatientID": patient, "InstanceNumber": number,
                "ImagePositionPatient": [0, 0, z], **AXIAL, **tags,
            })  # fmt: skip
            found.append(read_source(tmp_path, path, scans.dicom_spec()))
        return found

    return write


def test_slices_are_placed_along_the_slice_normal_not_along_z(sources):
    tilted = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}  # sagittal: the normal is -x
    found = [sources(f"{x}", (0,), ImagePositionPatient=[x, 0, z], SeriesInstanceUID="1.2", **tilted)[0]
             for z, x in enumerate((10.0, 30.0, 20.0))]  # fmt: skip
    placed = places_of(stacks_of(found))
    assert placed == {("10.0-0.dcm", 0): (2, 1.0), ("30.0-0.dcm", 0): (0, 0.0), ("20.0-0.dcm", 0): (1, 0.5)}


def test_repeats_of_a_place_share_its_index_and_a_single_slice_has_none(sources):
    placed = places_of(stacks_of(sources("a", (0, 5, 0, 5))))
    assert [placed[f"a-{i}.dcm", 0] for i in range(4)] == [(0, 0.0), (1, 1.0), (0, 0.0), (1, 1.0)]
    assert places_of(stacks_of(sources("b", (0,)))) == {}
    assert places_of(stacks_of(sources("c", (0, 2), ImagePositionPatient=None))) == {}


def test_one_series_uid_under_two_patients_is_two_series(sources):
    found = [*sources("a", (0, 2, 4), "P1"), *sources("b", (0, 2, 4), "P2")]
    shared = [replace(source, series="1.2") for source in found]
    assert [len(stack.stack.paths) for stack in stacks_of(shared)] == [3, 3]


def test_localisers_are_refused_with_a_reason(sources):
    kind = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    plans = [*sources("plan", (0, 2), ImageType=kind)]
    kept, refused = without_localisers([*plans, *sources("a", (0, 2, 4))])
    assert [source.path for source in kept] == ["a-0.dcm", "a-1.dcm", "a-2.dcm"]
    assert [(row.path, row.found) for row in refused] == [("plan-0.dcm", "LOCALIZER"), ("plan-1.dcm", "LOCALIZER")]


def test_the_table_counts_series_by_what_they_are(sources):
    stacks = stacks_of([
        *sources("a", (0, 2, 4), "P1"), *sources("b", (0, 2, 4, 6, 8), "P2"), *sources("c", (0, 2, 4, 9, 11), "P2"),
        *sources("d", (0, 2, 0, 2), "P3", Modality="CT", Manufacturer="GE MEDICAL SYSTEMS"),
    ])  # fmt: skip
    table = series_table(stacks)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["Modality"], row["Device"], row["What it is"]) for row in rows] == [
        ("CT", "GE Skyra", "volume"), ("MR", "Siemens Skyra", "no volume: it has gaps"),
        ("MR", "Siemens Skyra", "volume"),
    ]  # fmt: skip
    assert [(row["Series"], row["Stacks"], row["Slices"], row["Put apart by"]) for row in rows] == [
        ("1", "2", "2", "repeat"), ("1", "1", "5", ""), ("2", "2", "3 to 5", "")
    ]  # fmt: skip
    assert rows[2]["Rows × columns"] == "20 × 20"
    assert rows[2]["Spacing in mm"] == "0.5 × 0.8 × 2"
    assert rows[1]["Spacing in mm"] == "0.5 × 0.8"
    assert table.patients == (1, 1, 2)


def test_volumes_take_the_place_of_their_files_and_the_rest_is_refused(sources):
    plans = sources("plan", (0, 2), ImageType="LOCALIZER")
    stacks = stacks_of([*sources("a", (4, 0, 2, 0, 4, 2)), *sources("gaps", (0, 2, 4, 9)), *plans])
    volumes, refused = volumes_of(stacks, None)
    assert [volume.parts for volume in volumes] == [("a-1.dcm", "a-2.dcm", "a-0.dcm"),
                                                    ("a-3.dcm", "a-5.dcm", "a-4.dcm")]  # fmt: skip
    assert [volume.path for volume in volumes] == ["a-1.dcm", "a-3.dcm"]
    reasons = {row.path: row.reason for row in refused}
    assert len(reasons) == 6
    assert reasons["gaps-0.dcm"] == "it has gaps"
    assert "localiser" in reasons["plan-1.dcm"]
    (second,), refused = volumes_of(stacks, 1)
    assert second.path == "a-3.dcm"
    assert {row.path: row.reason for row in refused}["a-0.dcm"] == "left out by cohort.volume.index"


def test_series_are_prepared_as_volumes(tmp_path, scans, prepare):
    root = tmp_path / "scans"
    expected = {}
    for number in range(20):
        frames = [scans.texture(number, z, shape=(12, 10)) for z in range(9)]
        for place in np.random.default_rng(number).permutation(9):
            scans.dicom(
                root / f"{number:02d}" / f"{scans.uid(number, place)}.dcm", frames[place], PatientID=f"P{number}",
                SeriesInstanceUID=scans.uid("series", number), StudyInstanceUID=scans.uid("study", number),
                InstanceNumber=int(place), ImagePositionPatient=[0, 0, 2.5 * place],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[1.5, 1.25],
            )  # fmt: skip
        expected[number] = np.stack(frames)
    spec = scans.dicom_spec(
        dimensions=3,
        table=None,
        label=LabelSpec(source="none"),
        bits=16,
        slices=SliceSpec(min_foreground=0),
        volume=VolumeSpec(shape=(9, 12, 10)),
        window=WindowSpec(mode="fixed", low=0, high=65535),
    )
    cohort = prepare(spec, root)
    assert cohort.images.pixels.shape == (20, 1, 9, 12, 10)
    assert {array.tobytes() for array in cohort.images.pixels[:, 0]} == {
        array.astype(np.uint16).tobytes() for array in expected.values()
    }
    assert cohort.records[0].spacing_mm == (1.5, 1.25, 2.5)
    assert list(cohort.quarantined) == []
    (table,) = [table for table in cohort.tables if table.title == "Series found"]
    assert [row[table.columns.index("Series")] for row in table.rows] == ["20"]


def test_overlays_and_tilted_gantries_are_told(tmp_path, scans, sources):
    tilted = {"ImageOrientationPatient": [1, 0, 0, 0, 0.9397, 0.342]}
    found = [*sources("head", (0, 5, 10), **tilted), *sources("a", (0, 2, 4))]
    found[-1] = replace(found[-1], overlays=1)  # often one slice only has them
    assert told_of_files(found, scans.dicom_spec()) == ["1 series have overlays, which are not burnt into the pixels."]
    stacks = stacks_of(found)
    assert [round(one.stack.tilt_degrees) for one in stacks] == [20, 0]
    (tilt,) = told(stacks, straightened=False)
    assert tilt.startswith("1 stacks were scanned with a tilted gantry")
    assert told(stacks, straightened=True) == []
    assert [outcome(one.stack) for one in stacks] == ["volume, gantry tilted by 20.0°", "volume"]
    write_series(tmp_path / "x", stacks)
    table = pd.read_parquet(tmp_path / "x.series.parquet")
    assert table.path.tolist() == ["head-0.dcm", "a-0.dcm"]
    assert (tmp_path / "x.series.parquet").stat().st_mode & 0o777 == 0o600


def test_pictures_of_a_screen_and_raw_values_among_scans_are_told_and_left_out_where_asked(tmp_path, scans, sources):
    kinds = {
        "screen": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "raw": {"PresentationIntentType": "FOR PROCESSING"},
        "mpr": {"ImageType": ["DERIVED", "SECONDARY", "MPR"]},
    }  # fmt: skip
    plain, spec = sources("plain", (0, 2)), scans.dicom_spec()
    odd = {name: sources(name, (0,), **tags) for name, tags in kinds.items()}
    assert told_of_files(plain, spec) == told_of_files(odd["raw"], spec) == []
    screens, raw = told_of_files([*plain, *odd["screen"], *odd["raw"], *odd["mpr"]], spec)
    assert screens.startswith("1 of 5 files are secondary captures")
    assert raw.startswith("1 of 5 files are a detector's values for processing")
    assert told_of_files([*plain, *sources("ct", (0,), Modality="CT")], spec) == [
        "The files are of several modalities, whose values mean different things: CT (1), MR (2); "
        "cohort.modalities names those to keep."
    ]
    for name, nature in (("screen", "secondary_capture"), ("raw", "for_processing"), ("mpr", "derived")):
        spec = scans.dicom_spec(without=(nature,))
        assert read_source(tmp_path, "plain-0.dcm", spec).path == "plain-0.dcm"
        with pytest.raises(Unreadable, match=r"left out by cohort\.without"):
            read_source(tmp_path, f"{name}-0.dcm", spec)


@pytest.mark.parametrize(
    ("window", "above", "advised"),
    [({}, None, ("window.name", "foreground_above")), ({"name": "lung"}, None, ("foreground_above",)),
     ({"mode": "header"}, None, ("foreground_above",)), ({}, -500, ("window.name",)), ({"name": "lung"}, -500, ())],
)  # fmt: skip
def test_of_pixels_that_were_not_scanned_only_what_is_not_set_yet_is_advised(scans, sources, window, above, advised):
    padded = sources("padded", (0, 2), Modality="CT", PixelPaddingValue=0)
    spec = scans.dicom_spec(window=WindowSpec(**window), slices=SliceSpec(foreground_above=above))
    notes = told_of_files(padded, spec)
    assert [note.partition(" may")[0] for note in notes] == ["2 files of CT"] * bool(advised)
    assert re.findall(r"cohort\.(?:slices\.)?([a-z_.]+[a-z])", "".join(notes)) == list(advised)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_only_files_that_are_in_the_cohort_are_told_of(tmp_path, scans, sources, dimensions):
    settings = {"dimensions": dimensions, "table": None, "label": LabelSpec(source="none")}
    sources("a", (0, 2, 4))
    sources("plan", (0, 2, 4), Modality="CT", ImageType="LOCALIZER")
    sources("unwanted", (0, 2, 4), Modality="CT", PatientSex="M")

    def told_of(**changes):
        spec = scans.dicom_spec(**settings, **changes)
        found, _ = survey(spec, tmp_path, Resources(workers=1), SilentProgress())
        return [note for note in found.notes if "modalities" in note]

    assert [note.partition(": ")[2] for note in told_of()] == ["CT (3), MR (3); cohort.modalities names those to keep."]
    assert told_of(keep={"sex": ("F",)}) == []
