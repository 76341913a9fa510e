import numpy as np
import pytest
from scipy.ndimage import rotate

from synthassay.privacy.spaces import Space, feature_space, mirrored_images, pixel_space
from synthassay.records import FeatureSet, ImageSet


def images(pixels: np.ndarray) -> ImageSet:
    n = len(pixels)
    names = np.array([f"p{i}" for i in range(n)])
    return ImageSet(name="x", origin="real", pixels=pixels, ids=names, patients=names, labels=np.zeros(n, np.int64),
                    label_names=("a",))  # fmt: skip


def scene(n: int = 3, side: int = 64, channels: int = 1) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin((3 + i) * x + 2 * y) + np.cos(5 * y * x + i) for i in range(n * channels)]
    return np.stack(waves).reshape(n, channels, side, side) / 4 + 0.5


def as_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b.astype(np.float64)))


def test_differences_of_bytes_do_not_wrap():
    # 10 - 250 is 16 in uint8: the dark image would seem nearer to the bright one than to the grey one.
    ramp = np.linspace(0, 1, 32)[None, :] * np.ones((32, 1))
    bright, dark, grey = 250 - 5 * ramp, 10 + 5 * ramp, 20 + 5 * ramp
    vectors = pixel_space(images(np.stack([bright, dark, grey])[:, None].astype(np.uint8)), blur=0).vectors
    assert distance(vectors[1], vectors[2]) < 0.2 * distance(vectors[0], vectors[1])


def test_integer_vectors_are_refused():
    with pytest.raises(ValueError, match="float32"):
        Space("x", np.zeros((2, 3), np.uint8), np.array(["a", "b"]))


def test_vectors_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        Space("x", np.array([[np.nan]], np.float32), np.array(["a"]))


def test_another_number_of_patients_is_refused():
    with pytest.raises(ValueError, match="1 rows, expected 2"):
        Space("x", np.zeros((2, 3), np.float32), np.array(["a"]))


def test_pixel_space_has_zero_mean_unit_deviation_and_the_stated_shape():
    space = pixel_space(images(as_bytes(scene(channels=3))), size=16)
    assert space.vectors.shape == (3, 3 * 16 * 16)
    np.testing.assert_allclose(space.vectors.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(space.vectors.std(1), 1, atol=1e-5)


def test_brightness_and_contrast_do_not_hide_a_copy():
    plain = pixel_space(images(as_bytes(scene()))).vectors
    changed = pixel_space(images(as_bytes(0.2 + 0.6 * scene()))).vectors
    assert distance(plain[0], changed[0]) < 0.05 * distance(plain[0], plain[1])


def test_eight_and_sixteen_bits_give_the_same_points():
    fine = (as_bytes(scene()).astype(np.uint32) * 257).astype(np.uint16)
    a, b = (pixel_space(images(pixels)).vectors for pixels in (as_bytes(scene()), fine))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_blur_brings_a_rotated_copy_nearer_to_its_original():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1, 1, 64, 64)).astype(np.uint8).repeat(2, axis=0)
    pixels[1, 0] = np.clip(rotate(pixels[0, 0].astype(float), 5, reshape=False, order=1, mode="reflect"), 0, 255)
    sharp, soft = (pixel_space(images(pixels), blur=blur).vectors for blur in (0.0, 1.5))
    assert distance(*soft) < 0.9 * distance(*sharp)


def test_an_empty_image_becomes_the_zero_vector():
    assert not pixel_space(images(np.full((2, 1, 40, 40), 77, np.uint8))).vectors.any()


def test_small_images_keep_their_size():
    assert pixel_space(images(as_bytes(scene(side=20))), size=32).vectors.shape == (3, 400)


def test_volumes_are_averaged_and_blurred_along_three_axes():
    volume = np.zeros((1, 1, 8, 16, 32), np.uint8)
    volume[..., 4, 8, 16] = 255
    space = pixel_space(images(volume), size=8)
    assert dict(space.definition)["size"] == "8x8x8"
    around = space.vectors.reshape(8, 8, 8)
    top = around[4, 4, 4]
    for moved in (around[3, 4, 4], around[4, 3, 4], around[4, 4, 3]):
        assert around.min() < moved < top


def test_a_row_depends_on_its_image_only():
    many = images(as_bytes(scene(n=300, side=16)))
    alone = pixel_space(many.take(np.array([299])), size=8).vectors[0]
    np.testing.assert_array_equal(pixel_space(many, size=8).vectors[299], alone)


def test_mirrored_images_are_reflected_left_to_right_in_the_same_order():
    plain = images(as_bytes(scene()))
    mirrored = mirrored_images(plain)
    np.testing.assert_array_equal(mirrored.pixels[1, 0, :, 0], plain.pixels[1, 0, :, -1])
    np.testing.assert_array_equal(mirrored.patients, plain.patients)
    assert mirrored.content_id != plain.content_id


def test_another_size_or_blur_is_another_definition():
    plain = images(as_bytes(scene()))
    definitions = {pixel_space(plain, size, blur).definition for size in (16, 32) for blur in (0.0, 1.0)}
    assert len(definitions) == 4


def test_feature_space_has_unit_length_and_names_the_encoder():
    names = np.array(["a", "b"])
    features = FeatureSet(name="x", origin="real", features=np.array([[3, 4], [0, 0]], np.float32), ids=names,
                          patients=names, labels=np.zeros(2, np.int64), label_names=("a",), encoder="net",
                          encoder_identity=(("weights", "abc"),), content_id="images")  # fmt: skip
    space = feature_space(features)
    np.testing.assert_allclose(space.vectors, [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert space.encoder == "net"
    assert space.content_id == "images"
    assert ("encoder_weights", "abc") in space.definition
