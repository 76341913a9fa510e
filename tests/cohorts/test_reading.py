import os

import numpy as np
import pytest

from synthassay.cohorts import reading
from synthassay.cohorts.discovery import discover
from synthassay.cohorts.parallel import ordered_map, worker_count
from synthassay.cohorts.photographs import describe
from synthassay.errors import UserError
from synthassay.records import SilentProgress
from synthassay.specs import Resources


@pytest.fixture
def arguments(image_tree, scans, tmp_path, monkeypatch):
    monkeypatch.setitem(reading.FILES_PER_CHUNK, "images", 3)
    root = image_tree(5)
    sources = [describe(path, scans.images_spec(), ()) for path in discover(root)[0] if path.endswith(".png")]
    return root, sources, scans.images_spec(), tmp_path / "chunks", Resources(workers=1), SilentProgress()


def all_pixels(folder, images):
    return np.concatenate([block for _, block in reading.pixel_blocks(folder, images)])


def test_an_interrupted_reading_goes_on_and_gives_the_same(arguments, monkeypatch):
    whole, _ = reading.read_pixels(*arguments)
    expected = all_pixels(arguments[3], whole)
    arguments = (*arguments[:3], arguments[3].with_name("again"), *arguments[4:])
    read, real = [], reading._read_file

    def killed_at_the_fifth(root, source, spec):
        if len(read) == 4:
            raise KeyboardInterrupt
        read.append(source.path)
        return real(root, source, spec)

    monkeypatch.setattr(reading, "_read_file", killed_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        reading.read_pixels(*arguments)
    read.clear()
    monkeypatch.setattr(reading, "_read_file", lambda *a: (read.append(a[1].path), real(*a))[1])
    again, _ = reading.read_pixels(*arguments)
    assert len(read) == 7  # the first chunk of three was kept
    assert again == whole
    assert np.array_equal(all_pixels(arguments[3], again), expected)


def test_chunks_of_other_settings_or_changed_files_are_not_used(arguments):
    root, sources, spec, folder, *rest = arguments
    reading.read_pixels(*arguments)
    smaller, _ = reading.read_pixels(root, sources, spec.model_copy(update={"size": 12}), folder, *rest)
    assert all_pixels(folder, smaller).shape[2:] == (12, 12)
    os.utime(root / sources[0].path, ns=(1, 1))
    (folder / "chunk-000000.json").write_text("[]")
    assert len(reading.read_pixels(root, sources, spec.model_copy(update={"size": 12}), folder, *rest)[0]) == 10


def test_what_is_kept_between_calls_names_no_path(arguments):
    root, _, _, folder, *_ = arguments
    (root / "png" / "000.png").write_bytes(b"damaged")
    _, refused = reading.read_pixels(*arguments)
    assert [row.path for row in refused] == ["png/000.png"]
    assert all(b"000.png" not in path.read_bytes() for path in folder.iterdir())


def test_a_file_that_cannot_be_opened_is_a_row_of_the_quarantine(arguments):
    root, sources, spec, *rest = arguments
    (root / sources[0].path).unlink()
    (root / sources[0].path).mkdir()
    _, refused = reading.read_pixels(root, sources, spec, *rest)
    assert [(row.path, row.reason) for row in refused] == [(sources[0].path, "the file cannot be read")]


def test_files_over_the_limit_are_not_opened(arguments):
    root, sources, spec, *rest = arguments
    os.truncate(root / sources[0].path, 2 << 20)
    small = spec.model_copy(update={"limits": spec.limits.model_copy(update={"file_mib": 1})})
    _, refused = reading.read_pixels(root, sources, small, *rest)
    assert [row.found for row in refused] == ["too large"]


def test_a_file_for_which_the_memory_does_not_suffice_does_not_end_the_run(arguments, monkeypatch):
    real = reading.READERS["images"]

    def exhausted(root, source, spec):
        if source.path == "png/003.png":
            raise MemoryError
        return real(root, source, spec)

    monkeypatch.setitem(reading.READERS, "images", exhausted)
    images, refused = reading.read_pixels(*arguments)
    assert len(images) == 9
    assert [(row.path, row.found) for row in refused] == [("png/003.png", "too large")]


def test_processes_give_the_order_and_pixels_of_one(arguments, tmp_path):
    root, sources, spec, _, _, progress = arguments
    many = sources * 3  # enough chunks for a pool
    serial, _ = reading.read_pixels(root, many, spec, tmp_path / "one", Resources(workers=1), progress)
    parallel, _ = reading.read_pixels(root, many, spec, tmp_path / "two", Resources(workers=2), progress)
    assert parallel == serial
    assert np.array_equal(all_pixels(tmp_path / "two", parallel), all_pixels(tmp_path / "one", serial))


def test_a_process_that_dies_is_explained():
    with pytest.raises(UserError, match=r"resources\.workers=1"):
        list(ordered_map(os._exit, [1] * 8, 2))


def test_workers_follow_the_resources():
    assert worker_count(Resources(workers=3, threads=5)) == 3
    assert worker_count(Resources(threads=5)) == 5
    assert worker_count(Resources()) >= 1
