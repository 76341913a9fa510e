"""MS-SSIM diversity: how alike the images of one set are, as the mean MS-SSIM of random pairs (Odena et al. 2017).

Multi-scale structural similarity (Wang et al. 2003) as MONAI computes it: 11×11 Gaussian window with σ = 1.5, no
padding, K = (0.01, 0.03), negative terms set to zero, channels averaged at each scale. Five scales need 176 pixels.
Smaller images get as many of the finest scales as fit the window, and the weights of these divided by their sum; the
number of scales is part of the definition, since values with other numbers are not comparable.

Pairs are taken within one set only, never between real and synthetic images, and never within one patient. A high value
means images that repeat each other; but a low one is not good in itself, since noise has the lowest. The target is the
value of real images, so neither direction is better.

Interval: patients are joined to couples at random, each patient in one couple, and each image in one pair at most.
Couples are then independent: a clustered mean, with t on couples-1 degrees of freedom. All pairs would vary less, for n
times the work and through a projection that degenerates where the images are alike. For generated images, each its own
unit, a couple is a pair, and this is the plain t interval. A couple of patients has as many pairs as the one with fewer
images allows; the expected value does not depend on the number of pairs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthassay.errors import UserError
from synthassay.metrics.intervals import (
    CONFIDENCE,
    Interval,
    clustered_mean,
    no_interval,
    share_interval,
    t_interval,
    unit_codes,
)
from synthassay.metrics.measured_coverage import coverage_note
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import MIN_PATIENTS_FOR_INFERENCE, ImageSet, MetricResult, identity
from synthassay.seeding import numpy_generator

HIGHER_IS_BETTER: bool | None = None
PAIRS = 1000  # at most; more narrow the interval little and cost as much as those before

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # from fine to coarse (Wang et al. 2003)
MIN_SIDES = (11, 22, 44, 99, 176)  # pixels that MONAI needs for 1 to 5 scales
BATCH = 32  # pairs; fixed, since rounding may depend on it

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairSimilarity:
    """MS-SSIM of random pairs: ``values`` ``[p]`` in [0, 1], and ``couples`` ``[p]``, codes of the two patients.

    ``images``: how many the pairs were drawn from.
    """

    values: NDArray[np.float64]
    couples: Rows
    images: int

    @property
    def value(self) -> float:
        """The mean over pairs."""
        if not len(self.values):
            raise ValueError("there is no pair: a pair needs images of 2 patients")
        return float(self.values.mean())

    @property
    def units(self) -> int:
        """Patients that have a pair, or images where each is its own unit: two for each couple."""
        return 2 * len(np.unique(self.couples))

    def first(self, pairs: int) -> "PairSimilarity":
        """The same with ``pairs`` pairs at most, of as many patients as possible."""
        return replace(self, values=self.values[:pairs], couples=self.couples[:pairs])

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval by couple of patients, inside [0, 1], and never of zero width at 0 or 1."""
        value, error, couples = clustered_mean(self.values, self.couples)
        if couples < 2:
            return no_interval(f"an interval needs 2 couples, that is images of 4 patients; found {self.units}")
        interval = t_interval(value, error, couples, confidence, "disjoint pairs by couple of patients")
        return share_interval(value, interval, couples, confidence)


def ms_ssim_diversity(
    pixels: NDArray[np.unsignedinteger], units: ArrayLike | None = None, *, generator: np.random.Generator,
    rows: Rows | None = None, pairs: int = PAIRS, device: str = "cpu",
) -> PairSimilarity:  # fmt: skip
    """MS-SSIM of random pairs of ``pixels`` ``[n, c, h, w]``, uint8 or uint16 over the full range of the dtype.

    ``units``: ``[n]`` patients (None: each image its own). ``rows``: the images to draw from (None: all). At most
    ``pairs`` pairs, of as many patients as possible; none where the images are of one patient. The array may be a
    memory map, of which only the images that were drawn are read.
    """
    scales_for(pixels)
    names = np.arange(len(pixels)) if units is None else np.asarray(units)
    if len(names) != len(pixels):
        raise UserError(f"{len(pixels)} images were given with {len(names)} patients")
    members = np.arange(len(pixels)) if rows is None else rows
    left, right, couples = (part[:pairs] for part in disjoint_pairs(unit_codes(names[members]), generator))
    found = _similarities(pixels, members[left], members[right], device)
    return PairSimilarity(np.concatenate([np.zeros(0), *found]), couples, len(members))


def diversity_by_group(
    images: ImageSet, *, seed: int, pairs: int = PAIRS, device: str = "cpu"
) -> dict[str, PairSimilarity]:  # fmt: skip
    """:func:`ms_ssim_diversity` of a set: ``"all"`` images, and ``"label=NAME"`` within each label.

    Within a label, since a generator that makes one image for each label looks diverse over all of them.
    """
    rows = {"all": np.arange(len(images))}
    rows |= {f"label={name}": np.flatnonzero(images.labels == label) for label, name in enumerate(images.label_names)}
    return {
        group: ms_ssim_diversity(images.pixels, images.patients, rows=members, pairs=pairs, device=device,
                                 generator=numpy_generator("ms-ssim", seed, group))
        for group, members in rows.items()
    }  # fmt: skip


def ms_ssim_results(
    subject: ImageSet, made: Mapping[str, PairSimilarity], real: ImageSet, floors: Mapping[str, PairSimilarity], *,
    reference: str, spec: FidelitySpec, seed: int,
) -> list[MetricResult]:  # fmt: skip
    """One result for each group of the ``real`` images; the floor is their own value at the same number of pairs.

    ``made`` and ``floors`` are :func:`diversity_by_group` of ``subject`` and ``real`` with one ``seed``; ``reference``
    names the real split. ``spec`` gives the smallest groups, which are absent below it, and the confidence.
    """
    if scales_for(subject.pixels) != scales_for(real.pixels):
        raise UserError(f"{subject.name} has images of {subject.pixels.shape[2:]} pixels and {real.name} of "
                        f"{real.pixels.shape[2:]}: MS-SSIM has other scales there; use one size")  # fmt: skip
    rows, unit = [], "patient" if len(np.unique(subject.patients)) < len(subject) else "image"
    for group, floor in floors.items():
        pairs = min(len(floor.values), len(made[group].values)) if group in made else 0
        what = identity(metric="ms_ssim", definition=definition(real.pixels), group=group, reference=reference,
                        reference_content=real.content_id, pairs=pairs)  # fmt: skip
        base = MetricResult(
            family="fidelity", metric="ms_ssim", generator=subject.name, reference=reference, group=group, unit="1",
            higher_is_better=HIGHER_IS_BETTER, resampling_unit=unit, seed=seed, identity=what,
        )  # fmt: skip
        reason = _too_small(made.get(group), floor, spec)
        if reason:
            rows.append(replace(base, status="absent", note=reason))
        else:
            rows.append(_filled(base, made[group].first(pairs), floor.first(pairs), spec.confidence))
    return rows


def _too_small(made: PairSimilarity | None, floor: PairSimilarity, spec: FidelitySpec) -> str:
    if made is None:
        return "the set has no such group"
    if min(made.images, floor.images) < spec.min_group_images or floor.units < spec.min_group_patients:
        return (f"{floor.images} real images with pairs of {floor.units} patients and {made.images} of the set; at "
                f"least {spec.min_group_images} and {spec.min_group_patients} are needed")  # fmt: skip
    return "" if len(made.values) else "the images of the set are of one patient"


def _filled(row: MetricResult, made: PairSimilarity, floor: PairSimilarity, confidence: float) -> MetricResult:
    interval, around = made.interval(confidence), floor.interval(confidence)
    descriptive = made.units < MIN_PATIENTS_FOR_INFERENCE
    notes = [interval.note, "neither direction is better: compare with the floor"]
    if interval.low is not None:
        notes.append(coverage_note("ms_ssim", "patient-aware", made.units, confidence))
    if not descriptive and floor.units < MIN_PATIENTS_FOR_INFERENCE:
        notes.append(f"the floor is descriptive: it rests on {floor.units} patients")
    return replace(
        row, value=made.value, ci_low=interval.low, ci_high=interval.high, ci_method=interval.method,
        n_real=floor.images, n_synthetic=made.images, n_patients=made.units,
        status="descriptive" if descriptive else "ok", note="; ".join(note for note in notes if note),
        floor=floor.value, floor_ci_low=around.low, floor_ci_high=around.high,
    )  # fmt: skip


def definition(pixels: NDArray[np.unsignedinteger]) -> str:
    """What must be equal for two values to be comparable."""
    scales = scales_for(pixels)
    weights = "/".join(f"{weight:.4f}" for weight in scale_weights(scales))
    window = "x".join(["11"] * (pixels.ndim - 2))
    return (f"mean over pairs of images of two patients, {scales} scales weighted {weights}, "
            f"{window} Gaussian window, sigma 1.5, K 0.01/0.03, no padding")  # fmt: skip


def scales_for(pixels: NDArray[np.unsignedinteger]) -> int:
    """The number of scales for images ``[n, c, (d,) h, w]``: 5 from 176 pixels of the shortest side, 4 from 99, 3 from
    44, 2 from 22, 1 from 11."""
    if pixels.ndim not in (4, 5) or pixels.dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"MS-SSIM needs images [n, c, (d,) h, w] of uint8 or uint16, found {pixels.shape} {pixels.dtype}"
        )
    side = min(pixels.shape[2:])
    if side < MIN_SIDES[0]:
        raise UserError(f"MS-SSIM needs images of at least {MIN_SIDES[0]} pixels on each side, found "
                        f"{'×'.join(map(str, pixels.shape[2:]))}")  # fmt: skip
    return sum(side >= least for least in MIN_SIDES)


def scale_weights(scales: int) -> tuple[float, ...]:
    """The weights of the finest ``scales`` scales: divided by their sum, except the five, which the paper rounded."""
    total = sum(WEIGHTS[:scales]) if scales < len(WEIGHTS) else 1.0
    return tuple(weight / total for weight in WEIGHTS[:scales])


def disjoint_pairs(codes: Rows, generator: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    """Rows of the first and of the second image of each pair, and the couple of units that it belongs to, ``[p]`` each.

    ``codes``: ``[n]`` unit codes. Units are joined to couples at random (with an odd number one is left over); the
    images of a couple are paired at random, each once. First comes one pair of every couple, then the second ones.
    """
    if not len(codes):
        return (np.zeros(0, np.int64),) * 3
    shuffled = generator.permutation(len(codes))
    seats = generator.permutation(int(codes.max()) + 1)[codes[shuffled]]  # units at seats 2k and 2k+1 are couple k
    order = np.argsort(seats, kind="stable")
    rows, seats = shuffled[order], seats[order]
    turn = np.arange(len(rows)) - np.searchsorted(seats, seats)  # 0, 1, ... within each unit
    place = turn * (int(seats[-1]) // 2 + 1) + seats // 2  # equal for the two images of a pair, ascending by turn
    first, second = np.flatnonzero(seats % 2 == 0), np.flatnonzero(seats % 2 == 1)
    _, left, right = np.intersect1d(place[first], place[second], assume_unique=True, return_indices=True)
    return rows[first[left]], rows[second[right]], seats[first[left]] // 2


def _similarities(
    pixels: NDArray[np.unsignedinteger], left: Rows, right: Rows, device: str
) -> Iterator[NDArray[np.float64]]:
    """MS-SSIM of the pairs, batch by batch."""
    import torch
    from monai.metrics.regression import compute_ms_ssim

    def unit(rows: Rows) -> torch.Tensor:
        block = np.asarray(pixels[rows], np.float32) / np.float32(np.iinfo(pixels.dtype).max)
        return torch.from_numpy(block).to(device)

    weights = scale_weights(scales_for(pixels))
    for start in range(0, len(left), BATCH):
        part = slice(start, start + BATCH)
        found = compute_ms_ssim(
            unit(left[part]), unit(right[part]), spatial_dims=pixels.ndim - 2, data_range=1.0, weights=weights
        )
        # Rounding can lift the similarity of equal images over 1.
        yield found[:, 0].double().clamp(0.0, 1.0).cpu().numpy()
