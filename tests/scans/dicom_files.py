"""Small DICOM files that tests write themselves."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def uid(*parts: object) -> str:
    """An instance UID that depends on ``parts`` only."""
    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))


def save_dicom(path: Path, pixels: np.ndarray, **tags: Any) -> Dataset:
    """One DICOM file of ``pixels``: ``[h, w]``, or ``[h, w, 3]`` uint8 for colour. ``tags`` override the header."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MRImageStorage
    data.preamble = b"\0" * 128
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid("sop", path)
    data.PatientID, data.PatientName, data.Modality = "PID-0001", "Planted^Name", "MR"
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study", "x"), uid("series", "x")
    data.Manufacturer, data.ManufacturerModelName, data.InstitutionName = "SIEMENS", "Skyra", "North Hospital"
    data.StudyDate, data.PatientAge, data.PatientSex, data.ViewPosition = "20200110", "045Y", "F", "PA"
    colour = pixels.ndim == 3
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return data


def texture(*seed: int, shape: tuple[int, ...] = (20, 20), top: int = 1000) -> np.ndarray:
    """Random uint16 values that depend on ``seed`` only."""
    return np.random.default_rng(seed).integers(0, top, shape).astype(np.uint16)
