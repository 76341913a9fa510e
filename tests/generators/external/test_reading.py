"""Items are read in processes: what one of them does costs that item, and no result depends on their number."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthassay.errors import UserError
from synthassay.generators.external import reading
from synthassay.generators.external.sets import load_external
from synthassay.generators.external.specs import ExternalSpec
from synthassay.records import SilentProgress
from synthassay.scans.limits import LimitSpec
from synthassay.scans.pool import CRASH, TIME, Pool
from synthassay.specs import Resources
from tests.generators.external.made_up import POLICY, like, load, write_pictures

sys.path.append(str(Path(__file__).parents[2] / "scans"))  # where the processes find it too
import hostile


@pytest.mark.parametrize(("harm", "reason"), [("abort", CRASH), ("hang", TIME)])
def test_a_file_at_which_a_decoder_crashes_or_hangs_is_the_only_one_that_is_lost(tmp_path, monkeypatch, harm, reason):
    (tmp_path / "png").mkdir()
    for i in range(6):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / "png" / f"00{i}.png")
    monkeypatch.setattr(reading, "Pool", lambda work, *rest: Pool(hostile.Deadly(work, harm), *rest))
    images, (row,) = load(tmp_path, ExternalSpec(limits=LimitSpec(seconds=1)))
    assert images.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 4, 5]
    assert (row.path, row.reason) == (hostile.DEADLY, reason)


@pytest.mark.parametrize("images", [None, 10])
def test_processes_give_what_one_gives(tmp_path, images):
    for i in range(30):
        pages = [Image.fromarray(np.full((8, 8), i, np.uint8))] * (1 + i % 3)
        pages[0].save(tmp_path / f"{i:02d}.tif", save_all=True, append_images=pages[1:])
    for i in (3, 4, 17, 18):
        (tmp_path / f"{i:02d}.tif").write_bytes(b"damaged")
    (one, refused), (two, also) = (load(tmp_path, ExternalSpec(images=images), workers=n) for n in (1, 2))
    assert (one.content_id, refused) == (two.content_id, also)
    assert len(one) == (images or sum(1 + i % 3 for i in range(30) if i not in (3, 4, 17, 18)))


def test_the_first_image_that_does_not_fit_is_named_whichever_process_finds_it(tmp_path):
    write_pictures(tmp_path, 5)
    for i in (2, 4):
        Image.new("L", (9, 9)).save(tmp_path / f"im{i}.png")
    with pytest.raises(UserError, match=r"im2\.png: found 1 × 9 × 9"):
        load(tmp_path, workers=2)


class Counted(SilentProgress):
    def __init__(self):
        self.bars = []

    def start(self, what, total, done=0):
        self.bars.append([what, total, 0])

    def advance(self, n=1):
        self.bars[-1][2] += n


def test_a_bar_counts_files_or_the_images_of_a_limited_set(tmp_path):
    write_pictures(tmp_path, 5)
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8))
    (tmp_path / "im1.png").write_bytes(b"damaged")
    for limit, total in ((None, 9), (6, 6)):
        bar = Counted()
        reading_with = {"like": like(), "policy": POLICY, "resources": Resources(workers=1), "progress": bar}
        load_external(ExternalSpec(images=limit), tmp_path, **reading_with)
        assert bar.bars == [["read headers of external", 1, 1], ["read external", total, total]]
