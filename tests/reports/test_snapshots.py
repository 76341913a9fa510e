"""What the page, the results and the terminal say about the choice between snapshots."""

import json
from dataclasses import replace

import pytest

from synthassay.reports.data import Candidate, Selection, SetSummary
from synthassay.reports.html import write_report
from synthassay.reports.release import for_audience
from synthassay.reports.select import Results
from synthassay.reports.sentences.memorisation import memorisation_findings
from synthassay.reports.snapshots import snapshot_line, snapshot_notes, snapshot_panels, snapshot_table

CHOSEN = Selection(
    rule="kid-validation", chosen=1100, steps=2200, encoder="tiny", images=42, patients=34,
    candidates=(Candidate(step=1100, kid=0.0123, standard_error=0.004), Candidate(step=2200, kid=0.0311,
                                                                                  standard_error=0.005)),
)  # fmt: skip
LAST = Selection(rule="last", chosen=500, steps=500, reason="validation has 7 patients with 9 images", images=9,
                 patients=7)  # fmt: skip


def with_selections(data, **chosen):
    return replace(data, sets=[replace(item, selection=chosen.get(item.name)) for item in data.sets])


def test_the_page_shows_what_was_compared_and_why_nothing_was(made_up, tmp_path):
    data = with_selections(made_up, edm=CHOSEN, vae=LAST)
    table = snapshot_table(data)
    shown = [[cell.text for cell in row.cells] for row in table.rows]
    assert shown[0] == ["edm", "kid-validation", "1,100", "0.0123", "0.0040", "42", "34", "yes"]
    assert shown[1][-1] == ""
    assert shown[2][:3] == ["vae", "last", "500"]
    assert "smallest KID" in snapshot_notes(data)[0]
    assert snapshot_notes(data)[1].endswith("validation has 7 patients with 9 images.")
    assert [panel.title for panel in snapshot_panels(data)] == ["edm"]
    page = write_report(data, tmp_path).read_text()
    assert "Which state was sampled" in page
    sets = {item["name"]: item for item in json.loads((tmp_path / "results.json").read_text())["sets"]}
    assert sets["edm"]["selection"]["candidates"][0] == {"step": 1100, "kid": 0.0123, "standard_error": 0.004}
    assert sets["oracle"]["selection"] is None


def test_a_run_without_trainings_has_no_such_table(made_up):
    assert snapshot_table(made_up) is None
    assert snapshot_notes(made_up) == []


def test_a_release_does_not_say_what_few_validation_patients_chose(made_up, tmp_path):
    data = replace(with_selections(made_up, edm=replace(CHOSEN, patients=10), gan=CHOSEN, vae=LAST), audience="release")
    sets = {item.name: item.selection for item in for_audience(data).sets}
    assert (sets["edm"].candidates, sets["edm"].patients, sets["edm"].chosen) == ((), 0, 1100)
    assert sets["gan"] == CHOSEN
    assert "7 patients" not in str(sets["vae"])


def test_one_line_for_the_terminal():
    assert snapshot_line("edm", CHOSEN) == (
        "edm: sampled as after step 1,100 of 2,200, by kid-validation (KID 0.0123, standard error 0.0040, 42 images of "
        "validation)"
    )
    assert snapshot_line("vae", LAST) == (
        "vae: sampled as after step 500 of 500 (validation has 7 patients with 9 images)"
    )


@pytest.mark.parametrize(("value", "level", "tag"), [(1.0, "fine", "Positive control"), (0.0, "alarm", "Ruler fails")])
def test_the_detector_is_judged_by_a_positive_control(made_up, value, level, tag):
    sets = [SetSummary(name="edm", origin="generator", images=9, units=9, positive_control=True)]
    rows = [
        replace(row, value=value)
        for row in made_up.results
        if row.metric == "memorisation_verdict" and row.generator == "edm"
    ]
    (finding, *_) = memorisation_findings(Results(rows, replace(made_up, sets=sets)))
    assert (finding.level, finding.tag) == (level, tag)
    assert "positive control" in finding.text
