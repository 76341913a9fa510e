"""sample: generator → synthetic image set. Image i depends on seed i, whatever was killed in between."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.conditioning.plan import MEASURED, condition_plan, planned_images
from synthassay.generators.conditioning.plan_specs import PlanSpec
from synthassay.generators.protocol import Sampler
from synthassay.generators.specs import GeneratorSpec
from synthassay.records import MISSING, UNLABELLED, ImageSet
from synthassay.seeding import derive_seed
from synthassay.stages.context import RunContext
from synthassay.stopping import stop_requests
from synthassay.store.store import StageKey, StageOutput
from synthassay.store.tables import load_images, save_images, write_array
from synthassay.team import current_team

VERSION = 3
PLACES = ("site", "device")  # columns of every synthetic set, conditioned on or not


def sample(
    context: RunContext,
    spec: GeneratorSpec,
    trained: StageOutput,
    train: ImageSet,
    snapshot: int | None = None,
    trial: int | None = None,
) -> ImageSet:
    """The synthetic set of ``spec``: as many images as generator-train unless ``images`` or the plan says otherwise.

    ``snapshot``: the step whose state is sampled; None where there is only one. ``trial``: instead, so many images
    with the conditions of generator-train and from seeds of their own, by which a snapshot is chosen.
    """
    plan = context.spec.sample.plan if trial is None else PlanSpec()
    n = trial or spec.images or planned_images(plan) or len(train)
    purpose = "image" if trial is None else "trial image"
    inputs = {"generator": trained.key.digest, "train": train.content_id}
    params = {"generator": spec.to_key(), "n": n, "seed": context.spec.seed, "plan": plan.to_key()}
    key = StageKey("sample" if trial is None else "trial", VERSION, params | {"snapshot": snapshot}, inputs)

    def build(workdir: Path) -> None:
        conditions = condition_plan(train, n, spec.condition_on, context.spec.seed, plan)
        seeds = np.array([derive_seed(purpose, context.spec.seed, i) for i in range(n)], np.int64)
        paths = draw_shards(context, spec, trained, snapshot, seeds, conditions, workdir / ".shards", train)
        if current_team().rank == 0:
            pixels = np.concatenate([np.load(path, allow_pickle=False) for path in paths])
            save_images(_as_set(spec, trained, pixels, seeds, conditions, train), workdir)

    output = context.note(context.store.run(key, build, shared=True))
    return load_images(output.path)


def draw_shards(
    context: RunContext,
    spec: GeneratorSpec,
    trained: StageOutput,
    snapshot: int | None,
    seeds: NDArray[np.int64],
    conditions: dict[str, NDArray],
    shards: Path,
    train: ImageSet,
    what: str = "sample",
) -> list[Path]:
    """Sample in shards, as many at once as the device holds; a finished one is a file and is not drawn again.

    Each process of a team draws its own. ``what``: what the progress bar says. A signal that asks for an end is obeyed
    after those under way.
    """
    shards.mkdir(exist_ok=True)
    starts = range(0, len(seeds), spec.sample_batch)
    paths = [shards / f"{start:08d}.npy" for start in starts]
    team = current_team()
    rows = np.arange(len(seeds))
    cut = [(rows[start : start + spec.sample_batch], path) for start, path in zip(starts, paths, strict=True)]
    mine = cut[team.rank :: team.size]
    left = [(rows, path) for rows, path in mine if not path.exists()]
    total = sum(len(rows) for rows, _ in mine)
    context.progress.start(f"{what} {spec.name}", total, total - sum(len(rows) for rows, _ in left))
    sampler: Sampler | None = None
    with stop_requests() as stop:
        while left:
            sampler = sampler or spec.build().load(trained.path, context.resources, snapshot)
            together = max(1, sampler.batch_size // spec.sample_batch)
            _draw(sampler, left[:together], seeds, conditions, train.pixels.dtype.name)
            context.progress.advance(sum(len(rows) for rows, _ in left[:together]))
            left = left[together:]
            stop.obey()
    context.progress.finish()
    team.wait()
    return paths


def _draw(
    sampler: Sampler, shards: list[tuple[NDArray[np.int64], Path]], seeds: NDArray[np.int64],
    conditions: dict[str, NDArray], dtype: str,
) -> None:  # fmt: skip
    """Draw ``shards``, the rows and the file of each, at once."""
    rows = np.concatenate([rows for rows, _ in shards])
    ends = np.cumsum([len(rows) for rows, _ in shards])
    images = sampler.sample(seeds[rows], {name: values[rows] for name, values in conditions.items()})
    for part, (_, path) in zip(np.split(images, ends[:-1]), shards, strict=True):
        write_array(path, quantise(part, dtype))


def quantise(images: NDArray[np.float32], dtype: str) -> NDArray:
    """Images in [0, 1] → integers over the full range of ``dtype``, rounded to nearest; values outside are clipped."""
    top = np.iinfo(dtype).max
    return np.rint(np.clip(images, 0.0, 1.0).astype(np.float64) * top).astype(dtype)


def _as_set(
    spec: GeneratorSpec,
    trained: StageOutput,
    pixels: NDArray,
    seeds: NDArray[np.int64],
    conditions: dict[str, NDArray],
    train: ImageSet,
) -> ImageSet:
    n = len(pixels)
    ids = np.array([f"{spec.name}-{i:06d}" for i in range(n)])
    columns = (*PLACES, *(name for name in train.groups if name in conditions and name not in PLACES))
    groups = {name: conditions.get(name, np.full(n, MISSING)).astype(np.str_) for name in columns}
    masks = conditions.get("mask")
    return ImageSet(
        name=spec.name,
        origin="generator",
        pixels=pixels,
        ids=ids,
        patients=ids,
        seeds=seeds,
        groups=groups,
        covariates={name: conditions[name] for name in MEASURED if name in conditions},
        masks=masks,
        mask_names=() if masks is None else train.mask_names,
        labels=conditions.get("label", np.full(n, UNLABELLED)).astype(np.int64),
        label_names=train.label_names,
        generator_key=trained.key.digest,
    )
