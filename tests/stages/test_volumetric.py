"""Parts of the line that cannot work on volumes say so, and what works."""

from types import SimpleNamespace

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.features.domain_specs import DomainSpec
from synthassay.features.radiomics_specs import RadiomicsSpec
from synthassay.generators.diffusion.family_specs import EdmSpec
from synthassay.generators.specs import GanSpec
from synthassay.records import ImageSet
from synthassay.stages.exhibits import pictured
from synthassay.stages.volumetric import check_parts


def images(*shape):
    ids = np.array(["a", "b"])
    return ImageSet(name="x", origin="real", pixels=np.zeros((2, 1, *shape), np.uint8), ids=ids, patients=ids,
                    labels=np.array([0, 1]), label_names=("n", "y"))  # fmt: skip


def parts(generator, encoder):
    return SimpleNamespace(generators=(generator,), encoder=encoder, also_encode=())


def test_images_are_for_all_and_volumes_for_most():
    check_parts(images(8, 8), parts(GanSpec(), DomainSpec()))
    check_parts(images(8, 8, 8), parts(EdmSpec(), RadiomicsSpec()))


@pytest.mark.parametrize(
    ("generator", "encoder", "what"),
    [(GanSpec(), RadiomicsSpec(), "the generator gan"), (EdmSpec(), DomainSpec(), "encoder=domain")],
)
def test_volumes_are_not_for_some_and_the_message_names_what_works(generator, encoder, what):
    with pytest.raises(UserError, match=f"{what} cannot work on volumes") as caught:
        check_parts(images(8, 8, 8), parts(generator, encoder))
    for word in ("cohort.dimensions=2", "latent_flow"):
        assert word in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


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
