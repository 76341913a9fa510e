"""Made-up external sets: the files that tests of their reading share."""

from pathlib import Path

import h5py
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from synthassay.generators.external.sets import load_external
from synthassay.generators.external.specs import ExternalSpec
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

POLICY = {"mode": "fixed", "low": 100.0, "high": 300.0, "percentiles": None, "fit": "crop"}
TABLE = ExternalSpec(table="labels.csv")


def like(channels=1, size=8, dtype=np.uint8):
    ids = np.array(["a", "b"])
    return ImageSet(
        name="real", origin="real", pixels=np.zeros((2, channels, size, size), dtype), ids=ids, patients=ids,
        labels=np.array([0, 1]), label_names=("no finding", "lesion"),
    )  # fmt: skip


def picture(seed=0, size=(8, 8), dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, size).astype(dtype)


def write_pictures(root: Path, n=3, suffix="png"):
    for i in range(n):
        Image.fromarray(picture(i)).save(root / f"im{i}.{suffix}")


def write_hdf5(path: Path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip")


def write_dicom(path: Path, pixels, photometric="MONOCHROME2", slope=2.0, intercept=-50.0, bits=16):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * pixels.itemsize, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def load(root, spec=None, shape=None, policy=POLICY, workers=1):
    return load_external(spec or ExternalSpec(), root, like=shape or like(), policy=policy,
                         resources=Resources(workers=workers), progress=SilentProgress())  # fmt: skip


def windowed(values):
    return np.rint(np.clip((np.asarray(values, np.float64) - 100) / 200, 0, 1) * 255).astype(np.uint8)


def refused(root, **settings):
    images, quarantined = load(root, ExternalSpec(**settings))
    assert len(images) == 1
    (row,) = quarantined
    return row
