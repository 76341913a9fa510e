import pytest

from synthassay.cohorts.dicom_series import places_of, series_table, stacks_of, without_localisers
from synthassay.cohorts.dicom_sources import read_source

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
    shared = [source.__class__(**{**{f: getattr(source, f) for f in source.__slots__}, "series": "1.2"})
              for source in found]  # fmt: skip
    assert [len(stack.paths) for stack in stacks_of(shared)] == [3, 3]


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
