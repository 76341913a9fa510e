"""Encoders of images on volumes: which slices, averaged how, under which name."""

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.features.radiomics import radiomic_encoder
from synthassay.features.sliced import SlicedEncoder
from synthassay.records import ImageSet, SilentProgress
from tests.features.sets import CPU, image_set


def volumes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 1, 9, 13, 17)).astype(np.uint8)


def of(pixels: np.ndarray) -> ImageSet:
    return image_set(np.ascontiguousarray(pixels), np.array(["a", "b", "c"]))


def test_features_are_the_mean_over_three_slices_of_each_axis() -> None:
    flat, pixels = radiomic_encoder("skimage", 32, CPU), volumes()
    found = SlicedEncoder(flat).encode(of(pixels), SilentProgress())
    slices = [pixels[:, :, i] for i in (2, 4, 6)] + [pixels[:, :, :, i] for i in (3, 6, 9)]
    slices += [pixels[..., i] for i in (4, 8, 12)]
    features = [flat.encode(of(part), SilentProgress()).features for part in slices]
    np.testing.assert_allclose(found.features, np.mean(features, axis=0), rtol=1e-5, atol=1e-6)


def test_name_identity_and_table_say_whose_features_they_are() -> None:
    flat, images = radiomic_encoder("skimage", 32, CPU), of(volumes())
    sliced = SlicedEncoder(flat)
    found = sliced.encode(images, SilentProgress())
    assert found.encoder == sliced.name == "radiomics-skimage-2.5d"
    assert found.encoder_identity == sliced.identity
    assert dict(sliced.identity).items() > dict(flat.identity).items()
    assert (found.name, found.content_id) == (images.name, images.content_id)
    assert found.features.shape == (3, sliced.dimension)


def test_images_are_refused() -> None:
    with pytest.raises(UserError, match="takes volumes"):
        SlicedEncoder(radiomic_encoder("skimage", 32, CPU)).encode(of(volumes()[:, :, 0]), SilentProgress())
