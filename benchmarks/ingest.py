"""Times reading beside pydicom and nibabel in one run: ``python benchmarks/ingest.py [--files N] [FOLDER] > FILE.md``.

Theirs is one process, as in a script, twice: as it comes, whose decoder may use every core (gdcm's for JPEG 2000 does),
and held to one core. Ours is the pool that a cohort is read with, whose server has started; its workers start within
the time that is measured. Both give the same values, which is asserted first. Rounds are in turn; a ratio is the median
over the rounds, a rate that of the fastest. By processor time: all that theirs took over that of each of our processes,
which is what free cores give; by the clock, a busy machine may give a group of processes no more than one.
The files are made here, as noisy as scans are: CT-like images of 512 × 512 in 16 bits and volumes of 256 × 256 × 128.
FOLDER: real DICOM files to read too.
"""

import argparse
import gzip
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import forkserver, get_context
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import imagecodecs
import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_rescale
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless, generate_uid

from synthassay.cohorts.reading import read_headers, read_pixels
from synthassay.cohorts.specs import DicomSpec, LabelSpec
from synthassay.records import SilentProgress
from synthassay.scans.dicom.header import read_header
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.dicom.slices import SliceFacts
from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import open_file, read_volume
from synthassay.scans.pool import Pool
from synthassay.specs import Resources

nib: Any = nibabel  # its stubs are partial
Array = NDArray[Any]
Task = Callable[[], object]
Scan = tuple[Path, tuple[SliceFacts, ...]]
LIMITS = LimitSpec()
SPEC = DicomSpec(name="ingest", size=64, label=LabelSpec(source="none"))
SYNTAXES = {"raw": None, "RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless,
            "JPEG Lossless": JPEGLosslessSV1}  # fmt: skip
REPEATS = {"raw": 25, "RLE": 50, "JPEG-LS": 8, "JPEG 2000": 4, "JPEG Lossless": 12}  # for about as long in each
TAGS = ["PatientID", "SeriesInstanceUID", "Modality", "Rows", "Columns"]
SIDES = ("images/s | on one core | ours, images/s | ours over {0}, by the clock | over {0} on one core, by the clock "
         "| by processor time |")  # fmt: skip
WORKERS = 2
options = argparse.Namespace(rounds=5)


# --- files ----------------------------------------------------------------------------------------------------------


def scan(shape: tuple[int, ...], seed: int) -> Array:
    """A body of soft tissue with air and bone in it, in Hounsfield units with a scanner's noise, int16."""
    random = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    radius, waves = sum(axis**2 for axis in grid), np.sin(7 * grid[0] + seed) * np.cos(5 * grid[1])
    body = np.select([waves > 0.7, waves < -0.6], [700 + 500 * waves, -850], 40 + 30 * waves)
    values = np.where(radius < 0.6, body, -1000) + random.normal(0, 12, shape)
    return np.asarray(np.where(radius < 1, values, -2000), np.int16)  # outside the field of view there is nothing


def write_dicom(path: Path, pixels: Array, syntax: str | None) -> None:
    """One file in a transfer syntax of :data:`SYNTAXES`."""
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))  # signed, 16 bits, with 200 elements
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    if syntax == JPEGLosslessSV1:  # which pydicom does not write
        dataset.PixelData = encapsulate([imagecodecs.jpeg8_encode(pixels.view(np.uint16), lossless=True, predictor=1)])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax is not None:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path)


def dicom_files(folder: Path, name: str, count: int) -> list[Path]:
    """``count`` different images in one syntax."""
    (folder / name).mkdir()
    paths = [folder / name / f"{number:04d}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        write_dicom(path, scan((512, 512), number), SYNTAXES[name])
    return paths


def scans(paths: Sequence[Path]) -> list[Scan]:
    """Files with what a cohort knows of them by the time it reads their pixels: the slices that their headers name."""
    return [(path, read_header(path, LIMITS).slices) for path in paths]


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


def by_us(scan: Scan) -> Array:
    """The same, as a cohort reads them."""
    path, slices = scan
    planes = read_planes(path.read_bytes(), LIMITS, known=slices)
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

    read: Callable[[Any], Array]

    def __call__(self, item: object) -> float:
        """Processor time of the worker, in seconds."""
        start = time.process_time()
        self.read(item)
        return time.process_time() - start


def pooled(read: Callable[[Any], Array], items: Sequence[object]) -> Task:
    """All files in :data:`WORKERS` processes; gives the processor time of a worker and of this process."""

    def task() -> float:
        start = time.process_time()
        spent = [float(answer) for _, answer in Pool(Through(read), WORKERS, LIMITS).answers(items)]  # type: ignore
        return sum(spent) / WORKERS + time.process_time() - start

    return task


def in_turn(read: Callable[[Path], object], paths: Sequence[Path]) -> Task:
    """All files in this process; gives its processor time, that of its threads included."""
    return spent_on(lambda number: read(paths[number]), len(paths))


@contextmanager
def one_core() -> Iterator[None]:
    """Holds this process, and the threads that a decoder starts, to one of its cores."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def beside(peer: Task, ours: Task) -> dict[str, Task]:
    """What a table compares: the peer as it comes, the peer on one core, ours."""

    def held() -> object:
        with one_core():
            return peer()

    return {"peer": peer, "on one core": held, "ours": ours}


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
    return " | ".join([*rates(count, clock), *ratios(clock), *(ratios(processors) if by_processor else [])])


def over_peers(count: int, tasks: dict[str, Task]) -> str:
    """Cells for tasks of :func:`beside`: rates, ours over the peer and over the peer on one core, processor time."""
    clock, processors = measured(tasks)
    free, held, ours = clock
    return " | ".join([*rates(count, clock), *ratios([free, ours]), *ratios([held, ours]),
                       *(ratios([processors[1], processors[2]]))])  # fmt: skip


def rates(count: int, clock: list[list[float]]) -> list[str]:
    """Cells: how many each task does in a second in its fastest round."""
    return [f"{count / min(times):,.1f}" for times in clock]


def compressed(folder: Path, count: int) -> list[str]:
    """Decoding in each syntax."""
    lines = []
    for name in SYNTAXES:
        paths = dicom_files(folder, name, count)
        for one in scans(paths):
            assert np.array_equal(by_us(one), by_pydicom(one[0])), name
        paths *= REPEATS[name]
        tasks = beside(in_turn(by_pydicom, paths), pooled(by_us, scans(paths)))
        lines.append(f"| {name} | {over_peers(len(paths), tasks)} |")
    return lines


def whole(folder: Path, name: str) -> str:
    """From files to stored 64 × 64 images."""
    paths = sorted((folder / name).iterdir()) * REPEATS[name]
    assert np.array_equal(prepared(folder, paths), script(paths))
    tasks = beside(lambda: script(paths), lambda: prepared(folder, paths))
    return f"| {name} | {over_peers(len(paths), tasks).rpartition(' | ')[0]} |"


def volumes(folder: Path, count: int) -> str:
    """``.nii.gz``: nibabel, one process of ours, the pool."""
    paths = volume_files(folder, count) * 3
    assert np.array_equal(volume_by_us(paths[0]), volume_by_nibabel(paths[0]))
    tasks = {"nibabel": in_turn(volume_by_nibabel, paths), "one process": in_turn(volume_by_us, paths),
             "pool": pooled(volume_by_us, paths)}  # fmt: skip
    return f"| {compared(len(paths), tasks)} |"


def headers(folder: Path) -> str:
    """Five attributes by pydicom; by us every fact of a cohort, and what the header carries about people."""
    paths = sorted((folder / "raw").iterdir()) * REPEATS["raw"]
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

    from synthassay.generators.conditioning.condition import Vocabulary
    from synthassay.generators.training.data import TrainingData
    from synthassay.generators.training.scaling import Standardiser

    torch.set_num_threads(1)
    path = folder / f"{size}.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (count, 1, size, size), dtype=np.uint8))
    stored = np.load(path, mmap_mode="r")
    codes, values = torch.ones(count, 1, dtype=torch.int64), torch.zeros(count, 0)
    data = TrainingData(
        torch.from_numpy(np.array(stored)), codes, values, None, Vocabulary(("label",), (("0",),)), 255,
        Standardiser((0.4,), (0.3,)), 0, torch.device("cpu"),
    )  # fmt: skip
    steps = count // 64
    assert np.array_equal(data.stored(torch.from_numpy(data.rows(1, 64))).numpy(), stored[data.rows(1, 64)])
    rows = [data.rows(step, 64) for step in range(steps)]
    tasks = {
        "map": spent_on(lambda step: stored[rows[step]], steps),
        "stored": spent_on(lambda step: data.stored(torch.from_numpy(data.rows(step, 64))), steps),
        "standardised": spent_on(lambda step: data.batch(data.rows(step, 64)), steps),
    }
    _, processor = measured(tasks)
    speeds = [f"{64 * steps / min(times):,.0f}" for times in processor]
    return f"| {size} × {size} | {' | '.join([*speeds, *ratios(processor)])} |"


def real_files(folder: Path) -> str:
    """The DICOM files under a folder that both can read."""
    paths = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            same = np.array_equal(by_us((path, ())), by_pydicom(path))
        except Exception:
            same = False  # colour, mosaics and other values that pydicom leaves as they are written
        if same:
            paths.append(path)
    tasks = beside(in_turn(by_pydicom, paths), pooled(by_us, scans(paths)))
    return f"| {len(paths)} files | {over_peers(len(paths), tasks)} |"


# --- the report -----------------------------------------------------------------------------------------------------


def table(title: str, head: str, lines: list[str]) -> None:
    """Print one Markdown table."""
    print(f"\n## {title}\n\n{head}\n|{' --- |' * (head.count('|') - 1)}", *lines, sep="\n", flush=True)


def introduce() -> None:
    """What was run, on what."""
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ", ".join(f"{name} {version(name)}" for name in ("pydicom", "pylibjpeg-openjpeg", "pyjpegls",
                         "python-gdcm", "imagecodecs", "nibabel", "isal", "numpy", "torch"))  # fmt: skip
    print(f"# Reading beside pydicom and nibabel\n\n`{' '.join(['python', *map(os.path.basename, sys.argv)])}` at "
          f"revision {revision.stdout.strip()}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
          f"load {os.getloadavg()[0]:.1f} at the start, Python {platform.python_version()}, {packages}.\n"
          f"{WORKERS} processes of ours; {options.rounds} rounds.")  # fmt: skip


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="real DICOM files to read too")
    parser.add_argument("--files", type=int, default=40, help="different ones in each syntax, read some times over")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.parse_args(namespace=options)
    count = options.files
    introduce()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PYTHONPATH"] = os.pathsep.join([os.path.dirname(__file__), *sys.path])  # where the server finds it
        get_context("forkserver").set_forkserver_preload(["ingest"])  # the readers, as a cohort's pool has its own
        forkserver.ensure_running()
        pooled(by_us, scans(dicom_files(folder, "raw", 1)))()
        (folder / "raw" / "0000.dcm").unlink()
        (folder / "raw").rmdir()
        table("Decoding, 512 × 512 images of 16 bits",
              f"| Syntax | pydicom, {SIDES.format('pydicom')}", compressed(folder, count))  # fmt: skip
        table("Files to stored 64 × 64 images, with headers, digests and journal",
              f"| Syntax | a script with pydicom, {SIDES.format('the script').rpartition('| by')[0]}|",
              [whole(folder, name) for name in SYNTAXES])  # fmt: skip
        table("Compressed volumes (.nii.gz), 256 × 256 × 128 of 16 bits",
              "| nibabel, volumes/s | ours, one process | ours, pool | one process over nibabel, by the clock "
              "| pool | one process, by processor time | pool |",
              [volumes(folder, max(4, count // 8))])  # fmt: skip
        table("Headers only", "| pydicom, 5 attributes, files/s | ours, all facts, files/s | ours over pydicom |",
              [headers(folder)])  # fmt: skip
        table("Random batches of 64 images of 8 bits, by processor time",
              "| Size | memory map, images/s | loader as stored | loader standardised (float32) | stored over map "
              "| standardised over map |",
              [loader(folder, size, 6_400) for size in (64, 128)])  # fmt: skip
    if options.folder:
        table("Real files", f"| | pydicom, {SIDES.format('pydicom')}", [real_files(options.folder)])


if __name__ == "__main__":
    import ingest  # so that the workers find its readers by name

    ingest.main()
