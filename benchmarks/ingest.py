"""Times reading beside pydicom and nibabel in one run: ``python benchmarks/ingest.py [--files N] [FOLDER] > FILE.md``.

Theirs is one process, as in a script; ours is the pool that a cohort is read with, whose server has started. Both give
the same values, which is asserted first. Rounds are in turn; a ratio is the median over the rounds, a rate that of the
fastest. By processor time: one process's over that of each of ours, which is what free cores give; by the clock, a busy
machine may give a group of processes no more than one.
The files are made here: 512 × 512 images of 12 bits and volumes of 256 × 256 × 128 as noisy as scans are. FOLDER: real
DICOM files to read too. JPEG Lossless needs python-gdcm, which the ``dev`` extra holds.
"""

import argparse
import gzip
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_rescale
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

from synthassay.cohorts.reading import read_headers, read_pixels
from synthassay.cohorts.specs import DicomSpec, LabelSpec
from synthassay.records import SilentProgress
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import open_file, read_volume
from synthassay.scans.pool import Pool
from synthassay.specs import Resources

nib: Any = nibabel  # its stubs are partial
Array = NDArray[Any]
Task = Callable[[], object]
LIMITS = LimitSpec()
SPEC = DicomSpec(name="ingest", size=64, label=LabelSpec(source="none"))
SYNTAXES = {"raw": None, "RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless,
            "JPEG Lossless": "gdcm"}  # fmt: skip
TAGS = ["PatientID", "SeriesInstanceUID", "Modality", "Rows", "Columns"]
SIDES = "| pydicom, images/s | ours, images/s | ours over pydicom, by the clock | by processor time |"
WORKERS = 2
options = argparse.Namespace(rounds=5)


# --- files ----------------------------------------------------------------------------------------------------------


def scan(shape: tuple[int, ...], seed: int) -> Array:
    """Smooth shapes of 12 bits with the noise of a scanner, on a dark background, uint16."""
    random = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    radius = sum(axis**2 for axis in grid)
    signal = np.where(radius < 0.8, 900 + 500 * np.sin(7 * grid[0]) * np.cos(5 * grid[1]), 0)
    return np.asarray((signal + random.normal(0, 12, shape)).clip(0, 4095), np.uint16)


def write_dicom(path: Path, pixels: Array, syntax: str | None) -> None:
    """One file in a transfer syntax of :data:`SYNTAXES`."""
    dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.RescaleSlope, dataset.RescaleIntercept = 2, -1024
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    if syntax not in (None, "gdcm"):
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path)
    if syntax == "gdcm":
        compress_lossless(path)


def compress_lossless(path: Path) -> None:
    """JPEG Lossless, first-order prediction, by gdcm in place; the header stays, which gdcm would rewrite."""
    import gdcm

    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    dataset = pydicom.dcmread(path)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()
    packed = pydicom.dcmread(path)
    dataset.PixelData = packed.PixelData
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
    dataset.save_as(path)


def dicom_files(folder: Path, name: str, count: int) -> list[Path]:
    """``count`` different images in one syntax."""
    (folder / name).mkdir()
    paths = [folder / name / f"{number:04d}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        write_dicom(path, scan((512, 512), number), SYNTAXES[name])
    return paths


def volume_files(folder: Path, count: int) -> list[Path]:
    """``.nii.gz`` of signed 16 bits at gzip's usual level, 6."""
    paths = [folder / f"{number}.nii.gz" for number in range(count)]
    for number, path in enumerate(paths):
        image = nib.Nifti1Image(scan((256, 256, 128), number).astype(np.int16), np.diag([1.0, 1, 1.2, 1]))
        path.write_bytes(gzip.compress(image.to_bytes(), 6, mtime=0))
    return paths


# --- theirs and ours ------------------------------------------------------------------------------------------------


def by_pydicom(path: Path) -> Array:
    """Rescaled values, float32."""
    dataset = pydicom.dcmread(path)
    return np.asarray(apply_rescale(dataset.pixel_array, dataset), np.float32)


def by_us(path: Path) -> Array:
    """The same, as a cohort reads them."""
    planes = read_planes(path.read_bytes(), LIMITS)
    values = [plane.values for plane in planes]
    return values[0] if len(values) == 1 else np.stack(values)


def volume_by_nibabel(path: Path) -> Array:
    """Scaled values, float32."""
    return np.asarray(nib.load(path).get_fdata(dtype=np.float32, caching="unchanged"))


def volume_by_us(path: Path) -> Array:
    """The same, as a cohort reads them."""
    return read_volume(open_file(path, LIMITS), LIMITS).values


def script(paths: Sequence[Path]) -> Array:
    """What a script would do in place of ``prepare``: read, resize to 64 × 64, stack."""
    images = [Image.fromarray(by_pydicom(path)).resize((64, 64), Image.Resampling.BILINEAR) for path in paths]
    return np.stack([np.asarray(image) for image in images])


@dataclass(frozen=True, slots=True)
class Through:
    """Reads a file in a worker and leaves the values there, where a cohort resizes them."""

    read: Callable[[Path], Array]

    def __call__(self, path: Path) -> float:
        """Processor time of the worker, in seconds."""
        start = time.process_time()
        self.read(path)
        return time.process_time() - start


def pooled(read: Callable[[Path], Array], paths: Sequence[Path]) -> Task:
    """All files in :data:`WORKERS` processes; gives the processor time of a worker and of this process."""

    def task() -> float:
        start = time.process_time()
        spent = [float(answer) for _, answer in Pool(Through(read), WORKERS, LIMITS).answers(paths)]  # type: ignore
        return sum(spent) / WORKERS + time.process_time() - start

    return task


def in_turn(read: Callable[[Path], Array], paths: Sequence[Path]) -> Task:
    """All files in this process; gives its processor time."""

    def task() -> float:
        start = time.process_time()
        for path in paths:
            read(path)
        return time.process_time() - start

    return task


def prepared(folder: Path, paths: Sequence[Path]) -> Array:
    """Headers and pixels as ``prepare`` reads them: 64 × 64 images ``[n, 64, 64]``, in the order of the paths."""
    from synthassay.cohorts.journal import PixelMaps

    names = [path.name for path in paths]
    resources, silent = Resources(workers=WORKERS), SilentProgress()
    sources, *_ = read_headers(paths[0].parent, names, SPEC, resources, silent)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        images, _ = read_pixels(paths[0].parent, sources, SPEC, Path(work), resources, silent)
        return np.concatenate([block for _, block in PixelMaps(Path(work), (1, 64, 64)).blocks(images)])[:, 0]


# --- measuring ------------------------------------------------------------------------------------------------------


def measured(tasks: dict[str, Task]) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of each task in each round, in turn: by the clock, and what it returns, of the processors."""
    clock: list[list[float]] = [[] for _ in tasks]
    processors: list[list[float]] = [[] for _ in tasks]
    for _ in range(options.rounds):
        for place, task in enumerate(tasks.values()):
            start = time.perf_counter()
            answer = task()
            clock[place].append(time.perf_counter() - start)
            processors[place].append(answer if isinstance(answer, float) else float("nan"))
    return clock, processors


def ratios(spent: list[list[float]]) -> list[str]:
    """Cells: the median over the rounds of the first task's time over each other's."""
    peer, *others = spent
    return [f"**{median(a / b for a, b in zip(peer, times, strict=True)):.2f}**" for times in others]


def compared(count: int, tasks: dict[str, Task], by_processor: bool = True) -> str:
    """Cells: the fastest rate of each task; the ratios by the clock, then by processor time."""
    clock, processors = measured(tasks)
    rates = [f"{count / min(times):,.1f}" for times in clock]
    return " | ".join([*rates, *ratios(clock), *(ratios(processors) if by_processor else [])])


def compressed(folder: Path, count: int) -> list[str]:
    """Decoding in each syntax."""
    lines = []
    for name in SYNTAXES:
        paths = dicom_files(folder, name, count if name == "JPEG 2000" else 6 * count)
        for path in paths[:8]:
            assert np.array_equal(by_us(path), by_pydicom(path)), name
        tasks = {"pydicom": in_turn(by_pydicom, paths), "ours": pooled(by_us, paths)}
        lines.append(f"| {name} | {compared(len(paths), tasks)} |")
    return lines


def whole(folder: Path, name: str) -> str:
    """From files to stored 64 × 64 images."""
    paths = sorted((folder / name).iterdir())
    assert np.array_equal(prepared(folder, paths), script(paths))
    tasks: dict[str, Task] = {"script": lambda: script(paths), "ours": lambda: prepared(folder, paths)}
    return f"| {name} | {compared(len(paths), tasks, by_processor=False)} |"


def volumes(folder: Path, count: int) -> str:
    """``.nii.gz``: nibabel, one process of ours, the pool."""
    paths = volume_files(folder, count)
    assert np.array_equal(volume_by_us(paths[0]), volume_by_nibabel(paths[0]))
    tasks = {"nibabel": in_turn(volume_by_nibabel, paths), "one process": in_turn(volume_by_us, paths),
             "pool": pooled(volume_by_us, paths)}  # fmt: skip
    return f"| {compared(count, tasks)} |"


def headers(folder: Path, repeats: int) -> str:
    """Five attributes by pydicom; by us every fact of a cohort, from each file once more for every repeat."""
    paths = sorted((folder / "raw").iterdir()) * repeats
    names = [path.name for path in paths]
    tasks: dict[str, Task] = {
        "pydicom": lambda: [pydicom.dcmread(p, stop_before_pixels=True, specific_tags=TAGS) for p in paths],
        "ours": lambda: read_headers(folder / "raw", names, SPEC, Resources(workers=WORKERS), SilentProgress()),
    }  # fmt: skip
    return f"| {compared(len(paths), tasks, by_processor=False)} |"


def spent_on(work: Callable[[int], object], steps: int) -> Task:
    """``work`` of every step in this process; gives its processor time."""

    def task() -> float:
        start = time.process_time()
        for step in range(steps):
            work(step)
        return time.process_time() - start

    return task


def loader(folder: Path, size: int, count: int) -> str:
    """Random batches of 64 from the store's memory map, and from the training loader."""
    import torch  # not in the workers, which import this file

    from synthassay.generators.training.data import TrainingData
    from synthassay.generators.training.scaling import Standardiser

    torch.set_num_threads(1)
    path = folder / f"{size}.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (count, 1, size, size), dtype=np.uint8))
    stored = np.load(path, mmap_mode="r")
    classes, cpu = torch.zeros(count, dtype=torch.int64), torch.device("cpu")
    data = TrainingData(torch.from_numpy(np.array(stored)), classes, 255, Standardiser((0.4,), (0.3,)), 0, cpu)
    steps = count // 64
    assert np.array_equal(data.stored(1, 64)[0].numpy(), stored[data.rows(1, 64)])
    rows = [data.rows(step, 64) for step in range(steps)]
    tasks = {
        "map": spent_on(lambda step: stored[rows[step]], steps),
        "stored": spent_on(lambda step: data.stored(step, 64), steps),
        "standardised": spent_on(lambda step: data.batch(step, 64), steps),
    }
    _, processor = measured(tasks)
    rates = [f"{64 * steps / min(times):,.0f}" for times in processor]
    shares = ratios(processor)
    return f"| {size} × {size} | {' | '.join([*rates, *shares])} |"


def real_files(folder: Path) -> str:
    """The DICOM files under a folder that both can read."""
    paths = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            same = np.array_equal(by_us(path), by_pydicom(path))
        except Exception:
            same = False  # colour, mosaics and other values that pydicom leaves as they are written
        if same:
            paths.append(path)
    tasks = {"pydicom": in_turn(by_pydicom, paths), "ours": pooled(by_us, paths)}
    return f"| {len(paths)} files | {compared(len(paths), tasks)} |"


# --- the report -----------------------------------------------------------------------------------------------------


def table(title: str, head: str, lines: list[str]) -> None:
    """Print one Markdown table."""
    print(f"\n## {title}\n\n{head}\n|{' --- |' * (head.count('|') - 1)}", *lines, sep="\n", flush=True)


def introduce() -> None:
    """What was run, on what."""
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ", ".join(f"{name} {version(name)}" for name in ("pydicom", "pylibjpeg-openjpeg", "pyjpegls",
                         "python-gdcm", "nibabel", "isal", "numpy", "torch"))  # fmt: skip
    print(f"# Reading beside pydicom and nibabel\n\n`{' '.join(['python', *map(os.path.basename, sys.argv)])}` at "
          f"revision {revision.stdout.strip()}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
          f"load {os.getloadavg()[0]:.1f} at the start, Python {platform.python_version()}, {packages}.\n"
          f"{WORKERS} processes of ours; {options.rounds} rounds.")  # fmt: skip


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="real DICOM files to read too")
    parser.add_argument("--files", type=int, default=40, help="in JPEG 2000; six times as many in the other syntaxes")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.parse_args(namespace=options)
    count = options.files
    introduce()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pooled(by_us, dicom_files(folder, "raw", 1))()  # the server of the workers starts
        (folder / "raw" / "0000.dcm").unlink()
        (folder / "raw").rmdir()
        table("Decoding, 512 × 512 images of 12 bits",
              f"| Syntax {SIDES}", compressed(folder, count))  # fmt: skip
        table("Files to stored 64 × 64 images, with headers, digests and journal",
              "| Syntax | a script with pydicom, images/s | ours, images/s | ours over the script |",
              [whole(folder, name) for name in SYNTAXES])  # fmt: skip
        table("Compressed volumes (.nii.gz), 256 × 256 × 128 of 16 bits",
              "| nibabel, volumes/s | ours, one process | ours, pool | one process over nibabel, by the clock "
              "| pool | one process, by processor time | pool |",
              [volumes(folder, max(2, count // 8))])  # fmt: skip
        table("Headers only", "| pydicom, 5 attributes, files/s | ours, all facts, files/s | ours over pydicom |",
              [headers(folder, 4)])  # fmt: skip
        table("Random batches of 64 images of 8 bits, by processor time",
              "| Size | memory map, images/s | loader as stored | loader standardised (float32) | stored over map "
              "| standardised over map |",
              [loader(folder, size, 6_400) for size in (64, 128)])  # fmt: skip
    if options.folder:
        table(
            "Real files", "| | pydicom, images/s | ours, images/s | ours over pydicom |", [real_files(options.folder)]
        )


if __name__ == "__main__":
    import ingest  # so that the workers find its readers by name

    ingest.main()
