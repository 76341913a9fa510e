"""What the report shows besides numbers: summaries, sample grids, copied pairs, losses."""

import csv
from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.conditioning.plan_specs import PlanSpec
from synthassay.records import GROUP_COLUMNS, MISSING, SPLITS, UNLABELLED, ImageSet
from synthassay.reports.data import CohortCount, CohortSummary, CopiedPair, GridCell, LossCurve, SetSummary
from synthassay.seeding import derive_seed
from synthassay.specs import Spec, digest_of

if TYPE_CHECKING:
    from synthassay.stages.line import Line

PER_CELL = 6  # images of one set, label and site in a grid
PAIRS = 6  # most copied pairs of one set
PLANNED = {"uniform": "every combination of conditions equally often", "table": "conditions from a table"}


def as_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """``uint8`` as it is, ``uint16`` by its high byte."""
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def set_summaries(line: "Line") -> list[SetSummary]:
    """One summary per set under test; the digest tells which runs may be averaged over seeds."""
    specs = {s.name: s for s in (*line.context.spec.generators, *line.context.spec.controls)}
    plan = line.context.spec.sample.plan
    return [
        SetSummary(
            name=name,
            origin=images.origin,
            images=len(images),
            units=len(np.unique(images.patients)),
            settings_digest=_settings_digest(specs[name], images, plan),
            description=_phrase(specs[name]) + (f"; {PLANNED[plan.rule]}" if _planned(images, plan) else ""),
        )
        for name, images in line.sets.items()
    ]


def _planned(images: ImageSet, plan: PlanSpec) -> bool:
    """Whether the set was sampled with other conditions than those of generator-train."""
    return images.origin == "generator" and plan.rule in PLANNED


def _settings_digest(spec: Spec, images: ImageSet, plan: PlanSpec) -> str:
    settings = [spec.to_key(), plan.to_key()] if _planned(images, plan) else spec.to_key()
    return digest_of(settings)[:12]


def _phrase(spec: Spec) -> str:
    """What a set is, in one phrase: the first sentence of its spec, and the steps it was trained for."""
    sentence = (type(spec).__doc__ or "").split("\n")[0].rstrip(".")
    training, private = getattr(spec, "training", None), getattr(spec, "private", None)
    parts = [sentence, f"{training.steps:,} steps" if training is not None else ""]
    return "; ".join(filter(None, [*parts, "differentially private" if private is not None else ""]))


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
        label=cohort.label,
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


def _cells(name: str, images: ImageSet) -> Iterable[GridCell]:
    sites = images.groups.get("site", np.full(len(images), MISSING))
    for label, site in product(np.unique(images.labels).tolist(), np.unique(sites)):
        rows = np.flatnonzero((images.labels == label) & (sites == site))
        if not len(rows):
            continue
        chosen = np.random.default_rng(derive_seed("grid", name, label, str(site))).permutation(rows)[:PER_CELL]
        text = images.label_names[label] if label != UNLABELLED else "no label"
        yield GridCell(
            set_name=name,
            label=text,
            site=str(site),
            images=as_uint8(np.asarray(images.pixels[np.sort(chosen)])),
        )


def copied_pairs(line: "Line") -> list[CopiedPair]:
    """For each set the images that look most like a training image, beside it."""
    train = line.cohort.split("generator-train")
    pairs = []
    for name, record in line.memorisation.items():
        images = line.sets[name]
        for i in np.argsort(record.scores, kind="stable")[:PAIRS] if len(record.scores) else ():
            match = as_uint8(np.asarray(train.pixels[record.rows[i]]))
            pairs.append(
                CopiedPair(
                    generator=name,
                    synthetic=as_uint8(np.asarray(images.pixels[i])),
                    train=match[..., ::-1].copy() if record.flipped[i] else match,
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
        with (trained.path / "losses.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        if rows:
            columns = {column: np.array([float(row[column]) for row in rows]) for column in rows[0]}
            curves.append(LossCurve(generator=name, columns=columns))
    return curves


def tracker_grids(line: "Line", real_images: bool) -> dict[str, NDArray[np.uint8]]:
    """One picture ``[h, w, c]`` per set: a row of samples for each label and site."""
    rows: dict[str, list[NDArray[np.uint8]]] = {}
    for cell in grid_cells(line, real_images=real_images):
        padded = np.zeros((PER_CELL, *cell.images.shape[1:]), np.uint8)
        padded[: len(cell.images)] = cell.images
        rows.setdefault(cell.set_name, []).append(np.concatenate(list(padded.transpose(0, 2, 3, 1)), axis=1))
    return {name: np.concatenate(strips, axis=0) for name, strips in rows.items()}
