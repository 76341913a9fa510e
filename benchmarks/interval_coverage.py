"""How often the 95% intervals of the fidelity metrics cover, over simulated cohorts of 10, 25, 50 and 200 patients.

    nice python benchmarks/interval_coverage.py --work runs/interval_coverage [--jobs 2] [--quick]

An interval is for the value expected at this n with the generator fixed, so it covers when it holds the mean of the
value over all repeats. Both sides are drawn anew in every repeat, as in reality; for authenticity the training set is
given, so the mean is over the repeats that share one. Intervals are those of ``score_fidelity``, as they are printed.
Feature vectors have 16 dimensions; of each one's variance 0.3 is between four kinds of scan, 0.3 between patients of a
kind and 0.4 between images of a patient.

Repeat i depends on i only. Finished repeats are kept in ``--work``, in a folder named after the content of the metrics'
source, so that a run which was stopped goes on and changed code starts anew. The whole takes about 40 minutes of one
core and writes ``interval_coverage.md`` here and ``src/synthassay/metrics/measured_coverage.json``, from which results
take their notes; ``--quick`` writes neither.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

import synthassay.metrics
from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.intervals import CONFIDENCE, clustered_mean, clustered_mean_interval
from synthassay.metrics.measured_coverage import BAND
from synthassay.metrics.neighbours import VARIANTS
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import FeatureSet, MetricResult, Origin
from synthassay.seeding import numpy_generator

PATIENTS = (10, 25, 50, 200)
REPEATS = 2000
QUICK_PATIENTS, QUICK_REPEATS = (10, 25), 100
SPEC = FidelitySpec(groups=(), set_level=("mmd_rbf",))  # the others would take hours, and are noted as not measured
DIMENSION, KINDS = 16, 4
BETWEEN_KINDS, BETWEEN_PATIENTS, WITHIN_PATIENT = 0.3, 0.3, 0.4  # shares of each dimension's variance
SCALE, SHIFT = 1.1, 0.2  # of a generator that is nearly right
TRAINING_SETS = 20
EXAMPLE_PATIENTS = 25
MEAN = "mean of a feature"  # of the real images: a control, since theory says how its interval covers
METHOD = re.compile(r"(?:[\d.]+%, )?(?P<name>[^,;]*)")  # without the level before it and the details behind
PAGE = Path(__file__).with_suffix(".md")
DATA = Path(synthassay.metrics.__path__[0]) / "measured_coverage.json"

Vectors = NDArray[np.float64]
Units = NDArray[np.int64]


@dataclass(frozen=True)
class Cohort:
    """Real patients with so many images each, repeated in this order, and the names of the designs drawn from them."""

    images: tuple[int, ...]
    images_of_many: tuple[int, ...]  # at 200 patients, to keep the time of a run down
    shifted: bool  # whether the generator is slightly wrong
    generator: str
    floor: str = ""  # empty: no floor is measured

    def sizes(self, patients: int) -> Units:
        """Images of each patient."""
        return np.resize(np.array(self.images if patients < 200 else self.images_of_many), patients)


COHORTS = {
    "uneven": Cohort((1, 2, 3, 4, 5, 6), (1, 2, 3), shifted=True, generator="generator", floor="floor"),
    "even": Cohort((3,), (2,), shifted=False, generator="perfect generator"),
}
DESIGNS = {
    "generator": "independent images of a generator that is nearly right (scale 1.1, shift 0.2) against real patients "
                 "with 1 to 6 images (1 to 3 at 200 patients)",
    "perfect generator": "independent images of the real distribution against real patients with 3 images (2 at 200 "
                         "patients)",
    "floor": "real patients against other real patients, 1 to 6 images each (1 to 3 at 200 patients)",
}  # fmt: skip


def population(sizes: Units, random: np.random.Generator) -> tuple[Vectors, Units]:
    """``[n, 16]`` feature vectors of ``len(sizes)`` new patients, and the patient of each."""
    kinds = numpy_generator("interval coverage", "kinds").standard_normal((KINDS, DIMENSION)) * BETWEEN_KINDS**0.5
    patients = kinds[random.integers(0, KINDS, len(sizes))]
    patients = patients + BETWEEN_PATIENTS**0.5 * random.standard_normal(patients.shape)
    units = np.repeat(np.arange(len(sizes)), sizes)
    return patients[units] + WITHIN_PATIENT**0.5 * random.standard_normal((len(units), DIMENSION)), units


def _feature_set(name: str, origin: Origin, vectors: Vectors, units: Units) -> FeatureSet:
    return FeatureSet(
        name=name, origin=origin, features=vectors.astype(np.float32), ids=np.arange(len(units)).astype(np.str_),
        patients=units.astype(np.str_), labels=np.zeros(len(units), np.int64), label_names=(), encoder="simulated",
        encoder_identity=(),
    )  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A value and its interval in one repeat; ``given``: which of the conditions held fixed it belongs to."""

    design: str
    metric: str
    variant: str
    value: float
    low: float | None
    high: float | None
    method: str
    given: int = 0


def one_repeat(cohort: Cohort, patients: int, repeat: int) -> list[Row]:
    """Every metric's value and interval, for the generator and for other real patients (the floor)."""
    random = numpy_generator("interval coverage", cohort.generator, patients, repeat)
    sizes = cohort.sizes(patients)
    test, control = population(sizes, random), population(sizes if cohort.floor else sizes[:1], random)
    vectors, units = population(np.ones(sizes.sum(), np.int64), random)
    sides = {cohort.generator: (vectors * SCALE + SHIFT if cohort.shifted else vectors, units)}
    results = score_fidelity(  # a control of one patient is too small for a floor
        _feature_set("subject", "generator", *sides[cohort.generator]), test=_feature_set("test", "real", *test),
        control=_feature_set("control", "real", *control), train=None, spec=SPEC, seed=repeat,
    )  # fmt: skip
    rows = []
    for row in (row for row in results if row.reference == "test"):
        name = row.metric, row.variant
        if row.value is not None:
            rows.append(Row(cohort.generator, *name, row.value, row.ci_low, row.ci_high, _method(row)))
        if row.floor is not None:
            rows.append(Row(cohort.floor, *name, row.floor, row.floor_ci_low, row.floor_ci_high, _method(row)))
    if cohort.floor:
        sides[cohort.floor] = control
    for design, side in sides.items():
        rows += _authenticity(design, sizes, side, repeat % TRAINING_SETS)
    feature, patient = test[0][:, 0], test[1]
    mean, interval = clustered_mean(feature, patient)[0], clustered_mean_interval(feature, patient)
    return [*rows, Row(cohort.generator, MEAN, "", mean, interval.low, interval.high, interval.method)]


def _authenticity(design: str, sizes: Units, side: tuple[Vectors, Units], given: int) -> Iterator[Row]:
    """On as many synthetic units as there are patients, since only they are resampled."""
    train, patient = population(sizes, numpy_generator("interval coverage", "train", len(sizes), given))
    kept = side[1] < len(sizes)
    for variant in VARIANTS:
        found = authenticity(
            train, side[0][kept], train_units=patient, synthetic_units=side[1][kept], variant=variant
        )  # fmt: skip
        interval = found.interval()
        yield Row(design, "authenticity", variant, found.value, interval.low, interval.high, interval.method, given)


@dataclass(frozen=True)
class Coverage:
    """Of one metric, variant, design and number of patients, over the repeats that have an interval (``repeats``).

    ``below``, ``above``: share of repeats where the expected value lies below, above the interval; ``missing``: share
    without an interval; ``width``: mean width over that of value ± t(P-1) true standard deviations.
    """

    below: float
    above: float
    missing: float
    width: float
    method: str
    repeats: int

    @property
    def share(self) -> float:
        """How many intervals cover."""
        return 1.0 - self.below - self.above


def coverage_of(rows: Sequence[Row], patients: int, repeats: int) -> Coverage:
    """From the rows of all repeats of one metric, variant and design."""
    given, value = np.array([row.given for row in rows]), np.array([row.value for row in rows])
    expected = (np.bincount(given, value) / np.maximum(np.bincount(given), 1))[given]
    low, high = (np.array([getattr(row, end) for row in rows], float) for end in ("low", "high"))  # None becomes NaN
    there = ~np.isnan(low)
    count = max(1, int(there.sum()))
    ideal = 2 * float(stats.t.ppf((1 + CONFIDENCE) / 2, patients - 1)) * float((value - expected).std())
    width = float(np.sum(high[there] - low[there])) / count / ideal if ideal > 0 else math.nan
    methods = [METHOD.match(row.method)["name"] for row in rows if row.method]
    return Coverage(
        float(np.sum(expected < low)) / count, float(np.sum(expected > high)) / count,
        1 - int(there.sum()) / repeats, width, max(methods, key=methods.count, default=""), count,
    )  # fmt: skip


Table = dict[tuple[str, str], dict[tuple[str, int], Coverage]]


def table_of(found: dict[int, list[list[Row]]]) -> Table:
    """Coverage by (metric, variant) and (design, patients); a metric that never has an interval is left out.

    ``found``: by number of patients, the rows of each repeat.
    """
    grouped: dict[tuple[str, str], dict[tuple[str, int], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for patients, repeats in found.items():
        for row in (row for rows in repeats for row in rows):
            grouped[row.metric, row.variant][row.design, patients].append(row)
    counts = {patients: len(repeats) // len(COHORTS) for patients, repeats in found.items()}
    table = {key: {(design, patients): coverage_of(rows, patients, counts[patients])
                   for (design, patients), rows in cells.items()} for key, cells in grouped.items()}  # fmt: skip
    return {key: cells for key, cells in table.items() if any(cell.missing < 1 for cell in cells.values())}


def source_digest() -> str:
    """Of this script and of the metrics' source, so that repeats of different code are never mixed."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(Path(synthassay.metrics.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


Task = tuple[str, int, int]  # name of the cohort, patients, repeat


def _work(task: Task) -> tuple[Task, list[Row]]:
    torch.set_num_threads(1)
    name, patients, repeat = task
    return task, one_repeat(COHORTS[name], patients, repeat)


def _finished(path: Path) -> dict[int, list[Row]]:
    """Repeats that an earlier run left; a last line that was cut off is dropped."""
    if not path.exists():
        return {}
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    path.write_text("".join(whole))
    return {entry["repeat"]: [Row(*row) for row in entry["rows"]] for entry in map(json.loads, whole)}


def _computed(todo: Sequence[Task], jobs: int) -> Iterator[tuple[Task, list[Row]]]:
    if jobs == 1:
        yield from map(_work, todo)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap_unordered(_work, todo, chunksize=4)


def _method(row: MetricResult) -> str:
    """How the interval was made, without its level."""
    return row.ci_method.partition("%, ")[2]


def simulate(work: Path, sizes: Sequence[int], repeats: int, jobs: int) -> dict[int, list[list[Row]]]:
    """Rows of each repeat of both cohorts, by number of patients; finished repeats are read, the others computed."""
    folder = work / source_digest()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {(name, patients): folder / f"{name}-{patients}.jsonl" for patients in sizes for name in COHORTS}
    found = {cell: _finished(path) for cell, path in paths.items()}
    todo = [(*cell, i) for i in range(repeats) for cell in paths if i not in found[cell]]
    for done, ((name, patients, repeat), rows) in enumerate(_computed(todo, jobs), 1):
        found[name, patients][repeat] = rows
        with paths[name, patients].open("a") as file:
            file.write(json.dumps({"repeat": repeat, "rows": [astuple(row) for row in rows]}) + "\n")
        if done % 500 == 0:
            print(f"{done} of {len(todo)} repeats", file=sys.stderr, flush=True)
    return {p: [found[name, p][i] for name in COHORTS for i in range(repeats)] for p in sizes}


def _cell(found: Coverage | None) -> str:
    if found is None or found.missing == 1:
        return "–"
    rounded = round(found.share, 3)
    share = f"{100 * rounded:.1f}" if BAND[0] <= rounded <= BAND[1] else f"**{100 * rounded:.1f}**"
    missing = f"; none in {100 * found.missing:.1f}%" if found.missing else ""
    return f"{share} ({100 * found.below:.1f}, {100 * found.above:.1f}; {found.width:.2f}{missing})"


def page(table: Table, repeats: int) -> str:
    """The Markdown page."""
    error = 100 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / repeats)
    lines = [
        "# Coverage of the 95% intervals", "",
        f"`nice python benchmarks/interval_coverage.py --work DIR`: {repeats:,} simulated repeats of each number of "
        f"patients and each design; {DIMENSION} dimensions, intraclass correlation "
        f"{BETWEEN_KINDS + BETWEEN_PATIENTS:.1f}, k = {SPEC.k}, {SPEC.replicates} half-samples, t with P-1 degrees of "
        "freedom. The target is the value expected at this n with the generator fixed (authenticity: with the training "
        "set given too, on as many synthetic units as there are patients).", "",
        "Each cell: share of the intervals that cover, in % (the expected value lies below, above the interval, in %; "
        "mean width over that of value ± t(P-1) true standard deviations). Bold: outside "
        f"{100 * BAND[0]:.0f} to {100 * BAND[1]:.0f}%, and then each result says so. Monte-Carlo standard error of a "
        f"share near 95%: {error:.1f} points. Under 20 patients an interval is descriptive and passes nothing.",
    ]  # fmt: skip
    for design, text in DESIGNS.items():
        lines += ["", f"## {design.capitalize()}", "", f"{text[0].upper()}{text[1:]}.", "",
                  "| Metric | Variant | Interval | " + " | ".join(f"{p} patients" for p in PATIENTS) + " |",
                  "|---" * (3 + len(PATIENTS)) + "|"]  # fmt: skip
        for (metric, variant), cells in table.items():
            row = [cells.get((design, patients)) for patients in PATIENTS]
            if any(row):
                lines.append(f"| {metric} | {variant} | {method_of(cells)} | " + " | ".join(map(_cell, row)) + " |")
    return "\n".join(lines) + "\n"


def method_of(cells: dict[tuple[str, int], Coverage]) -> str:
    """The method of most of a metric's intervals."""
    methods = [cell.method for cell in cells.values() if cell.method]
    return max(methods, key=methods.count)


def data(table: Table, repeats: int, example: Sequence[Row]) -> dict[str, object]:
    """What the product reads; ``example`` is one repeat, by which a test sees that the intervals have not changed."""
    coverage = [
        {"metric": metric, "variant": variant, "method": method_of(cells),
         "share": {str(patients): {design: round(cells[design, patients].share, 4) for design in DESIGNS
                                   if (design, patients) in cells and cells[design, patients].missing < 1}
                   for patients in PATIENTS}}
        for (metric, variant), cells in table.items() if metric != MEAN
    ]  # fmt: skip
    return {"script": "benchmarks/interval_coverage.py", "confidence": CONFIDENCE, "repeats": repeats, "k": SPEC.k,
            "replicates": SPEC.replicates, "patients": PATIENTS, "coverage": coverage,
            "example": [astuple(row) for row in example if row.metric != MEAN]}  # fmt: skip


def written(found: dict[str, object]) -> str:
    """``found`` as JSON with one element of a list of structures a line."""
    lines = []
    for key, value in found.items():
        long = isinstance(value, list) and isinstance(value[0], dict | tuple)
        text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]" if long else json.dumps(value)
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Simulate what is missing, print the page and write the two files."""
    parser = argparse.ArgumentParser(description="Measure how often the 95%% intervals of the fidelity metrics cover.")
    parser.add_argument("--work", type=Path, required=True, help="folder of finished repeats; give it again to go on")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_REPEATS} repeats at {QUICK_PATIENTS}; no files")
    options = parser.parse_args()
    repeats, sizes = (QUICK_REPEATS, QUICK_PATIENTS) if options.quick else (options.repeats, PATIENTS)
    table = table_of(simulate(options.work, sizes, repeats, options.jobs))
    text = page(table, repeats)
    print(text)
    if not options.quick:
        PAGE.write_text(text)
        found = data(table, repeats, one_repeat(COHORTS["uneven"], EXAMPLE_PATIENTS, 0))
        DATA.write_text(written(found))


if __name__ == "__main__":
    main()
