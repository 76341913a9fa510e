"""Copies of training images, altered as a memoriser might, for controls and for measuring a detector's recall."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from synthassay.errors import UserError
from synthassay.generators.control_specs import CopyKind
from synthassay.records import ImageSet
from synthassay.seeding import derive_seed, numpy_generator

Pixels = NDArray[Any]  # uint8 or uint16

ROTATION_DEGREES = 5.0
NOISE_SHARE = 0.05  # standard deviation of added noise, as a share of the full range of the dtype
JPEG_QUALITY = 75


def alter(images: Pixels, kind: CopyKind, seeds: NDArray[np.int64]) -> Pixels:
    """Copies of ``images`` ``[n, c, (d,) h, w]`` (uint8 or uint16), altered by ``kind``; row i depends on ``seeds[i]``.

    Volumes are turned within their slices, and go through JPEG slice by slice.

    - ``exact``: unchanged.
    - ``mirrored``: left and right exchanged.
    - ``rotated``: by +5° or −5° about the centre, as the seed says; bilinear, the edge pixel repeated outside.
    - ``noise``: plus independent Gaussian noise of 0.05 of the full range, clipped to the range.
    - ``jpeg``: through JPEG at quality 75; 16-bit images keep their upper 8 bits on the way.
    """
    if len(seeds) != len(images):
        raise ValueError(f"{len(seeds)} seeds for {len(images)} images")
    return _ALTERATIONS[kind](np.asarray(images), seeds)


def _exact(images: Pixels, seeds: NDArray[np.int64]) -> Pixels:
    return images.copy()


def _mirrored(images: Pixels, seeds: NDArray[np.int64]) -> Pixels:
    return np.ascontiguousarray(images[..., ::-1])


def _rotated(images: Pixels, seeds: NDArray[np.int64]) -> Pixels:
    rotated = np.empty_like(images)
    turned_left = np.array([_draws(seed, "rotated").random() < 0.5 for seed in seeds], bool)
    for rows, angle in ((turned_left, ROTATION_DEGREES), (~turned_left, -ROTATION_DEGREES)):
        turned = ndimage.rotate(
            images[rows].astype(np.float64), angle, axes=(-2, -1), reshape=False, order=1, mode="nearest"
        )
        rotated[rows] = _rounded(turned, images.dtype)
    return rotated


def _noisy(images: Pixels, seeds: NDArray[np.int64]) -> Pixels:
    scale = NOISE_SHARE * np.iinfo(images.dtype).max
    noisy = np.empty_like(images)
    for row, seed in enumerate(seeds):
        noise = scale * _draws(seed, "noise").standard_normal(images.shape[1:])
        noisy[row] = _rounded(images[row] + noise, images.dtype)
    return noisy


def _jpeg(images: Pixels, seeds: NDArray[np.int64]) -> Pixels:
    step = np.iinfo(images.dtype).max // 255  # 1, or 257 for uint16
    compressed = np.empty_like(images)
    for row, image in enumerate(images):
        compressed[row] = _through_jpeg(_rounded(image / step, np.dtype(np.uint8))).astype(images.dtype) * step
    return compressed


def _through_jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``[c, (d,) h, w]`` → the same after compression: RGB as one colour image, other channel counts one by one."""
    if image.ndim == 4:
        return np.stack([_through_jpeg(plane) for plane in image.swapaxes(0, 1)], axis=1)
    if len(image) not in (1, 3):
        return np.concatenate([_through_jpeg(channel[None]) for channel in image])
    picture = Image.fromarray(np.moveaxis(image, 0, -1) if len(image) == 3 else image[0])
    with io.BytesIO() as memory:
        picture.save(memory, format="JPEG", quality=JPEG_QUALITY)
        with Image.open(memory) as back:
            decoded = np.asarray(back)
    return np.moveaxis(decoded, -1, 0) if len(image) == 3 else decoded[None]


_ALTERATIONS: dict[CopyKind, Callable[[Pixels, NDArray[np.int64]], Pixels]] = {
    "exact": _exact, "mirrored": _mirrored, "rotated": _rotated, "noise": _noisy, "jpeg": _jpeg,
}  # fmt: skip
COPY_KINDS: tuple[CopyKind, ...] = tuple(_ALTERATIONS)


def _draws(seed: np.int64, kind: str) -> np.random.Generator:
    return numpy_generator("alter", kind, int(seed))


def _rounded(values: NDArray[np.float64], dtype: np.dtype) -> Pixels:
    rounded: Pixels = np.rint(values).clip(0, np.iinfo(dtype).max).astype(dtype)
    return rounded


def spread_rows(patients: NDArray[np.str_], n: int, *purpose: str | int) -> NDArray[np.int64]:
    """``n`` of the rows of ``patients``, spread over as many patients as possible.

    Every patient gives an image before any gives a second, and every image is used before any is used again; the order
    of patients, and of the images of each, is drawn from ``purpose``. Patients count by first appearance, so that other
    pseudonyms give the same rows.
    """
    if n == 0 or len(patients) == 0:
        return np.empty(0, np.int64)
    _, first, member = np.unique(patients, return_index=True, return_inverse=True)
    generator = numpy_generator("spread", *purpose)
    shuffled = generator.permutation(len(patients))  # the order of images within a patient
    turn = generator.permutation(len(first))  # the order of patients, by first appearance
    patient = np.empty(len(first), np.int64)
    patient[np.argsort(first)] = turn
    place = patient[member[shuffled]]
    by_patient = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=len(first))
    rank = np.empty(len(patients), np.int64)  # how many images of its patient come before this one
    rank[by_patient] = np.arange(len(patients)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = shuffled[np.lexsort((place, rank))]
    return np.resize(order, n)


def numbered(prefix: str, n: int) -> NDArray[np.str_]:
    """Ids ``prefix-000000`` and on."""
    return np.array([f"{prefix}-{i:06d}" for i in range(n)], np.str_)


def copy_panel(
    train: ImageSet, kinds: Sequence[CopyKind] = COPY_KINDS, patients_per_kind: int = 35, seed: int = 0
) -> dict[CopyKind, ImageSet]:
    """Planted copies on which a detector's recall is measured, apart from any set under test.

    For each kind one altered image of each of ``patients_per_kind`` distinct patients of ``train``, or of all patients
    where there are fewer: the length of each set says how many. ``patients`` are the source patients.
    """
    if len(train) == 0:
        raise UserError("there is no generator-train image to plant copies of; check the cohort's split")
    available = len(np.unique(train.patients))
    panel: dict[CopyKind, ImageSet] = {}
    for kind in kinds:
        rows = spread_rows(train.patients, min(patients_per_kind, available), "panel", kind, seed)
        seeds = np.array([derive_seed("panel", kind, seed, i) for i in range(len(rows))], np.int64)
        panel[kind] = replace(
            train.take(rows), name=f"panel/{kind}", origin="control", pixels=alter(train.pixels[rows], kind, seeds),
            ids=numbered(f"panel-{kind}", len(rows)), split=None, seeds=None, generator_key=None, masks=None,
            mask_names=(), content_id="",
        )  # fmt: skip
    return panel
