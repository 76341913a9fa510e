"""The page's opening in plain sentences: what was tested, and what was found. Computed from results by fixed rules."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthassay.reports.account import images_of, labelled_by
from synthassay.reports.data import ReportData
from synthassay.reports.numbers import listing, plural
from synthassay.reports.private import private_findings
from synthassay.reports.real_data.view import CardView
from synthassay.reports.select import Results
from synthassay.reports.sentences.downstream import downstream_findings
from synthassay.reports.sentences.fidelity import fidelity_findings
from synthassay.reports.sentences.grammar import Finding, finding, insufficient, sentence
from synthassay.reports.sentences.memorisation import memorisation_findings
from synthassay.reports.sentences.real_data import real_data_findings
from synthassay.reports.words import clean


@dataclass(frozen=True, slots=True)
class Topic:
    """The findings on one question."""

    title: str
    findings: Sequence[Finding]


def opening_sentences(data: ReportData) -> list[str]:
    """What was tested, on whom, and what it is measured against."""
    cohort, results = data.cohort, Results((), data)
    names = listing([clean(name) for name in results.tested])
    images = sum(item.images for item in data.sets if item.name in results.tested)
    many = len(results.tested) > 1
    first = (f"{plural(len(results.tested), 'synthetic set')} of {plural(images, 'image')}{' in all' if many else ''} "
             f"({names}), tested against {clean(cohort.name)}: {images_of(cohort, 'real ')}, "
             f"{labelled_by(cohort)}") if names else (
             f"Controls only, on {clean(cohort.name)}: {images_of(cohort, 'real ')}")  # fmt: skip
    sentences = [sentence(first)]
    if cohort.external:
        kept = listing([clean(name) for name in cohort.external])
        sentences.append(f"Kept out of all training as the external test: {kept}.")
    if results.controls:
        controls = listing([clean(name) for name in results.controls])
        sentences.append(f"Beside them stand controls made without training: {controls}.")
    return sentences


def findings(results: Results, data: ReportData) -> list[Topic]:
    """Topics with at least one finding, then what limits them all."""
    external = f"site {clean(data.cohort.external[0])}" if len(data.cohort.external) == 1 else "sites"
    topics = [
        Topic("Fidelity", fidelity_findings(results) or [_nothing("fidelity")]),
        Topic("Memorisation", memorisation_findings(results) or [_nothing("memorisation")]),
        Topic("Downstream use", downstream_findings(results, external) or [_nothing("downstream use")]),
    ]
    private = private_findings(results)
    topics += [Topic("Private training", private)] if private else []
    shortcuts = [
        item for item in real_data_findings(CardView(data.card, data.cohort.positive)) if item.level == "alarm"
    ]
    topics += [Topic("The real data", shortcuts)] if shortcuts else []
    limits = [finding(clean(note), "plain", "Limit") for note in (*data.cohort.notes, *data.notes)]
    return topics + ([Topic("Limits", limits)] if limits else [])


def _nothing(question: str) -> Finding:
    return insufficient(f"No result on {question}: this stage did not run or had nothing to judge")
