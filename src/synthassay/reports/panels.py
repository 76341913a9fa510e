"""The figure sections of the page: fidelity, memorisation, downstream, training."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthassay.records import MetricResult
from synthassay.reports.data import ReportData
from synthassay.reports.figures.dots import dot_plot
from synthassay.reports.figures.forest import ForestLine, forest
from synthassay.reports.figures.losses import loss_plot
from synthassay.reports.figures.scatter import precision_recall
from synthassay.reports.figures.style import ARM_MARKS, INK, MUTED, SERIES, Mark, set_marks
from synthassay.reports.layout import Block, Cell, Head, Panel, Row, Table, value_cell
from synthassay.reports.select import VERDICT, Results, downstream_places, memorisation_headline
from synthassay.reports.words import arm_name, clean, group_name, metric_name, short, why

_GLYPHS = {"o": "●", "D": "◆", "^": "▲", "s": "■", "X": "✖", "P": "✚", "v": "▼", "<": "◀", ">": "▶", "h": "⬢",
           "*": "★"}  # fmt: skip
_COLOUR_NAMES = {INK: "ink", MUTED: "muted"} | {colour: f"series-{i}" for i, colour in enumerate(SERIES)}
_SCORES = ("auroc", "average_precision", "sensitivity_at_90_specificity", "ece")


@dataclass(frozen=True, slots=True)
class LegendItem:
    """A glyph in a colour, and what it stands for."""

    glyph: str
    variable: str
    text: str


@dataclass(frozen=True, slots=True)
class Memorisation:
    """The memorisation section."""

    verdicts: Table | None
    panels: Sequence[Panel]
    single_spaces: Sequence[Panel]
    recall: Table | None


@dataclass(frozen=True, slots=True)
class Downstream:
    """The downstream section."""

    panels: Sequence[Panel]
    legend: Sequence[LegendItem]
    tables: Sequence[Table]


def marks_of(results: Results) -> dict[str, Mark]:
    """The mark of every set, the same in all figures."""
    return set_marks(results.tested, results.controls)


def legend_item(mark: Mark, text: str) -> LegendItem:
    """``mark`` for a legend."""
    return LegendItem(_GLYPHS[mark.marker], _COLOUR_NAMES[mark.colour], text)


def in_page_order(rows: Sequence[MetricResult], results: Results) -> list[MetricResult]:
    """Sets under test first, controls last; rows of unknown sets are left out."""
    place = {name: i for i, name in enumerate(results.sets)}
    return sorted((row for row in rows if row.generator in place), key=lambda row: place[row.generator])


def fidelity_blocks(results: Results) -> list[Block]:
    """Per encoder: one panel per metric, then precision against recall, then what is measured against train."""
    blocks = []
    marks = marks_of(results)
    encoders = results.encoders()
    for e, encoder in enumerate(encoders):
        rows = results.headline(encoder=encoder)
        panels = []
        for metric in results.metrics(rows):
            mine = in_page_order([row for row in rows if row.metric == metric], results)
            if mine:
                svg = dot_plot(mine, marks, f"fidelity-{e}-{metric}")
                panels.append(Panel(metric_name(metric), svg, _detail(mine)))
        panels += [*_scatter(results, encoder, e, marks), *_against_train_panels(results, encoder, e, marks)]
        if panels:
            blocks.append(Block(f"Encoder {clean(encoder)}" if len(encoders) > 1 else "", panels))
    return blocks


def _against_train_panels(results: Results, encoder: str, e: int, marks: dict[str, Mark]) -> list[Panel]:
    """Authenticity and closeness to train: they have no meaning against anybody else."""
    details = {"authenticity": "against train; read its distance to the floor",
               "closer_to_train": "than new patients are, where the interval is above 0"}  # fmt: skip
    panels = []
    for metric, detail in details.items():
        rows = results.where(family="fidelity", metric=metric, encoder=encoder, variant="patient-aware", group="all",
                             reference="generator-train")  # fmt: skip
        rows = in_page_order(rows, results)
        if rows and not results.headline(encoder=encoder, metric=metric):
            svg = dot_plot(rows, marks, f"fidelity-{e}-{metric}", rule=0.0 if metric == "closer_to_train" else None)
            panels.append(Panel(metric_name(metric), svg, detail))
    return panels


def _detail(rows: Sequence[MetricResult]) -> str:
    """Which way is better, and that there are no intervals where that is so."""
    direction = {True: "higher is better", False: "lower is better", None: "neither end is better"}
    valued = [row for row in rows if row.value is not None]
    bare = bool(valued) and all(row.ci_low is None for row in valued)
    return direction[rows[0].higher_is_better] + (", without interval: see the table’s notes" if bare else "")


def _scatter(results: Results, encoder: str, e: int, marks: dict[str, Mark]) -> list[Panel]:
    precision = {r.generator: r for r in results.headline(encoder=encoder, metric="precision")}
    recall = {r.generator: r for r in results.headline(encoder=encoder, metric="recall")}
    pairs = [(precision[name], recall[name]) for name in results.sets if name in precision and name in recall]
    svg = precision_recall(pairs, marks, f"scatter-{e}")
    return [Panel("Precision against recall", svg, "real patients lie at the crossing of the bands")] if svg else []


def against_train_table(results: Results) -> Table | None:
    """Fidelity against generator-train beside the headline: sets as rows, metrics as pairs of columns."""
    train = results.where(family="fidelity", variant="patient-aware", reference="generator-train", group="all")
    train = [row for row in train if row.metric != "closer_to_train"]
    metrics, encoders = results.metrics(train), results.encoders()
    if not metrics:
        return None
    heads = [Head("Set"), *([Head("Encoder")] if len(encoders) > 1 else [])]
    for metric in metrics:
        heads += [Head(f"{metric_name(metric)}, test", True), Head("train", True)]
    rows = []
    for encoder in encoders:
        for name in results.sets:
            cells = [Cell(clean(name)), *([Cell(clean(encoder))] if len(encoders) > 1 else [])]
            for metric in metrics:
                chosen = {"metric": metric, "generator": name, "encoder": encoder}
                headline = next(iter(results.headline(**chosen)), None)
                cells += [value_cell(headline), value_cell(next(iter(results.where(train, **chosen)), None))]
            rows.append(Row(cells))
    return Table(heads, rows)


def memorisation_section(results: Results) -> Memorisation | None:
    """Verdicts, flagged images per space, the corrected share, and what the detector finds of planted copies."""
    rows = [row for row in results.rows if row.family == "memorisation"]
    if not rows:
        return None
    headline, marks = memorisation_headline(results), marks_of(results)
    encoders = sorted(dict.fromkeys(row.encoder for row in rows), key=lambda encoder: encoder != headline)
    panels: dict[bool, list[Panel]] = {True: [], False: []}
    for e, encoder in enumerate(encoders):
        for metric in ("copies_per_1000", "copied_share")[: 2 if encoder == headline else 1]:
            mine = in_page_order(results.where(rows, metric=metric, encoder=encoder, variant="", group="all"), results)
            if any(row.value is not None for row in mine):
                svg = dot_plot(mine, marks, f"memorisation-{e}-{metric}")
                panels[encoder == headline].append(Panel(metric_name(metric), svg, _space(encoder)))
    return Memorisation(_verdicts(results, headline), panels[True], panels[False], _recalls(results, encoders))


def _space(encoder: str) -> str:
    return " and ".join(clean(part) for part in encoder.split("+")) + " space"


def _verdicts(results: Results, encoder: str) -> Table | None:
    columns = ("copies_per_1000", "excess_per_1000", "copied_share", "patients_affected")
    verdicts = in_page_order(results.where(family="memorisation", metric=VERDICT), results)
    rows = []
    for row in verdicts:
        chosen = {"family": "memorisation", "generator": row.generator, "encoder": encoder, "variant": ""}
        numbers = [value_cell(results.one(metric=metric, **chosen)) for metric in columns]
        role = "positive control: has to be flagged" if row.generator in results.overfitted else ""
        rows.append(Row([Cell(clean(row.generator), minor=role), _verdict_cell(row), *numbers]))
    heads = [Head("Set"), Head("Verdict"), *(Head(metric_name(metric), True) for metric in columns)]
    return Table(heads, rows, kind="verdicts") if rows else None


def _verdict_cell(row: MetricResult) -> Cell:
    if row.value is None or row.status != "ok":
        return Cell(row.status, minor=why(row))
    return Cell("copies found" if row.value >= 1 else "no copies found")


def _recalls(results: Results, encoders: Sequence[str]) -> Table | None:
    """Recall by kind and space, the realised false alarms below; they are the same for every set."""
    rows = results.where(family="memorisation", metric="copy_recall")
    kinds = list(dict.fromkeys(row.group for row in rows))
    if not kinds:
        return None
    encoders = [encoder for encoder in encoders if any(row.encoder == encoder for row in rows)]
    table = []
    for kind in kinds:
        cells = [value_cell(next(iter(results.where(rows, group=kind, encoder=e)), None)) for e in encoders]
        table.append(Row([Cell(clean(kind.removeprefix("kind="))), *cells]))
    alarms = [results.one(family="memorisation", metric="false_alarm_rate", encoder=e) for e in encoders]
    table.append(Row([Cell("false alarms on control B"), *(value_cell(row) for row in alarms)]))
    return Table([Head("Kind of copy"), *(Head(_space(e), True) for e in encoders)], table)


def downstream_section(results: Results) -> Downstream | None:
    """A forest plot per set under test, the arms' legend, and a table per metric."""
    rows = [row for row in results.rows if row.family == "downstream"]
    if not rows:
        return None
    panels = []
    for i, name in enumerate(results.tested):
        parts = forest(_lines(results, name, "auroc"), metric_name("auroc"), f"forest-{i}")
        if parts is not None:
            panels.append(Panel(f"AUROC with {short(name)}", parts[0], "per group of test patients", parts[1]))
    legend = [legend_item(mark, arm_name(arm)) for arm, mark in ARM_MARKS.items()]
    tables = [table for metric in _SCORES if (table := _score_table(results, metric)) is not None]
    return Downstream(panels, legend, tables)


def _lines(results: Results, name: str, metric: str) -> list[ForestLine]:
    lines = []
    for reference in downstream_places(results):
        base = results.where(family="downstream", reference=reference)
        base = [row for row in base if row.generator in (name, "real", "") or row.variant == "metadata"]
        for group in _groups(base, metric):
            scores = {r.variant: r for r in base if r.metric == metric and r.group == group}
            differences = {
                r.variant.split(" - ")[0]: r for r in base
                if r.metric == f"{metric}_difference" and r.group == group and not r.variant.endswith("metadata")
            }  # fmt: skip
            if any(row.value is not None for row in scores.values()):
                lines.append(ForestLine(_place(reference, group), scores, differences))
    return lines


def _groups(rows: Sequence[MetricResult], metric: str) -> list[str]:
    """ "all" first; a group that holds every image of its split would repeat it and is left out."""
    sizes = {row.group: row.n_real for row in rows if row.metric == metric}
    return [group for group, n in sizes.items() if group == "all" or n != sizes.get("all")]


def _place(reference: str, group: str) -> str:
    if reference == "external":
        return f"external, {group_name(group)}"
    return "all seen sites" if group == "all" else group_name(group)


def _score_table(results: Results, metric: str) -> Table | None:
    rows = results.where(family="downstream", metric=metric)
    places = [(ref, group) for ref in downstream_places(results)
              for group in _groups([row for row in rows if row.reference == ref], metric)]  # fmt: skip
    arms = list(dict.fromkeys((row.variant, row.generator) for row in rows))
    arms.sort(key=lambda arm: list(ARM_MARKS).index(arm[0]) if arm[0] in ARM_MARKS else len(ARM_MARKS))
    if not places:
        return None
    by_key = {(row.variant, row.generator, row.reference, row.group): row for row in rows}
    table = [
        Row([Cell(_arm_title(arm, name)), *(value_cell(by_key.get((arm, name, ref, group))) for ref, group in places)])
        for arm, name in arms
    ]
    return Table([Head("Trained on"), *(Head(_place(*place), True) for place in places)], table, metric_name(metric))


def _arm_title(arm: str, name: str) -> str:
    if arm == "both":
        return f"real + {clean(name)}"
    return clean(name) if arm == "synthetic" else arm_name(arm)


def loss_panels(data: ReportData) -> list[Panel]:
    """Loss curves per generator."""
    drawn = [(curve, loss_plot(curve, f"losses-{i}")) for i, curve in enumerate(data.losses)]
    return [Panel(short(curve.generator), svg, "losses") for curve, svg in drawn if svg is not None]
