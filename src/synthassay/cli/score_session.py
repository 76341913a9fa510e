"""Feature files from reading to results: what :mod:`.score_files` does once its first line is on the screen."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from synthassay.cli.device import device_of
from synthassay.cli.feature_files import read_features
from synthassay.cli.feature_sets import check_disjoint, columns_of, feature_sets, halved, join_notes, read_groups
from synthassay.cli.progress import SECONDS_BETWEEN_LINES, BarProgress
from synthassay.cli.result_table import result_text
from synthassay.cli.score_files import CONTROL, REAL, SYNTHETIC, TRAIN, ScoreOptions, tell
from synthassay.cli.text_table import say
from synthassay.errors import UserError
from synthassay.metrics.cache import ReferenceCache
from synthassay.metrics.closeness import UNKNOWN_TRAINING
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import FeatureSet, MetricResult, Progress
from synthassay.reports.data import CohortSummary, ReportData, SetSummary
from synthassay.reports.tables import ordered, to_json, to_parquet
from synthassay.reports.words import clean
from synthassay.specs import digest_of
from synthassay.whole_files import PRIVATE, write_whole

NO_PATIENTS = (
    "{name} names no patients: each row counts as one, and where a patient has several rows intervals are too narrow; "
    "give the key 'patients' (np.arange(n) if all differ)"
)
NO_TRAIN = "it is not known which patients the set was trained on; --train FILE gives their features"
NO_CONTROL = "no floor: 0 control images of 0 patients are too few"  # as scoring says it of an empty control
NO_FLOOR = "no floor: give real images of other patients with --control FILE, or --split-real"

Sets = Mapping[str, FeatureSet]


def score_session(options: ScoreOptions) -> Path:
    """Read, score, print and write; returns the path of ``results.json``, which is also printed last."""
    device = device_of(options.device)
    sets, remarks, stated = _read(options)
    spec = _spec(options, columns_of(list(sets.values())))
    counts = ", ".join(f"{len(item):,} {role}" for role, item in sets.items())
    tell(f"scoring {counts} rows of {sets[REAL].features.shape[1]:,} columns on {device} ...")
    with _shown() as progress:
        found = _score(sets, spec, options.seed, device, progress)
    results = [_qualified(row, remarks, stated) for row in found]
    path = _write(_record(results, sets, spec, options.seed), options.out)
    say(clean(f"{sets[SYNTHETIC].name} against {sets[REAL].name}, encoder {sets[REAL].encoder}") + "\n")
    say(result_text(results) + "\n")
    say(str(path))
    return path


def _read(options: ScoreOptions) -> tuple[Sets, list[str], bool]:
    """The sets by role, what limits their results as sentences, and whether every real file names its patients."""
    files = {role: read_features(path) for role, path in options.files.items()}
    for file in files.values():
        if file.unused:
            tell(f"{file.name}: keys that are not read: {', '.join(file.unused)}")
    remarks = check_disjoint(files)
    table = None if options.groups is None else read_groups(options.groups)
    if table is not None:
        for note in join_notes(files, table):
            tell(note)
    sets = feature_sets(files, table, encoder=options.encoder, subject=options.name)
    if options.split_real:
        sets[REAL], sets[CONTROL] = halved(sets[REAL], options.seed)
    unstated = [file.name for role, file in files.items() if role != SYNTHETIC and file.patients is None]
    return sets, remarks + [NO_PATIENTS.format(name=name) for name in unstated], not unstated


def _spec(options: ScoreOptions, groups: tuple[str, ...]) -> FidelitySpec:
    try:
        return FidelitySpec(k=options.k, replicates=options.replicates, groups=groups)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"--{first['loc'][0]} {first['input']}: {first['msg']}") from error


def _score(sets: Sets, spec: FidelitySpec, seed: int, device: str, progress: Progress) -> list[MetricResult]:
    test, train = sets[REAL], sets.get(TRAIN)
    control = sets[CONTROL] if CONTROL in sets else test.take(np.zeros(0, np.int64))  # of nobody
    cache = ReferenceCache(test=test, control=control, train=train, spec=spec, seed=seed, device=device)
    return score_fidelity(
        sets[SYNTHETIC], test=test, control=control, train=train, spec=spec, seed=seed, cache=cache, progress=progress
    )


def _qualified(row: MetricResult, remarks: Sequence[str], patients_stated: bool) -> MetricResult:
    """``row`` with what the files leave open; an interval over rows whose patients are not stated proves nothing."""
    row = replace(row, note=row.note.replace(UNKNOWN_TRAINING, NO_TRAIN).replace(NO_CONTROL, NO_FLOOR))
    if row.value is None:
        return row
    row = replace(row, note="; ".join(filter(None, [row.note, *remarks])))
    if patients_stated:
        return row
    return replace(row, resampling_unit="image", status="descriptive" if row.status == "ok" else row.status)


def _record(results: list[MetricResult], sets: Sets, spec: FidelitySpec, seed: int) -> ReportData:
    """What a run's files hold. The run's identity is that of the content and the settings, never of paths."""
    subject, real = sets[SYNTHETIC], sets[REAL]
    content = {role: item.content_id for role, item in sets.items()}
    facts = {"sets": content, "fidelity": spec.to_key(), "encoder": real.encoder, "seed": seed}
    return ReportData(
        title=f"{subject.name} against {real.name}", run_id=digest_of(facts)[:12], seed=seed, results=results,
        cohort=CohortSummary(
            name=real.name, label="label", positive="", patients=len(set(real.patients.tolist())), images=len(real),
            shape=(0, 0, 0), bits=0,  # there are features only, no images
        ),
        # Two files of one name are two sets, never two seeds of one: the content stands for the settings.
        sets=[SetSummary(name=subject.name, origin="external", images=len(subject),
                         units=len(set(subject.patients.tolist())), settings_digest=subject.content_id)],
    )  # fmt: skip


def _write(data: ReportData, out: Path) -> Path:
    """``results.json`` and ``results.parquet`` as a run writes them, so that ``compare`` reads both."""
    rows = ordered(data.results)
    try:
        write_whole(out / "results.parquet", to_parquet(rows), PRIVATE)
        write_whole(out / "results.json", to_json(data, rows), PRIVATE)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another folder with --out DIR") from error
    return out / "results.json"


@contextlib.contextmanager
def _shown() -> Iterator[Progress]:
    """A bar that is drawn anew every ten seconds, for one step on large sets may take minutes."""
    done, progress = threading.Event(), BarProgress()

    def tick() -> None:
        while not done.wait(SECONDS_BETWEEN_LINES):
            progress.refresh()

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield progress
    finally:
        progress.finish()
        done.set()
        ticker.join()
