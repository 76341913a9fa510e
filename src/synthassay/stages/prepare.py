"""prepare: scans → cohort."""

from pathlib import Path

from synthassay.cohorts.specs import CohortSpec
from synthassay.errors import UserError
from synthassay.records import Cohort
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey, StageOutput
from synthassay.store.tables import load_cohort, save_cohort

VERSION = 1


def prepare(context: RunContext) -> tuple[Cohort, StageOutput]:
    """The cohort of the run, read once and kept in the store."""
    spec = context.spec.cohort
    root = _root(context, spec)
    from synthassay.cohorts.prepare import prepare_cohort, source_fingerprint

    inputs = {"source": source_fingerprint(spec, root)}
    key = StageKey("prepare", VERSION, spec.to_key(), inputs)

    def build(workdir: Path) -> None:
        scratch = workdir / ".reading"
        scratch.mkdir(exist_ok=True)
        cohort = prepare_cohort(spec, root, context.keys, scratch, context.resources, context.progress)
        save_cohort(cohort, workdir)

    output = context.note(context.store.run(key, build))
    return load_cohort(output.path), output


def _root(context: RunContext, spec: CohortSpec) -> Path:
    if spec.root is not None:
        root = Path(spec.root).expanduser()
        if not root.is_dir():
            raise UserError(f"cohort.root={spec.root} is not a folder.\nGive the folder that holds the scans.")
        return root
    phantom = getattr(spec, "phantom", None)
    if phantom is None:
        raise UserError(
            f"cohort={spec.name} needs the folder of its scans: add cohort.root=DIR.\n"
            "data/README.md says how to get the data of each cohort."
        )
    from synthassay.cohorts.phantom.simulate import write_phantom

    key = StageKey("phantom", VERSION, phantom.to_key())
    output = context.note(context.store.run(key, lambda workdir: write_phantom(phantom, workdir, context.progress)))
    return output.path / "dicom"
