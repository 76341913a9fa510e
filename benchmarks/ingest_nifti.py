"""Times the reading of ``.nii.gz`` beside nibabel's own: ``python benchmarks/ingest_nifti.py [FILE ...] > FILE.md``.

One process, ours and theirs in turn, the least CPU time of each over ``--rounds``. Equality is first. Without files,
two made-up volumes of 192 x 192 x 160 are read: noise and smooth blobs, as 16-bit integers (compressed to about a half)
and as single precision. Both open the file; ours also verifies the checksum and that every value is finite.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import isal_zlib
from scipy.ndimage import gaussian_filter

from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import open_file, read_volume

LIMITS = LimitSpec()
SHAPE = (192, 192, 160)


def made_up(folder: Path) -> list[Path]:
    """Two volumes as a scanner could have made them."""
    rng = np.random.default_rng(0)
    blobs = gaussian_filter(rng.standard_normal(SHAPE), 6)
    tissue = np.where(
        blobs > 0, 200 + 600 * blobs / blobs.max() + 8 * rng.standard_normal(SHAPE), 12 * rng.random(SHAPE)
    )
    paths = []
    for name, dtype in (("int16", np.int16), ("float32", np.float32)):
        paths.append(folder / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(tissue.astype(dtype), np.eye(4)), paths[-1])
    return paths


def ours(path: Path) -> object:
    """A volume in float32."""
    return read_volume(open_file(path, LIMITS), LIMITS)


READERS: dict[str, Callable[[Path], object]] = {
    "ours (float32)": ours,
    "nibabel `get_fdata()` (float64)": lambda path: nib.load(path).get_fdata(),
    "nibabel `get_fdata(dtype=float32)`": lambda path: nib.load(path).get_fdata(dtype=np.float32),
    "isal alone, nothing converted": lambda path: isal_zlib.decompress(path.read_bytes(), 31),
}


def measured(paths: Sequence[Path], rounds: int) -> dict[str, float]:
    """Milliseconds of CPU time for each file."""
    least = dict.fromkeys(READERS, float("inf"))
    for _ in range(rounds):
        for name, read in READERS.items():
            start = time.process_time()
            for path in paths:
                read(path)
            least[name] = min(least[name], time.process_time() - start)
    return {name: seconds / len(paths) * 1000 for name, seconds in least.items()}


def report(title: str, paths: Sequence[Path], rounds: int) -> None:
    """Check that values are equal and print the table."""
    for path in paths:
        values = read_volume(open_file(path, LIMITS), LIMITS).values
        assert np.array_equal(values, nib.load(path).get_fdata(dtype=np.float32))
    times = measured(paths, rounds)
    print(f"\n## {title}\n\n| | ms for a volume | over ours |\n| --- | --- | --- |")
    for name, milliseconds in times.items():
        print(f"| {name} | {milliseconds:.2f} | {milliseconds / times['ours (float32)']:.2f} |")


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    print(f"# Reading .nii.gz\n\n{platform.machine()}, Python {platform.python_version()}, nibabel {nib.__version__}, "
          f"NumPy {np.__version__}; the least of {options.rounds} rounds.")  # fmt: skip
    if options.files:
        report(f"{len(options.files)} files", options.files, options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in made_up(Path(folder)):
            report(path.name, [path], options.rounds)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
