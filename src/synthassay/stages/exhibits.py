"""What the report shows besides numbers and samples: summaries, strips, copied pairs, losses."""

import csv
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.conditioning.plan_specs import PlanSpec
from synthassay.generators.selection_specs import SelectSpec
from synthassay.records import GROUP_COLUMNS, MISSING, SPLITS, UNLABELLED, Cohort, ImageSet
from synthassay.reports.data import (
    CohortCount,
    CohortSummary,
    CopiedPair,
    LossCurve,
    Selection,
    SetSummary,
    Strip,
    Unit,
)
from synthassay.scans.text import AGE_BANDS
from synthassay.specs import Spec, digest_of
from synthassay.stages.samples import label_texts, pictured

if TYPE_CHECKING:
    from synthassay.stages.line import Line

PAIRS = 6  # most copied pairs of one set
STRIP_ROWS = 3  # seeds of a strip of counterfactuals
ORDERS = {"split": SPLITS, "age_band": tuple(name for _, name in AGE_BANDS)}  # of other columns: sorted
PLANNED = {"uniform": "every combination of conditions equally often", "table": "conditions from a table"}


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


def cohort_summary(cohort: Cohort, unit: Unit) -> CohortSummary:
    """Counts by split, site, device, label, sex and age band, the policy and the notes; ids stand for ``unit``."""
    images = cohort.images
    columns = {"split": cohort.splits, "label": label_texts(images)}
    columns |= {name: images.groups[name] for name in GROUP_COLUMNS if name in images.groups}
    counts = [row for name, values in columns.items() for row in _counts(name, values, images.patients)]
    external = cohort.splits == "external"
    outside = sorted({str(site) for site in images.groups["site"][external]}) if "site" in images.groups else []
    return CohortSummary(
        name=cohort.name,
        unit=unit,
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
    ranks = {name: rank for rank, name in enumerate(ORDERS.get(column, ()))}
    order = sorted(found, key=lambda name: (name == MISSING, ranks.get(name, 0)))
    return [
        CohortCount(
            column=column, value=v, patients=len(np.unique(patients[values == v])), images=int((values == v).sum())
        )
        for v in order
        if len(order) > 1 or v != MISSING
    ]


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
