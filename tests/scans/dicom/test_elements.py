"""The quick reading of elements beside pydicom's own."""

import io
import random
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import dcmread

from synthassay.scans.dicom.elements import read_plain
from tests.scans.dicom_files import save_dicom, texture

SMALL = 100_000  # bytes
FILES = [path for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*"))
         if path.is_file() and path.stat().st_size < SMALL and path.read_bytes()[128:132] == b"DICM"]  # fmt: skip


def state(dataset: Any) -> str:
    """Everything that is known of a dataset, down to which elements are still bytes."""
    inner = [dataset._dict, dataset.file_meta._dict, dataset.preamble, dataset._parent_encoding]
    ways = [(part.original_encoding, part.original_character_set) for part in (dataset, dataset.file_meta)]
    return repr([type(dataset), type(dataset.file_meta), *inner, *ways])


def outcome(read: Any) -> str | None:
    """What reading gives, or what it raises; None where it is left to pydicom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = read()
            return None if dataset is None else state(dataset)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def beside_pydicom(content: bytes, head: bytes, before_pixels: bool) -> tuple[str | None, str | None]:
    return (outcome(lambda: read_plain(io.BytesIO(content), head, before_pixels)),
            outcome(lambda: dcmread(io.BytesIO(content), stop_before_pixels=before_pixels)))  # fmt: skip


@pytest.mark.parametrize("before_pixels", [False, True])
@pytest.mark.parametrize("head", [600, SMALL])
def test_pydicoms_own_files_give_the_dataset_that_pydicom_gives(head, before_pixels):
    quick = 0
    for path in FILES:
        content = path.read_bytes()
        ours, theirs = beside_pydicom(content, content[:head], before_pixels)
        assert ours in (None, theirs), path.name
        quick += ours is not None
    assert len(FILES) > 50
    assert quick > 0.8 * len(FILES)


def test_damaged_files_give_what_pydicom_gives():
    draw, quick = random.Random(20261129), 0
    contents = [path.read_bytes() for path in FILES if path.stat().st_size < 20_000]
    for case in range(400):
        content = bytearray(draw.choice(contents))
        top = min(len(content), draw.choice([300, 2_000, len(content)]))
        at = draw.randrange(132, top)
        if case % 4 == 0:
            del content[at:]
        elif case % 4 == 1:
            content[at:at] = draw.randbytes(draw.randrange(1, 12))
        else:
            for _ in range(3):
                content[draw.randrange(132, top)] ^= 1 << draw.randrange(8)
        ours, theirs = beside_pydicom(bytes(content), bytes(content), bool(case % 3))
        assert ours in (None, theirs), case
        quick += ours is not None
    assert quick > 100


def test_what_begins_oddly_is_left_to_pydicom(tmp_path):
    save_dicom(tmp_path / "a.dcm", texture(1))
    content = (tmp_path / "a.dcm").read_bytes()
    meta = 144 + int.from_bytes(content[140:144], "little")  # where the dataset begins
    assert read_plain(io.BytesIO(content), content) is not None
    command = b"\0\0\0\0\4\0\0\0\0\0\0\0"  # of a set that goes before the dataset
    unknown = content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0")
    for odd in (content[:meta] + command + content[meta:], unknown, content[:132], content[: meta + 4], b""):
        assert read_plain(io.BytesIO(odd), odd) is None
