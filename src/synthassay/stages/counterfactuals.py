"""counterfactuals: generator → the same seeds with one condition changed. Part of the step *sample*."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.conditioning.counterfactual import Contrast, contrasts
from synthassay.generators.conditioning.plan import conditions_of
from synthassay.generators.specs import GeneratorSpec
from synthassay.metrics.response import Response, response
from synthassay.records import ImageSet
from synthassay.stages.context import RunContext, RunSpec
from synthassay.stages.sample import draw_shards
from synthassay.store.store import StageKey, StageOutput
from synthassay.store.tables import write_array
from synthassay.team import current_team

VERSION = 1


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The images of one contrast, ``[s, v, c, (d,) h, w]``, and what they measure."""

    generator: str
    contrast: Contrast
    images: NDArray[Any]
    response: Response


def check_asked(spec: RunSpec, train: ImageSet) -> None:
    """Raises :class:`UserError` where contrasts of a label are asked for by name and no image has one."""
    known = {name for g in spec.generators for name in conditions_of(train, getattr(g, "condition_on", ()))}
    for name in spec.sample.counterfactuals.columns or ():
        if name not in known:
            raise UserError(f"sample.counterfactuals.columns names {name}, which no training image has.\n"
                            "Leave it out, or say where it stands: cohort.table.path and label.")  # fmt: skip


def counterfactuals(
    context: RunContext, spec: GeneratorSpec, trained: StageOutput, train: ImageSet, snapshot: int | None = None
) -> list[Counterfactual]:
    """One entry for each condition of ``spec`` that ``sample.counterfactuals`` asks for; drawn once, then found.

    ``snapshot``: the step whose state is sampled; None where there is only one.
    """
    settings, plan = context.spec.sample.counterfactuals, context.spec.sample.plan
    wanted = contrasts(train, spec.condition_on, settings, plan, context.spec.seed)
    if not wanted:
        return []
    facts = {"generator": spec.to_key(), "seed": context.spec.seed, "plan": plan.to_key(), "asked": settings.to_key()}
    facts["snapshot"] = snapshot
    key = StageKey("counterfactuals", VERSION, facts, {"generator": trained.key.digest, "train": train.content_id})

    def build(workdir: Path) -> None:
        seeds = np.concatenate([contrast.seeds for contrast in wanted])
        conditions = {name: np.concatenate([c.conditions[name] for c in wanted]) for name in wanted[0].conditions}
        shards = workdir / ".shards"
        paths = draw_shards(context, spec, trained, snapshot, seeds, conditions, shards, train, "counterfactuals of")
        if current_team().rank == 0:
            write_array(workdir / "pixels.npy", np.concatenate([np.load(path, allow_pickle=False) for path in paths]))

    output = context.note(context.store.run(key, build, shared=True))
    pixels = np.load(output.path / "pixels.npy", allow_pickle=False)
    parts = np.split(pixels, np.cumsum([len(contrast.seeds) for contrast in wanted])[:-1])
    return [_measured(spec.name, contrast, part) for contrast, part in zip(wanted, parts, strict=True)]


def _measured(name: str, contrast: Contrast, pixels: NDArray[Any]) -> Counterfactual:
    rows = pixels.reshape(len(contrast.others), len(contrast.values) + 1, *pixels.shape[1:])
    images, again = rows[:, :-1], rows[:, -1]
    return Counterfactual(name, contrast, images, response(images, again, contrast.reference))
