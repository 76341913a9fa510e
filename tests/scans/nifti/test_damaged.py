"""Damaged files are read or refused with a reason, whatever was damaged: bytes flipped, cut, spliced, compressed."""

import gzip
import random
from itertools import product

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import NiftiFile, read_volume
from synthassay.scans.orientation import described, upright
from synthassay.scans.unreadable import Unreadable

LIMITS = LimitSpec(voxels=1 << 22)
EXTREMES = (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\xc0\x7f")  # also infinite and NaN
TURNED = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, 0.2, 0.1), [1, 2, 3])


def valid():
    values = (np.random.default_rng(0).random((9, 8, 7)) * 100).astype(np.float32)
    kinds = product((nib.Nifti1Image, nib.Nifti2Image), (np.int16, np.float32), (np.eye(4), TURNED))
    return [kind(values.astype(dtype), affine).to_bytes() for kind, dtype, affine in kinds]


def damaged(whole, rng):
    content = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place = rng.randrange(560 if rng.random() < 0.8 else len(whole))  # mostly in the header
        kind = rng.choice(("flip", "flip", "flip", "extreme", "cut", "splice"))
        if kind == "flip":
            content[place : place + 1] = rng.randbytes(1)
        elif kind == "extreme":
            content[place : place + 4] = rng.choice(EXTREMES)
        elif kind == "cut":
            del content[place:]
        else:
            content[place:place] = rng.randbytes(rng.randrange(50))
    if rng.random() < 0.3:
        content = bytearray(gzip.compress(bytes(content), 1))
        if rng.random() < 0.5:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


@pytest.mark.parametrize("seed", range(4))
def test_damage_is_a_reason_and_not_a_crash(seed):
    rng, files, refused = random.Random(seed), valid(), 0
    for _ in range(500):
        try:
            volume = upright(read_volume(NiftiFile(damaged(rng.choice(files), rng)), LIMITS, "mean"))
            described(volume, "axial")
            assert np.isfinite(volume.values).all()
        except Unreadable as error:
            refused += bool(error.reason)
    assert 100 < refused < 400
