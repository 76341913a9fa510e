"""What the report shows besides numbers: summaries, sample grids, copied pairs, losses."""

import csv
from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.conditioning.plan_specs import PlanSpec
from synthassay.generators.selection_specs import SelectSpec
from synthassay.records import GROUP_COLUMNS, MISSING, SPLITS, UNLABELLED, ImageSet
from synthassay.reports.data import (
    CohortCount,
    CohortSummary,
    CopiedPair,
    GridCell,
    LossCurve,
    Selection,
    SetSummary,
    Strip,
)
from synthassay.seeding import derive_seed
from synthassay.specs import Spec, digest_of

if TYPE_CHECKING:
    from synthassay.stages.line import Line

PER_CELL = 6  # images of one set, label and site in a grid
PAIRS = 6  # most copied pairs of one set
STRIP_ROWS = 3  # seeds of a strip of counterfactuals
PLANNED = {"uniform": "every combination of conditions equally often", "table": "conditions from a table"}


def as_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """``uint8`` as it is, ``uint16`` by its high byte."""
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def pictured(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """``[m, c, h, w]`` as ``uint8``; of volumes ``[m, c, d, h, w]`` the middle slices across the three axes.

    These stand side by side, the first one as the volume is stacked, at the top of a black ground.
    """
    if pixels.ndim == 4:
        return as_uint8(pixels)
    planes = [as_uint8(np.take(pixels, pixels.shape[axis] // 2, axis)) for axis in (2, 3, 4)]
    height = max(plane.shape[2] for plane in planes)
    return np.concatenate([np.pad(p, ((0, 0), (0, 0), (0, height - p.shape[2]), (0, 0))) for p in planes], axis=3)


def set_summaries(line: "Line") -> list[SetSummary]:
    """One summary per set under test; the digest tells which runs may be averaged over seeds."""
    specs = {s.name: s for s in (*line.context.spec.generators, *line.context.spec.controls)}
    plan, rule = line.context.spec.sample.plan, line.context.spec.select
    return [
        SetSummary(
            name=name,
            origin=images.origin,
            images=len(images),
            units=len(np.unique(images.patients)),
            settings_digest=_settings_digest(specs[name], images, plan, rule if name in line.selections else None),
            description="; ".join(_phrases(specs[name], line.selections.get(name), images, plan)),
            selection=line.selections.get(name),
            positive_control=getattr(specs[name], "positive_control", False),
        )
        for name, images in line.sets.items()
    ]


def _planned(images: ImageSet, plan: PlanSpec) -> bool:
    """Whether the set was sampled with other conditions than those of generator-train."""
    return images.origin == "generator" and plan.rule in PLANNED


def _settings_digest(spec: Spec, images: ImageSet, plan: PlanSpec, rule: SelectSpec | None) -> str:
    others = [plan.to_key()] if _planned(images, plan) else []
    others += [rule.to_key()] if rule is not None else []
    return digest_of([spec.to_key(), *others] if others else spec.to_key())[:12]


def _phrases(spec: Spec, selection: Selection | None, images: ImageSet, plan: PlanSpec) -> Iterator[str]:
    """What a set is: the first sentence of its spec, the steps of its training, and what else was asked for."""
    yield (type(spec).__doc__ or "").split("\n")[0].rstrip(".")
    training = getattr(spec, "training", None)
    if training is not None:
        yield f"{training.steps:,} steps"
    if getattr(spec, "private", None) is not None:
        yield "differentially private"
    if selection is not None and selection.chosen < selection.steps:
        yield f"sampled as it was after {selection.chosen:,}"
    if _planned(images, plan):
        yield PLANNED[plan.rule]


def cohort_summary(line: "Line") -> CohortSummary:
    """Counts by split, site, device, label, sex and age band, the policy and the notes."""
    cohort, images = line.cohort, line.cohort.images
    columns = {"split": cohort.splits, "label": np.array([*images.label_names, "no label"])[images.labels]}
    columns |= {name: images.groups[name] for name in GROUP_COLUMNS if name in images.groups}
    counts = [row for name, values in columns.items() for row in _counts(name, values, images.patients)]
    external = cohort.splits == "external"
    outside = sorted({str(site) for site in images.groups["site"][external]}) if "site" in images.groups else []
    return CohortSummary(
        name=cohort.name,
        label=cohort.label if (images.labels != UNLABELLED).any() else "",
        positive=images.label_names[cohort.positive],
        patients=len(np.unique(images.patients)),
        images=len(images),
        shape=tuple(images.pixels.shape[1:]),
        bits=8 * images.pixels.dtype.itemsize,
        counts=counts,
        policy=cohort.policy,
        external=outside,
        notes=tuple(cohort.notes),
        tables=tuple(cohort.tables),
    )


def _counts(column: str, values: NDArray[np.str_], patients: NDArray[np.str_]) -> list[CohortCount]:
    found = [str(v) for v in np.unique(values)]
    order = [s for s in SPLITS if s in found] if column == "split" else found
    return [
        CohortCount(
            column=column, value=v, patients=len(np.unique(patients[values == v])), images=int((values == v).sum())
        )
        for v in order
        if len(order) > 1 or v != MISSING
    ]


def grid_cells(line: "Line", *, real_images: bool) -> list[GridCell]:
    """Sample images per set, label and site. Controls are made of real images, all but the noise."""
    shown: dict[str, ImageSet] = {}
    if real_images:
        shown["real (test)"] = line.cohort.split("test")
        if len(external := line.cohort.split("external")):
            shown["real (external)"] = external
    for name, images in line.sets.items():
        if real_images or images.origin in ("generator", "external"):
            shown[name] = images
    return [cell for name, images in shown.items() for cell in _cells(name, images)]


def split_cells(line: "Line") -> list[GridCell]:
    """Real images per split, label and site; only those that are shown are read."""
    cohort = line.cohort
    return [cell for name in SPLITS for cell in _cells(name, cohort.images, cohort.splits == name)]


def _cells(name: str, images: ImageSet, within: NDArray[np.bool_] | bool = True) -> Iterable[GridCell]:
    """The cells of the images ``within``, all of them by default."""
    sites = images.groups.get("site", np.full(len(images), MISSING))
    for label, site in product(np.unique(images.labels).tolist(), np.unique(sites)):
        rows = np.flatnonzero((images.labels == label) & (sites == site) & within)
        if not len(rows):
            continue
        chosen = np.random.default_rng(derive_seed("grid", name, label, str(site))).permutation(rows)[:PER_CELL]
        text = images.label_names[label] if label != UNLABELLED else "no label"
        yield GridCell(
            set_name=name,
            label=text,
            site=str(site),
            images=pictured(np.asarray(images.pixels[np.sort(chosen)])),
        )


def strips(line: "Line") -> list[Strip]:
    """The counterfactuals of each generator: pictures of the first seeds, numbers of all."""
    made = []
    for item in line.counterfactuals:
        shown = item.images[:STRIP_ROWS]
        pictures = pictured(shown.reshape(-1, *shown.shape[2:]))
        made.append(
            Strip(
                generator=item.generator,
                column=item.contrast.column,
                values=item.contrast.values,
                reference=item.contrast.reference,
                left_out=item.contrast.left_out,
                images=pictures.reshape(*shown.shape[:2], *pictures.shape[1:]),
                others=item.contrast.others[:STRIP_ROWS],
                unseen=item.contrast.unseen[:STRIP_ROWS],
                change=item.response.change,
                other=item.response.other,
                share=item.response.share,
                ci_low=item.response.interval.low,
                ci_high=item.response.interval.high,
                seeds=item.response.seeds,
            )
        )
    return made


def copied_pairs(line: "Line") -> list[CopiedPair]:
    """For each set the images that look most like a training image, beside it."""
    train = line.cohort.split("generator-train")
    pairs = []
    for name, record in line.memorisation.items():
        images = line.sets[name]
        for i in np.argsort(record.scores, kind="stable")[:PAIRS] if len(record.scores) else ():
            row = record.rows[i]
            match = np.asarray(train.pixels[row])[..., ::-1] if record.flipped[i] else np.asarray(train.pixels[row])
            pairs.append(
                CopiedPair(
                    generator=name,
                    synthetic=pictured(np.asarray(images.pixels[i])[None])[0],
                    train=pictured(match[None])[0],
                    score=float(record.scores[i]),
                    space=str(record.spaces[i]),
                    mirrored=bool(record.flipped[i]),
                )
            )
    return pairs


def loss_curves(line: "Line") -> list[LossCurve]:
    """The losses that each trained generator kept."""
    curves = []
    for name, trained in line.trained.items():
        if trained.key.stage != "train":  # a pretrained generator brings no losses
            continue
        for path in [*sorted(trained.path.glob("*/losses.csv")), trained.path / "losses.csv"]:
            with path.open(newline="") as stream:
                rows = list(csv.DictReader(stream))
            if rows:
                columns = {column: np.array([float(row[column]) for row in rows]) for column in rows[0]}
                part = "" if path.parent == trained.path else f" {path.parent.name}"  # a training before the other
                curves.append(LossCurve(generator=name + part, columns=columns))
    return curves


def tracker_grids(line: "Line", real_images: bool) -> dict[str, NDArray[np.uint8]]:
    """One picture ``[h, w, c]`` per set: a row of samples for each label and site."""
    rows: dict[str, list[NDArray[np.uint8]]] = {}
    for cell in grid_cells(line, real_images=real_images):
        padded = np.zeros((PER_CELL, *cell.images.shape[1:]), np.uint8)
        padded[: len(cell.images)] = cell.images
        rows.setdefault(cell.set_name, []).append(np.concatenate(list(padded.transpose(0, 2, 3, 1)), axis=1))
    return {name: np.concatenate(strips, axis=0) for name, strips in rows.items()}
