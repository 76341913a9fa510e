"""Damaged files give images or a reason, within the limits of time and memory of one file, and nothing else."""

import sys
from pathlib import Path

import pytest

from synthassay.scans.pool import CRASH, MEMORY, TIME, Pool
from synthassay.scans.unreadable import Unreadable

sys.path.append(str(Path(__file__).parent))  # where the processes find it too
import damaged

FORMATS = {"dicom": (damaged.dicom_files, 1500), "nifti": (damaged.volume_files, 500),
           "pictures": (damaged.picture_files, 500), "arrays": (damaged.array_containers, 400)}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_valid_files_are_read(name):
    files = FORMATS[name][0]()
    outcomes = dict(Pool(damaged.read, 1, damaged.LIMITS).answers(list(files.items())))
    assert {file: outcomes[i] for i, file in enumerate(files)} == dict.fromkeys(files, "images")


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_give_images_or_a_reason(name):
    files, count = FORMATS[name]
    cases = list(damaged.cases(files(), count, seed=20261128))
    outcomes = dict(Pool(damaged.read, 1, damaged.LIMITS).answers(cases))
    assert len(outcomes) == count
    refused = {i: answer for i, answer in outcomes.items() if isinstance(answer, Unreadable)}
    lost = {i: answer for i, answer in refused.items() if answer.reason in (MEMORY, TIME, CRASH)}
    assert [(i, cases[i][0], answer.found, answer.reason) for i, answer in lost.items()] == []
    assert count // 20 < len(refused) < count - count // 20  # the damage is neither harmless nor total
