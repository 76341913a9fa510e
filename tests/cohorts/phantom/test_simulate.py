import hashlib
from pathlib import Path

import pytest

from synthassay.cohorts.phantom.simulate import plan_images, write_phantom
from synthassay.cohorts.phantom.specs import PhantomSpec
from synthassay.errors import UserError
from synthassay.records import SilentProgress


class Killed(Exception):
    pass


class Counting(SilentProgress):
    """Counts images and, when asked, stops the work as a killed process would: between two images."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.total, self.done, self.stop_after = 0, 0, stop_after

    def start(self, what: str, total: int, done: int = 0) -> None:
        self.total = total

    def advance(self, n: int = 1) -> None:
        self.done += n
        if self.done == self.stop_after:
            raise Killed


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def whole(tiny: PhantomSpec, tmp_path: Path) -> dict[str, str]:
    write_phantom(tiny, tmp_path / "whole", SilentProgress())
    return digests(tmp_path / "whole")


def test_equal_specs_give_equal_bytes(tiny: PhantomSpec, tmp_path: Path, whole: dict[str, str]):
    write_phantom(tiny, tmp_path / "again", SilentProgress())
    assert digests(tmp_path / "again") == whole
    assert len(whole) == len(list(plan_images(tiny))) + 6  # labels, spec, table, three arrays


def test_another_seed_gives_other_images(tiny: PhantomSpec, tmp_path: Path, whole: dict[str, str]):
    write_phantom(tiny.model_copy(update={"seed": 9}), tmp_path / "other", SilentProgress())
    other = digests(tmp_path / "other")
    shared = [name for name in whole if name.endswith(".dcm") and name in other]
    assert shared
    assert all(whole[name] != other[name] for name in shared)


def test_interrupted_phantom_is_completed_to_the_same_bytes(tiny: PhantomSpec, tmp_path: Path, whole: dict[str, str]):
    out = tmp_path / "killed"
    with pytest.raises(Killed):
        write_phantom(tiny, out, Counting(stop_after=4))
    assert not (out / "truth" / "truth.parquet").exists()
    write_phantom(tiny, out, SilentProgress())
    assert digests(out) == whole


def test_lost_file_is_written_again(tiny: PhantomSpec, tmp_path: Path, whole: dict[str, str]):
    out = tmp_path / "whole"
    next((out / "dicom").rglob("*.dcm")).unlink()
    write_phantom(tiny, out, SilentProgress())
    assert digests(out) == whole


def test_finished_phantom_is_left_as_it_is(tiny: PhantomSpec, tmp_path: Path, whole: dict[str, str]):
    progress = Counting()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")}
    write_phantom(tiny, tmp_path / "whole", progress)
    assert progress.done == 0
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")}


def test_folder_with_another_phantom_is_refused(tiny: PhantomSpec, tmp_path: Path, whole: dict[str, str]):
    with pytest.raises(UserError, match="other settings"):
        write_phantom(tiny.model_copy(update={"seed": 3}), tmp_path / "whole", SilentProgress())
    assert digests(tmp_path / "whole") == whole


def test_progress_counts_every_image(tiny: PhantomSpec, tmp_path: Path):
    progress = Counting()
    write_phantom(tiny, tmp_path, progress)
    assert progress.done == progress.total == len(list(plan_images(tiny)))
