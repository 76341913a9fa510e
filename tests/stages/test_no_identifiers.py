"""What is left of a DICOM cohort whose headers are full of identifiers: none of them, in any file or any name."""

import stat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from synthassay.cli.cohort_tables import cohort_tables
from synthassay.cohorts.specs import DicomSpec, LabelSpec
from synthassay.records import SilentProgress
from synthassay.reports.data import ReportData
from synthassay.reports.html import write_report
from synthassay.specs import Resources
from synthassay.stages.exhibits import cohort_summary
from synthassay.stages.prepare import prepare
from synthassay.store.store import Store

PATIENTS = 14
SECRETS = {
    "PatientName": "Quixotic{n}^Zebediah", "PatientID": "MRN-77493{n:02}", "PatientBirthDate": "194709{n:02}",
    "OtherPatientIDs": "OLD-5512{n:02}", "PatientAddress": "{n} Hawthorn Crescent",
    "AccessionNumber": "ACC-55501{n:02}", "ReferringPhysicianName": "Grimsditch^Aurelia",
    "OperatorsName": "Pemberton^Ottoline",
    "StudyDate": "201901{n:02}", "AcquisitionDate": "201902{n:02}", "StudyTime": "1122{n:02}.731",
    "DeviceSerialNumber": "SN-90210", "StationName": "GANTRY7QX", "StudyID": "STUDY-4471",
    "ImageComments": "seen by Aurelia", "ProtocolName": "PROTO-Zebediah", "InstitutionAddress": "Larkspur Lane 5",
}  # fmt: skip


def write_scan(path: Path, n: int) -> set[str]:
    """One file; returns the texts that must be nowhere."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = MRImageStorage
    uids = {name: str(generate_uid(entropy_srcs=[name, str(n)]))
            for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}  # fmt: skip
    values = {name: text.format(n=n + 1) for name, text in SECRETS.items()} | uids
    for name, value in values.items():
        setattr(data, name, value)
    data.PatientSex, data.PatientAge, data.Modality = "F", "045Y", "MR"
    data.InstitutionName, data.Manufacturer = "North Hospital", "SIEMENS"
    nested = Dataset()
    nested.PersonName = "Nestorius^Hidden"
    data.ContentSequence = [nested]
    data.add_new(0x00190010, "LO", "MAKER")
    data.add_new(0x00191001, "LO", f"private Quixotic{n + 1}")
    pixels = np.random.default_rng(n).integers(0, 1000, (20, 20)).astype(np.uint16)
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 20, 20, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return {*values.values(), *path.parts[-2:], "Nestorius", "Quixotic", "Zebediah", "Aurelia"}


@pytest.fixture
def prepared(tmp_path):
    """A store, an ``out`` with report and terminal text, and the texts that must be in neither."""
    secrets = set()
    for n in range(PATIENTS):
        secrets |= write_scan(tmp_path / "scans" / f"Quixotic{n + 1}_Z" / f"scan-{n}-20190{n % 9}.dcm", n)
    (tmp_path / "scans" / "Quixotic1_Z" / "broken.dcm").write_bytes(
        next((tmp_path / "scans" / "Quixotic1_Z").glob("scan*")).read_bytes()[:700]
    )
    spec = DicomSpec(name="scans", root=str(tmp_path / "scans"), size=8, label=LabelSpec(source="none"))
    context = SimpleNamespace(
        spec=SimpleNamespace(cohort=spec, generators=()), store=Store(tmp_path / "store"), keys=tmp_path / "keys",
        resources=Resources(workers=1), progress=SilentProgress(), note=lambda output: output,
    )  # fmt: skip
    cohort, _ = prepare(context)
    summary = cohort_summary(cohort, "patient")
    data = ReportData(title="t", run_id="r", seed=0, cohort=summary, sets=(), results=(), settings=spec.to_key())
    write_report(data, tmp_path / "out")
    (tmp_path / "out" / "terminal.txt").write_text(cohort_tables(cohort))
    return tmp_path, cohort, secrets


def texts_of(path: Path) -> str:
    """The bytes of a file as text; Parquet, which is compressed, is decoded as well."""
    text = path.read_bytes().decode("latin-1")
    return text + pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else text


def test_no_identifier_is_in_any_file_or_name_of_store_and_out(prepared):
    place, cohort, secrets = prepared
    assert len(cohort.images) == PATIENTS
    files = [path for folder in ("store", "out") for path in (place / folder).rglob("*")]
    assert {"records.parquet", "cohort.json", "quarantine.parquet", "report.html"} <= {path.name for path in files}
    found = [(path.name, secret) for path in files for secret in secrets if secret in str(path.relative_to(place))]
    found += [(path.name, secret) for path in files if path.is_file() for secret in secrets if secret in texts_of(path)]
    assert found == []


def test_what_the_test_looks_for_is_in_the_sources_and_in_the_private_table(prepared):
    place, _, secrets = prepared
    scans = [path for path in (place / "scans").rglob("*") if path.is_file()]
    texts = "".join(texts_of(path) + str(path) for path in scans)
    assert all(secret in texts for secret in secrets)
    private = next((place / "keys").glob("*.sources.parquet"))
    assert "MRN-7749301" in texts_of(private)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (place / "keys").iterdir()}
    assert modes == {0o600}
    assert not (place / "store").resolve().is_relative_to((place / "keys").resolve())


def test_the_check_names_what_the_headers_carry(prepared):
    _, cohort, _ = prepared
    table = next(table for table in cohort.tables if table.title == "What the source files carry, by attribute")
    rows = {row[0].partition(" (")[0]: row for row in table.rows}
    for name in ("PatientName", "PatientBirthDate", "PatientAddress", "OperatorsName", "PersonName", "StudyDate"):
        assert int(rows[name][3]) >= PATIENTS, name  # of the broken file as well, as far as it can be read
    own = "the patient's own name, id or birth date"
    assert {f"ProtocolName: {own}", f"private attributes: {own}", "a patient's name or id"} <= rows.keys()
