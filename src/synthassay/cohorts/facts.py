"""What tables and paths say about scans, put onto the scans; and which scans the cohort keeps because of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import CohortSpec
from synthassay.errors import UserError
from synthassay.records import Quarantined
from synthassay.scans.text import age_of, clean, sex_of
from synthassay.scans.vendors import written_device
from synthassay.scans.views import view_of

Recode = Mapping[Any, Mapping[str, str]]  # by the name of a fact


def attach(source: Source, facts: Mapping[str, str], recode: Recode) -> Source:
    """``source`` with ``facts``: what they say goes before what is known already, and blanks say nothing.

    A label may be blank: that is what the source says. An age at the time of the scan stays.
    """
    said = {name: recode.get(name, {}).get(text, text) for name, text in facts.items()}
    patient = said.get("patient") or source.patient
    study = said.get("study") or (patient if source.study == source.patient else source.study)
    age = age_of(said.get("age")) if source.age_then is None else source.age_then
    return replace(
        source, patient=patient, study=study, series=said.get("series") or source.series,
        label=said.get("label", source.label), site=clean(said.get("site")) or source.site,
        device=written_device(said.get("device")) or source.device, view=view_of(said.get("view")) or source.view,
        sex=sex_of(said.get("sex")) or source.sex, age=source.age if age is None else age,
    )  # fmt: skip


def with_path_facts(sources: Sequence[Source], spec: CohortSpec) -> tuple[list[Source], list[Quarantined]]:
    """The scans with what ``spec.path_facts`` finds in their paths, and those whose path does not match.

    Raises :class:`UserError` where no path matches.
    """
    if not spec.path_facts:
        return list(sources), []
    pattern = re.compile(spec.path_facts)
    kept, refused = [], []
    for source in sources:
        match = pattern.search(source.path)
        if match:
            facts = {name: text for name, text in match.groupdict().items() if text is not None}
            kept.append(attach(source, facts, spec.recode))
        else:
            refused.append(Quarantined(path=source.path, field="path", found="no match",
                                       reason="the path does not match cohort.path_facts"))  # fmt: skip
    if not kept:
        raise UserError(f"none of {len(sources):,} paths matches cohort.path_facts.\nIt is searched in paths relative "
                        "to cohort.root; check that this is the folder that the recipe's card names.")  # fmt: skip
    return kept, refused


def keep(sources: Sequence[Source], spec: CohortSpec) -> tuple[list[Source], list[Quarantined]]:
    """The scans whose facts are among those of ``spec.keep``, and the others.

    Raises :class:`UserError` where none is left.
    """
    kept, refused = list(sources), []
    for fact, values in spec.keep.items():
        wanted = {*values, *map(view_of, values)} if fact == "view" else {*values}
        left = [source for source in kept if getattr(source, fact) in wanted]
        if kept and not left:
            shown = ", ".join(map(repr, values))
            raise UserError(f"cohort.keep.{fact} leaves none of {len(kept):,} scans: none has one of {shown}.\n"
                            "Spell them as the source does, or as cohort.recode puts them.")  # fmt: skip
        names = {source.path for source in left}
        reason = f"left out by cohort.keep.{fact}"
        refused += [Quarantined(path=source.path, field=fact, found="another value", reason=reason)
                    for source in kept if source.path not in names]  # fmt: skip
        kept = left
    return kept, refused
