import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthassay.cohorts import reading
from synthassay.cohorts.journal import PixelMaps
from synthassay.cohorts.mask_specs import MaskSpec
from synthassay.cohorts.photographs import describe
from synthassay.records import SilentProgress
from synthassay.scans.discovery import discover
from synthassay.scans.pool import MEMORY, Pool
from synthassay.specs import Resources

sys.path.append(str(Path(__file__).parents[1] / "scans"))  # where the processes find it too
import hostile


class Counted(SilentProgress):
    """Counts files; ends like Ctrl+C after ``patience`` of them."""

    def __init__(self, patience=1000):
        self.patience, self.done_before, self.read = patience, 0, 0

    def start(self, what, total, done=0):
        self.done_before = done

    def advance(self, n=1):
        self.read += n
        if self.read == self.patience:
            raise KeyboardInterrupt


@pytest.fixture
def arguments(image_tree, scans, tmp_path):
    root = image_tree(5)
    sources = [
        describe(path, scans.images_spec(), ())[0] for path in discover(root, "cohort.root")[0] if path.endswith(".png")
    ]
    return root, sources, scans.images_spec(), tmp_path / "chunks", Resources(workers=1), SilentProgress()


def all_pixels(folder, images, size=8):
    return np.concatenate([block for _, block in PixelMaps(folder, (3, size, size)).blocks(images)])


@pytest.fixture
def interrupted(arguments):
    """An interrupted reading: its arguments, and what a whole one gives."""
    whole, _ = reading.read_pixels(*arguments)
    expected = all_pixels(arguments[3], whole)
    again = (*arguments[:3], arguments[3].with_name("again"), arguments[4])
    with pytest.raises(KeyboardInterrupt):
        reading.read_pixels(*again, Counted(patience=4))
    return again, whole, expected


def test_an_interrupted_reading_goes_on_after_the_files_that_it_had_read(interrupted):
    again, whole, expected = interrupted
    images, _ = reading.read_pixels(*again, progress := Counted())
    assert (progress.done_before, progress.read) == (4, 6)
    assert [image.plane for image in images] == [image.plane for image in whole]
    assert np.array_equal(all_pixels(again[3], images), expected)


def test_what_a_loss_of_power_took_is_read_again(interrupted):
    again, _, expected = interrupted
    folder = again[3]
    pixels, row = folder / "pixels-0.f32", 4 * 3 * 8 * 8
    content = bytearray(pixels.read_bytes())
    content[row : row + 8] = bytes(8)  # a block of the second image that never reached the disk
    pixels.write_bytes(content[: 3 * row + 5])  # and the end of the fourth
    with (folder / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"file":7,"sha')
    images, _ = reading.read_pixels(*again, progress := Counted())
    assert (progress.done_before, progress.read) == (2, 8)
    assert np.array_equal(all_pixels(folder, images), expected)


def test_a_file_at_which_the_process_dies_is_the_only_one_that_is_lost(arguments, monkeypatch):
    monkeypatch.setattr(reading, "Pool", lambda work, *rest: Pool(hostile.Deadly(work), *rest))
    images, refused = reading.read_pixels(*arguments)
    assert len(images) == 9
    assert [(row.path, row.found) for row in refused] == [(hostile.DEADLY, "SIGSEGV")]


def test_chunks_of_other_settings_or_changed_files_are_not_used(arguments):
    root, sources, spec, folder, *rest = arguments
    reading.read_pixels(*arguments)
    smaller, _ = reading.read_pixels(root, sources, spec.model_copy(update={"size": 12}), folder, *rest)
    assert all_pixels(folder, smaller, 12).shape[2:] == (12, 12)
    os.utime(root / sources[0].path, ns=(1, 1))
    reading.read_pixels(root, sources, spec.model_copy(update={"size": 12}), folder, rest[0], progress := Counted())
    assert (progress.done_before, progress.read) == (0, 10)


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


def test_a_file_for_which_the_memory_does_not_suffice_does_not_end_the_run(arguments):
    root, sources, spec, *rest = arguments
    big = np.zeros((9000, 9000), np.uint8)
    Image.fromarray(big).save(root / sources[3].path)  # 77 MiB, and 309 MiB in float32
    little = spec.model_copy(update={"limits": spec.limits.model_copy(update={"memory_mib": 256})})
    images, refused = reading.read_pixels(root, sources, little, *rest)
    assert len(images) == 9
    assert [(row.path, row.found, row.reason) for row in refused] == [("png/003.png", "too large", MEMORY)]


def test_processes_give_the_order_and_pixels_of_one(arguments, tmp_path):
    root, sources, spec, _, _, progress = arguments
    many = sources * 3
    serial, _ = reading.read_pixels(root, many, spec, tmp_path / "one", Resources(workers=1), progress)
    parallel, _ = reading.read_pixels(root, many, spec, tmp_path / "two", Resources(workers=2), progress)
    assert [(i.source, i.plane) for i in parallel] == [(i.source, i.plane) for i in serial]
    assert np.array_equal(all_pixels(tmp_path / "two", parallel), all_pixels(tmp_path / "one", serial))


def test_masks_are_taken_up_again_and_read_again_where_they_are_damaged(arguments):
    root, sources, spec, folder, *rest = arguments
    for source in sources:
        Image.fromarray(np.tri(24, 30, k=len(source.path), dtype=np.uint8)).save(root / f"{source.path[:-4]}_m.png")
    sources = [replace(source, mask=f"{source.path[:-4]}_m.png") for source in sources]
    spec = spec.model_copy(update={"masks": MaskSpec(keep=True)})
    whole, _ = reading.read_pixels(root, sources, spec, folder, *rest)
    expected = np.concatenate([block for _, block in PixelMaps(folder, (8, 8), "masks").blocks(whole)])
    assert 0 < expected.mean() < 1
    again = (root, sources, spec, folder.with_name("again"), rest[0])
    with pytest.raises(KeyboardInterrupt):
        reading.read_pixels(*again, Counted(patience=4))
    masks = again[3] / "masks-0.u8"
    content = bytearray(masks.read_bytes())
    content[64:68] = b"\xff" * 4  # in the second mask
    masks.write_bytes(content)
    images, _ = reading.read_pixels(*again, progress := Counted())
    assert (progress.done_before, progress.read) == (3, 7)
    found = np.concatenate([block for _, block in PixelMaps(again[3], (8, 8), "masks").blocks(images)])
    assert np.array_equal(found, expected)
