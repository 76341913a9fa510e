"""Random image sets and a machine of one thread, for the tests of encoders."""

import numpy as np

from synthassay.records import ImageSet
from synthassay.specs import Resources

CPU = Resources(device="cpu", threads=1)


def images(n=5, channels=1, dtype=np.uint8, size=48, seed=0, origin="real"):
    """Noise of ``n`` images of at most three patients."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (n, channels, size, size)).astype(dtype)
    return image_set(pixels, np.array(list("aabbc"))[np.arange(n) % 5], origin)


def image_set(pixels, patients, origin="real"):
    """A set of ``pixels`` ``[n, c, h, w]`` of the test split."""
    n = len(pixels)
    return ImageSet(
        name="set", origin=origin, pixels=pixels, ids=np.array([f"i{i}" for i in range(n)]), patients=patients,
        labels=np.arange(n) % 2, label_names=("none", "lesion"), split="test",
        groups={"site": np.array(list("AABBB"))[np.arange(n) % 5]},
    )  # fmt: skip
