"""Parts of the line that cannot work on volumes say so, and what works."""

from types import SimpleNamespace

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.features.domain_specs import DomainSpec
from synthassay.features.radiomics_specs import RadiomicsSpec
from synthassay.features.specs import EfficientNetLite0Spec
from synthassay.records import ImageSet
from synthassay.stages.samples import pictured
from synthassay.stages.volumetric import check_parts


def images(*shape):
    ids = np.array(["a", "b"])
    return ImageSet(name="x", origin="real", pixels=np.zeros((2, 1, *shape), np.uint8), ids=ids, patients=ids,
                    labels=np.array([0, 1]), label_names=("n", "y"))  # fmt: skip


def parts(encoder):
    return SimpleNamespace(encoder=encoder, also_encode=(RadiomicsSpec(),))


def test_images_are_for_all_encoders_and_volumes_for_most():
    check_parts(images(8, 8), parts(DomainSpec()))
    check_parts(images(8, 8, 8), parts(EfficientNetLite0Spec()))


def test_volumes_are_not_for_the_domain_encoder_and_the_message_says_what_to_do():
    with pytest.raises(UserError, match="encoder=domain learns from images") as caught:
        check_parts(images(8, 8, 8), parts(DomainSpec()))
    assert "cohort.dimensions=2" in str(caught.value)


def test_a_volume_is_pictured_by_the_middle_slices_of_three_planes():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 6, 8)).astype(np.uint8)
    shown = pictured(pixels)
    assert shown.shape == (2, 1, 6, 8 + 8 + 6)
    assert np.array_equal(shown[:, :, :, :8], pixels[:, :, 2])
    assert np.array_equal(shown[:, :, :4, 8:16], pixels[:, :, :, 3])
    assert np.array_equal(shown[:, :, :4, 16:], pixels[:, :, :, :, 4])
    assert not shown[:, :, 4:, 8:].any()


def test_an_image_is_pictured_as_it_is():
    pixels = np.full((1, 1, 4, 4), 0xABCD, np.uint16)
    assert (pictured(pixels) == 0xAB).all()
