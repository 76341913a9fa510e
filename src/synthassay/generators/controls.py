"""Controls: image sets with a known answer, made from real images without training; the rulers of every plot."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from synthassay.errors import UserError
from synthassay.generators.conditioning.plan import condition_plan
from synthassay.generators.control_specs import BlendSpec, ControlSpec, CopycatSpec, NoiseSpec, OracleSpec
from synthassay.generators.planting import alter, numbered, spread_rows
from synthassay.records import ImageSet
from synthassay.seeding import derive_seed, numpy_generator

THUMBNAIL = 16  # side in pixels at which images are compared when neighbours are sought
_TILE = 1024  # rows of a distance matrix held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSet:
    """A control and the truth about it.

    ``planted`` is ``[n]`` text: the kind of copy that an image is, ``""`` where it is none. ``source_rows`` is
    ``[n, 2]`` int64: the rows it was made from, of generator-train where ``from_train``, else of the control images;
    −1 where there is no (second) one.
    """

    images: ImageSet
    planted: NDArray[np.str_]
    source_rows: NDArray[np.int64]
    from_train: NDArray[np.bool_]


def make_control(spec: ControlSpec, train: ImageSet, control: ImageSet, n: int, seed: int) -> ControlSet:
    """The control set of ``spec``, with ``n`` images where its sources allow it.

    ``train`` is generator-train, ``control`` the images of both control splits. The oracle, and a copycat based on it,
    cannot have more images than ``control``. Labels, groups, covariates and patients are those of the (first) source;
    noise has labels and groups in the proportions of ``train`` and counts as its own patients.

    Raises :class:`~synthassay.errors.UserError` when the sources are empty or hold no pair to blend.
    """
    needs_control = isinstance(spec, OracleSpec) or (isinstance(spec, CopycatSpec) and spec.base == "control")
    for images, split, needed in ((train, "generator-train", not isinstance(spec, OracleSpec)),
                                  (control, "control", needs_control)):  # fmt: skip
        if needed and len(images) == 0:
            raise UserError(f"the {spec.name} control is made from {split} images, and there is none.\n"
                            "Give that split a share in cohort.split, or leave this control out.")  # fmt: skip
    match spec:
        case OracleSpec():
            return _oracle(spec, control, n, seed)
        case CopycatSpec(base="control"):
            return _planted_oracle(spec, train, control, n, seed)
        case CopycatSpec():
            return _copycat(spec, train, n, seed)
        case BlendSpec():
            return _blend(spec, train, n, seed)
        case NoiseSpec():
            return _noise(spec, train, n, seed)
    raise TypeError(f"no control is made from {type(spec).__name__}")


def _control(spec: ControlSpec, source: ImageSet, rows: NDArray[np.int64], pixels: NDArray) -> ImageSet:
    """``source``'s table at ``rows`` around other pixels, to which its masks need not fit."""
    return replace(
        source.take(rows), name=spec.name, origin="control", pixels=pixels, ids=numbered(spec.name, len(rows)),
        split=None, seeds=None, generator_key=None, masks=None, mask_names=(), content_id="",
    )  # fmt: skip


def _with_none(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([rows, np.full_like(rows, -1)], axis=1)


def _oracle_rows(control: ImageSet, n: int, seed: int) -> NDArray[np.int64]:
    return spread_rows(control.patients, min(n, len(control)), "control", "oracle", seed)


def _oracle(spec: OracleSpec, control: ImageSet, n: int, seed: int) -> ControlSet:
    rows = _oracle_rows(control, n, seed)
    images = _control(spec, control, rows, control.pixels[rows])
    return ControlSet(
        images=images,
        planted=np.full(len(rows), ""),
        source_rows=_with_none(rows),
        from_train=np.zeros(len(rows), bool),
    )


def _kinds(spec: CopycatSpec, n: int, seed: int) -> NDArray[np.str_]:
    """``n`` kinds in equal parts (counts differ by at most one), in an order drawn from ``seed``."""
    return numpy_generator("control", "kinds", seed).permutation(np.resize(np.array(spec.kinds), n))


def _copies(train: ImageSet, rows: NDArray[np.int64], kinds: NDArray[np.str_], seed: int) -> NDArray:
    """Pixels of ``train`` at ``rows``, altered by ``kinds``."""
    pixels = train.pixels[rows]
    seeds = np.array([derive_seed("control", "copy", seed, i) for i in range(len(rows))], np.int64)
    for kind in np.unique(kinds):
        chosen = kinds == kind
        pixels[chosen] = alter(pixels[chosen], str(kind), seeds[chosen])  # type: ignore[arg-type]
    return pixels


def _copycat(spec: CopycatSpec, train: ImageSet, n: int, seed: int) -> ControlSet:
    rows = spread_rows(train.patients, n, "control", "copycat", seed)
    kinds = np.full(n, "exact", dtype=f"<U{max(map(len, (*spec.kinds, 'exact')))}")
    altered = numpy_generator("control", "altered", seed).permutation(n)[: _whole(spec.share * n)]
    kinds[altered] = _kinds(spec, len(altered), seed)
    images = _control(spec, train, rows, _copies(train, rows, kinds, seed))
    return ControlSet(images=images, planted=kinds, source_rows=_with_none(rows), from_train=np.ones(n, bool))


def _whole(count: float) -> int:
    """Rounded to nearest, halves upwards, so that a share never depends on whether a count is even."""
    return math.floor(count + 0.5)


def _planted_oracle(spec: CopycatSpec, train: ImageSet, control: ImageSet, n: int, seed: int) -> ControlSet:
    rows = _oracle_rows(control, n, seed)
    count = _whole(spec.share * len(rows))
    places = np.sort(numpy_generator("control", "places", seed).permutation(len(rows))[:count])
    kinds = _kinds(spec, count, seed)
    sources = spread_rows(train.patients, count, "control", "copycat", seed)
    honest = np.delete(np.arange(len(rows)), places)

    copies = _control(spec, train, sources, _copies(train, sources, kinds, seed))
    order = np.argsort(np.concatenate([honest, places]))
    images = _joined(_control(spec, control, rows[honest], control.pixels[rows[honest]]), copies, order)
    planted = np.concatenate([np.full(len(honest), ""), kinds])[order]
    made_from = np.concatenate([rows[honest], sources])[order]
    return ControlSet(images=images, planted=planted, source_rows=_with_none(made_from), from_train=planted != "")


def _joined(first: ImageSet, second: ImageSet, order: NDArray[np.int64]) -> ImageSet:
    """Rows of ``first`` then of ``second``, in ``order``; columns that only one of them has are left out."""

    def column(a: NDArray, b: NDArray) -> NDArray:
        return np.concatenate([a, b])[order]

    return replace(
        first, pixels=column(first.pixels, second.pixels), ids=numbered(first.name, len(order)),
        patients=column(first.patients, second.patients), labels=column(first.labels, second.labels),
        groups={k: column(v, second.groups[k]) for k, v in first.groups.items() if k in second.groups},
        covariates={k: column(v, second.covariates[k]) for k, v in first.covariates.items() if k in second.covariates},
        content_id="",
    )  # fmt: skip


def _blend(spec: BlendSpec, train: ImageSet, n: int, seed: int) -> ControlSet:
    partners = neighbours(train, seed)
    usable = np.flatnonzero(partners >= 0)
    if len(usable) == 0:
        raise UserError(f"the {spec.name} control averages two generator-train images of one label, and no label has "
                        "two.\nLeave this control out, or give generator-train more images.")  # fmt: skip
    rows = usable[spread_rows(train.patients[usable], n, "control", "blend", seed)]
    weights = numpy_generator("control", "weights", seed).uniform(spec.weight_low, spec.weight_high, n)
    pixels = np.empty((n, *train.pixels.shape[1:]), train.pixels.dtype)
    for i, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        average = weight * train.pixels[row] + (1 - weight) * train.pixels[partners[row]]
        pixels[i] = np.rint(average)
    return ControlSet(
        images=_control(spec, train, rows, pixels), planted=np.full(n, ""),
        source_rows=np.stack([rows, partners[rows]], axis=1), from_train=np.ones(n, bool),
    )  # fmt: skip


def neighbours(images: ImageSet, seed: int) -> NDArray[np.int64]:
    """For each image the row of a neighbour with the same label, ``[n]`` int64, −1 where there is none.

    In a stack of slices it is the slice before or after: rows stand in the order of their stacks, and a stack goes on
    while patient and view stay and ``slice_position`` rises. Elsewhere it is the nearest other image in thumbnails.
    """
    n = len(images)
    position = images.covariates.get("slice_position", np.full(n, np.nan, np.float32))
    joined = (images.patients[1:] == images.patients[:-1]) & (images.labels[1:] == images.labels[:-1])
    joined &= position[1:] > position[:-1]  # false where either is missing
    if "view" in images.groups:
        joined &= images.groups["view"][1:] == images.groups["view"][:-1]
    after, before = np.append(joined, False), np.insert(joined, 0, False)
    forward = after & (~before | (numpy_generator("control", "neighbour", seed).random(n) < 0.5))
    index = np.arange(n)
    partner = np.where(forward, index + 1, np.where(before, index - 1, -1))
    alone = np.flatnonzero(partner < 0)
    if len(alone):
        partner[alone] = _nearest(images, alone)
    return partner


def _nearest(images: ImageSet, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest other image with the same label for each of ``rows``; −1 where the label has no other image."""
    vectors = _thumbnails(images)
    found = np.full(len(rows), -1, np.int64)
    for label in np.unique(images.labels[rows]):
        pool = np.flatnonzero(images.labels == label)
        if len(pool) < 2:
            continue
        wanted = np.flatnonzero(images.labels[rows] == label)
        others = torch.from_numpy(vectors[pool])
        for start in range(0, len(wanted), _TILE):
            tile = wanted[start : start + _TILE]
            distance = torch.cdist(torch.from_numpy(vectors[rows[tile]]), others)
            distance[torch.arange(len(tile)), torch.from_numpy(np.searchsorted(pool, rows[tile]))] = torch.inf
            found[tile] = pool[distance.argmin(dim=1).numpy()]
    return found


def _thumbnails(images: ImageSet) -> NDArray[np.float32]:
    """Images averaged down to at most 16 pixels along each axis, as ``[n, c·(d·)h·w]`` float32 in [0, 1]."""
    size = [min(THUMBNAIL, side) for side in images.pixels.shape[2:]]
    blocks = [
        F.interpolate(torch.from_numpy(images.pixels[i : i + _TILE].astype(np.float32)), size, mode="area").flatten(1)
        for i in range(0, len(images), _TILE)
    ]
    return np.asarray(torch.cat(blocks).numpy() / images.pixel_max, np.float32)


def _noise(spec: NoiseSpec, train: ImageSet, n: int, seed: int) -> ControlSet:
    mean, deviation = channel_moments(train)
    top = train.pixel_max
    pixels = np.empty((n, *train.pixels.shape[1:]), train.pixels.dtype)
    for i in range(n):
        noise = numpy_generator("control", "noise", seed, i).standard_normal(train.pixels.shape[1:])
        by_channel = (-1, *[1] * (noise.ndim - 1))
        pixels[i] = np.rint((mean.reshape(by_channel) + deviation.reshape(by_channel) * noise).clip(0, top))
    plan = condition_plan(train, n, ("label", *sorted(train.groups)), seed)
    ids = numbered(spec.name, n)
    images = ImageSet(
        name=spec.name, origin="control", pixels=pixels, ids=ids, patients=ids, labels=plan.pop("label"),
        label_names=train.label_names, groups=plan,
    )  # fmt: skip
    return ControlSet(
        images=images, planted=np.full(n, ""), source_rows=np.full((n, 2), -1), from_train=np.zeros(n, bool)
    )


def channel_moments(images: ImageSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel over all images and pixels, ``[c]`` each, in pixel units.

    Sums of squares are exact integers, so the order of the images does not matter.
    """
    channels = images.pixels.shape[1]
    total, squares = [0] * channels, [0] * channels
    for start in range(0, len(images), _TILE):
        for channel in range(channels):
            values = images.pixels[start : start + _TILE, channel].astype(np.uint64)
            total[channel] += int(values.sum())
            squares[channel] += int((values * values).sum())
    count = images.pixels.size // channels
    mean = np.array([t / count for t in total])
    variance = np.array([(s * count - t * t) / count**2 for s, t in zip(squares, total, strict=True)])
    return mean, np.sqrt(variance)
