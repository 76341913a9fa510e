"""Stages that cannot work on volumes say so, and what works."""

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.records import ImageSet
from synthassay.stages.volumetric import is_volumetric, need_slices


def images(*shape):
    ids = np.array(["a", "b"])
    return ImageSet(name="x", origin="real", pixels=np.zeros((2, 1, *shape), np.uint8), ids=ids, patients=ids,
                    labels=np.array([0, 1]), label_names=("n", "y"))  # fmt: skip


def test_slices_pass():
    need_slices(images(8, 8), "the generator edm")
    assert not is_volumetric(images(8, 8))


def test_volumes_do_not_and_the_message_names_what_works():
    assert is_volumetric(images(8, 8, 8))
    with pytest.raises(UserError, match="the generator edm cannot work on volumes") as caught:
        need_slices(images(8, 8, 8), "the generator edm")
    for word in ("cohort.dimensions=2", "encoder=medicalnet", "generator=external"):
        assert word in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
