"""prepare: scans → cohort."""

from pathlib import Path

from synthassay.cohorts.files import source_root
from synthassay.cohorts.specs import CohortSpec, DicomSpec
from synthassay.errors import UserError
from synthassay.generators.external.files import read_trained_on
from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.foreign.specs import PretrainedSpec
from synthassay.records import Cohort
from synthassay.specs import digest_of
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey, StageOutput
from synthassay.store.tables import load_cohort, save_cohort

VERSION = 8


def prepare(context: RunContext) -> tuple[Cohort, StageOutput]:
    """The cohort of the run, read once and kept in the store."""
    spec = context.spec.cohort
    root = _root(context, spec)
    from synthassay.cohorts.prepare import prepare_cohort, source_fingerprint

    trained_on = _trained_on(context)
    inputs = {"source": source_fingerprint(spec, root)}
    if trained_on is not None:
        inputs["trained_on"] = digest_of(sorted(trained_on))
    key = StageKey("prepare", VERSION, spec.to_key(), inputs)

    def build(workdir: Path) -> None:
        scratch = workdir / ".reading"
        scratch.mkdir(exist_ok=True)
        cohort = prepare_cohort(spec, root, context.keys, scratch, context.resources, context.progress, trained_on)
        save_cohort(cohort, workdir)

    output = context.note(context.store.run(key, build))
    return load_cohort(output.path), output


def _trained_on(context: RunContext) -> tuple[str, ...] | None:
    """Source ids of the patients that a generator of others has seen; they decide who is generator-train."""
    foreign = [spec for spec in context.spec.generators if isinstance(spec, ExternalSpec | PretrainedSpec)]
    lists = {spec.trained_on for spec in foreign if spec.trained_on}
    if len(lists) > 1:
        raise UserError(
            "the generators of others in this run were trained on different patients, so they have no common "
            "generator-train.\nRun them one by one and use `synthassay compare`."
        )
    return read_trained_on(Path(lists.pop()).expanduser()) if lists else None


def _root(context: RunContext, spec: CohortSpec) -> Path:
    root = source_root(spec)
    if root is not None:
        return root
    from synthassay.cohorts.phantom.simulate import write_phantom

    assert isinstance(spec, DicomSpec)
    assert spec.phantom is not None
    phantom = spec.phantom
    key = StageKey("phantom", VERSION, phantom.to_key())
    output = context.note(context.store.run(key, lambda workdir: write_phantom(phantom, workdir, context.progress)))
    return output.path / "dicom"
