"""A small world of patients: smooth 32x32 images that can be mirrored and rotated, with known copies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, rotate

from synthassay.privacy.detector import References
from synthassay.privacy.spaces import Space, mirrored_images, pixel_space
from synthassay.records import ImageSet

SIDE = 32
KINDS = ("exact", "mirrored", "rotated", "noise")


def image_set(name: str, pixels: NDArray, patients: NDArray) -> ImageSet:
    n = len(pixels)
    return ImageSet(name=name, origin="real", pixels=np.ascontiguousarray(pixels).reshape(n, 1, *pixels.shape[-2:]),
                    ids=np.array([f"{name}-{i}" for i in range(n)], dtype=np.str_), patients=patients.astype(np.str_),
                    labels=np.zeros(n, np.int64), label_names=("a",))  # fmt: skip


def draw_people(prefix: str, patients: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """One or two images a patient: a common shape, a field of the patient's own, a little change and noise."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 3, patients)
    owner = np.repeat(np.arange(patients), counts)
    field = gaussian_filter(rng.normal(size=(patients, SIDE, SIDE)), (0, 3, 3))[owner]
    change = gaussian_filter(rng.normal(size=(len(owner), SIDE, SIDE)), (0, 3, 3))
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    head = (x**2 + 1.4 * y**2 < 0.8).astype(float)
    scene = head * (0.5 + 1.6 * field + 0.3 * change) + rng.normal(0, 0.02, change.shape)
    pixels = np.rint(np.clip(scene, 0, 1) * 255).astype(np.uint8)
    return pixels, np.array([f"{prefix}{i:04d}" for i in range(patients)])[owner]


def altered(pixels: NDArray[np.uint8], kind: str, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    if kind == "mirrored":
        return pixels[..., ::-1]
    if kind == "noise":
        return np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
    if kind == "rotated":
        turned = [rotate(p.astype(float), rng.choice([-5, 5]), reshape=False, order=1) for p in pixels]
        return np.clip(np.stack(turned), 0, 255).astype(np.uint8) if len(turned) else pixels
    return pixels


@dataclass
class World:
    """Training patients, two controls, a panel, and honest images of patients that are in neither."""

    train: ImageSet
    control_a: ImageSet
    control_b: ImageSet
    panel: dict[str, ImageSet]

    def references(self, space: Callable[[ImageSet], Space] = pixel_space, **changes: object) -> References:
        sides = {"train": space(self.train), "mirrored_train": space(mirrored_images(self.train)),
                 "control_a": space(self.control_a), "control_b": space(self.control_b),
                 "panel": {kind: space(images) for kind, images in self.panel.items()}}  # fmt: skip
        return References(**(sides | changes))

    def planted(self, share: float, base: ImageSet, kinds: tuple[str, ...] = KINDS, seed: int = 0) -> ImageSet:
        """``base`` with a share of it replaced by altered images of different training patients."""
        rng = np.random.default_rng(seed)
        count = round(share * len(base))
        rows = rng.choice(np.unique(self.train.patients, return_index=True)[1], count, replace=False)
        kept = np.sort(rng.choice(len(base), len(base) - count, replace=False))
        source = self.train.pixels[:, 0]
        pieces = [altered(source[rows[i :: len(kinds)]], kind, seed) for i, kind in enumerate(kinds)]
        owners = [self.train.patients[rows[i :: len(kinds)]] for i in range(len(kinds))]
        pixels = np.concatenate([base.pixels[kept, 0], *pieces])
        return image_set(f"planted {share}", pixels, np.concatenate([base.patients[kept], *owners]))


def make_world(train: int, control: int, panel: int, seed: int = 0) -> World:
    train_set = image_set("train", *draw_people("t", train, seed))
    firsts = np.unique(train_set.patients, return_index=True)[1][:panel]
    source = train_set.pixels[firsts, 0]
    return World(
        train=train_set,
        control_a=image_set("a", *draw_people("a", control, seed + 1)),
        control_b=image_set("b", *draw_people("b", control, seed + 2)),
        panel={kind: image_set(kind, altered(source, kind, seed + 3), train_set.patients[firsts]) for kind in KINDS},
    )


@pytest.fixture(scope="session")
def world() -> World:
    """400 control patients and 300 training patients."""
    return make_world(train=300, control=200, panel=120)


@pytest.fixture(scope="session")
def small_world() -> World:
    """Too few control patients for any verdict."""
    return make_world(train=60, control=20, panel=40, seed=50)
