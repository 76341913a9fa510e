"""acquire: what needs no training: controls made from real images, sets and generators of others."""

import json
from collections import Counter
from pathlib import Path

from synthassay.errors import UserError
from synthassay.generators.control_specs import ControlSpec
from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.foreign.specs import PretrainedSpec
from synthassay.records import Cohort, ImageSet, content_digest
from synthassay.stages.context import RunContext
from synthassay.store.files import write_json
from synthassay.store.store import StageKey, StageOutput
from synthassay.store.tables import load_images, save_images

VERSION = 3
PRETRAINED_VERSION = 1


def acquire_control(context: RunContext, spec: ControlSpec, cohort: Cohort) -> ImageSet:
    """The control set of ``spec``, as many images as the control splits hold."""
    from synthassay.generators.controls import make_control

    train, control = cohort.split("generator-train"), cohort.split("control-a", "control-b")
    inputs = {"train": train.content_id, "control": control.content_id}
    inputs["pseudonyms"] = content_digest(train.patients, control.patients)  # a control set carries them
    key = StageKey("control", VERSION, {"control": spec.to_key(), "seed": context.spec.seed}, inputs)

    def build(workdir: Path) -> None:
        made = make_control(spec, train, control, len(control), context.spec.seed)
        save_images(made.images, workdir)
        write_json(workdir / "planted.json", dict(Counter(made.planted.tolist())))

    output = context.note(context.store.run(key, build))
    return load_images(output.path)


def acquire_external(context: RunContext, spec: ExternalSpec, cohort: Cohort) -> tuple[ImageSet, dict[str, int]]:
    """The set under ``spec.root`` in the cohort's shape, and how many of its files were left out by reason."""
    from synthassay.generators.external.sets import external_fingerprint, load_external

    if not spec.root or not Path(spec.root).expanduser().is_dir():
        raise UserError(
            f"generator.root={spec.root} is not a folder.\nGive the folder that holds the synthetic images."
        )
    root = Path(spec.root).expanduser()
    inputs = {"source": external_fingerprint(spec, root), "policy": json.dumps(cohort.policy, sort_keys=True)}
    inputs["labels"] = json.dumps(cohort.images.label_names)
    key = StageKey("external", VERSION, {"external": spec.to_key()}, inputs)

    def build(workdir: Path) -> None:
        images, quarantined = load_external(
            spec, root, like=cohort.images, policy=cohort.policy, resources=context.resources, progress=context.progress
        )
        save_images(images, workdir)
        write_json(workdir / "quarantined.json", dict(Counter(row.reason for row in quarantined)))

    output = context.note(context.store.run(key, build))
    return load_images(output.path), json.loads((output.path / "quarantined.json").read_text())


def acquire_pretrained(context: RunContext, spec: PretrainedSpec, images: ImageSet) -> StageOutput:
    """The card of a pretrained generator, in place of a training; its files enter the key by their content.

    Of ``images`` only the shape and the names of the labels matter.
    """
    family = spec.build()
    inputs = {"files": family.digest(), "shape": json.dumps(images.pixels.shape[1:])}
    inputs["labels"] = json.dumps(images.label_names)
    key = StageKey("pretrained", PRETRAINED_VERSION, {"generator": spec.training_key()}, inputs)

    def build(workdir: Path) -> None:
        family.fit(images, workdir, seed=context.spec.seed, resources=context.resources, progress=context.progress)

    output = context.note(context.store.run(key, build))
    family.check(output.path)
    return output
