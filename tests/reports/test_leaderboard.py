import json
import os
from dataclasses import replace

import pytest

from synthassay.errors import UserError
from synthassay.records import MetricResult, identity
from synthassay.reports import runs
from synthassay.reports.data import SetSummary
from synthassay.reports.leaderboard import compare
from synthassay.reports.ranking import boards, place
from synthassay.reports.runs import read_run
from synthassay.reports.tables import to_json

KID = MetricResult(
    family="fidelity", metric="kid", generator="edm", encoder="effnet", variant="patient-aware", reference="test",
    value=0.012, ci_low=0.010, ci_high=0.014, n_patients=160, floor=0.004, higher_is_better=False,
    identity=identity(k=5, reference="9f31"),
)  # fmt: skip


@pytest.fixture
def write(made_up, tmp_path):
    def run(folder, rows, seed=0, digest="d1"):
        names = dict.fromkeys(row.generator for row in rows)
        sets = [SetSummary(name=n, origin="control" if n in ("oracle", "noise") else "generator", images=9, units=9,
                           settings_digest=digest) for n in names]  # fmt: skip
        data = replace(made_up, run_id=f"{folder}-{seed}", seed=seed, sets=sets)
        path = tmp_path / folder
        path.mkdir()
        (path / "results.json").write_bytes(to_json(data, rows))
        return path

    return run


def ranks(folders):
    made, _ = boards([read_run(folder) for folder in folders])
    return {p.entry.label: (p.best, p.worst, p.tied) for p in made[0].placed}


def test_sets_of_several_runs_are_ranked_by_value(write, tmp_path):
    gan = replace(KID, generator="gan", value=0.03, ci_low=0.028, ci_high=0.032)
    folders = [write("a", [gan]), write("b", [KID])]
    assert ranks(folders) == {"edm": (1, 1, ()), "gan": (2, 2, ())}
    page = compare(folders, tmp_path / "out").read_text()
    assert page.index("<td>edm</td>") < page.index("<td>gan</td>")
    assert (tmp_path / "out" / "leaderboard.html").exists()


def test_a_higher_value_wins_where_higher_is_better(write):
    rows = [replace(KID, generator=g, metric="recall", higher_is_better=True, value=v, ci_low=v, ci_high=v)
            for g, v in (("edm", 0.2), ("gan", 0.8))]  # fmt: skip
    assert ranks([write("a", rows)])["gan"][:2] == (1, 1)


def test_sets_whose_intervals_meet_share_their_ranks(write, tmp_path):
    gan = replace(KID, generator="gan", value=0.0135, ci_low=0.0125, ci_high=0.016)
    vae = replace(KID, generator="vae", value=0.05, ci_low=0.04, ci_high=0.06)
    folders = [write("a", [KID, gan]), write("b", [vae])]
    assert ranks(folders) == {"edm": (1, 2, ("gan",)), "gan": (1, 2, ("edm",)), "vae": (3, 3, ())}
    assert "1 to 2" in compare(folders, tmp_path / "l.html").read_text()


@pytest.mark.parametrize("change", [{"ci_low": None, "ci_high": None}, {"status": "descriptive"}])
def test_without_an_interval_or_enough_patients_nothing_is_separated(write, change):
    gan = replace(KID, generator="gan", value=0.9, ci_low=0.8, ci_high=1.0)
    assert ranks([write("a", [replace(KID, **change), gan])]) == {"edm": (1, 2, ("gan",)), "gan": (1, 2, ("edm",))}


def test_another_identity_is_refused_with_metric_part_and_both_values(write, tmp_path):
    other = replace(KID, generator="gan", identity=identity(k=3, reference="9f31"))
    folders = [write("a", [KID]), write("b", [other])]
    with pytest.raises(UserError) as caught:
        compare(folders, tmp_path / "l.html")
    message = str(caught.value)
    assert message.startswith(
        "KID · patient-aware, against test, effnet cannot be ranked: k is 5 in edm of a but 3 in gan"
    )
    assert message.count("\n") <= 2
    assert not (tmp_path / "l.html").exists()


def test_with_partial_a_refused_table_is_listed_and_the_others_are_ranked(write, tmp_path):
    recall = replace(KID, metric="recall", higher_is_better=True)
    other = replace(KID, generator="gan", identity=identity(k=3, reference="9f31"))
    folders = [write("a", [KID, recall]), write("b", [other, replace(recall, generator="gan")])]
    text = compare(folders, tmp_path / "l.html", partial=True).read_text()
    assert "k is 5 in edm of a but 3 in gan of b" in text
    assert "<h3>Recall · " in text
    assert "<h3>KID · " not in text


def test_another_identity_of_a_metric_that_leads_nothing_is_listed_without_stopping(write, tmp_path):
    classic = replace(KID, variant="classic")
    other = replace(classic, generator="gan", identity=identity(k=3))
    folders = [write("a", [KID, classic]), write("b", [replace(KID, generator="gan"), other])]
    text = compare(folders, tmp_path / "l.html").read_text()
    assert "Not ranked" in text
    assert "KID · classic" in text


def test_runs_without_a_common_encoder_are_refused_by_name(write, tmp_path):
    folders = [write("a", [KID]), write("b", [replace(KID, encoder="fid-inception", metric="fid")])]
    with pytest.raises(UserError, match="encoder is effnet in a but fid-inception in b"):
        compare(folders, tmp_path / "l.html")


def test_seeds_of_one_generator_are_averaged_and_their_spread_is_shown(write, tmp_path):
    second = replace(KID, value=0.016, ci_low=0.013, ci_high=0.019)
    folders = [write("a", [KID], seed=0), write("b", [second], seed=1)]
    made, _ = boards([read_run(folder) for folder in folders])
    entry = made[0].placed[0].entry
    assert entry.row.value == pytest.approx(0.014)
    assert (entry.row.ci_low, entry.row.ci_high) == (0.010, 0.019)
    assert entry.spread == (0.012, 0.016)
    assert "seeds 0, 1" in compare(folders, tmp_path / "l.html").read_text()


def test_one_name_with_two_settings_is_two_entries(write):
    folders = [write("a", [KID], digest="aaaaaaaa"), write("b", [replace(KID, value=0.5)], digest="bbbbbbbb")]
    assert set(ranks(folders)) == {"edm (aaaaaa)", "edm (bbbbbb)"}


def test_a_run_given_twice_counts_once(write, tmp_path):
    folder = write("a", [KID])
    assert "seeds" not in compare([folder, folder], tmp_path / "l.html").read_text().split("<tbody>")[1]


def test_controls_are_rulers_without_a_rank_and_only_when_comparable(write):
    oracle = replace(KID, generator="oracle", value=0.001)
    noise = replace(KID, generator="noise", identity=identity(k=5, reference="other"))
    made, refused = boards([read_run(write("a", [KID, oracle, noise]))])
    assert [p.entry.label for p in made[0].placed] == ["edm"]
    assert [entry.label for entry in made[0].rulers] == ["oracle"]
    assert refused == []


def test_hostile_names_are_escaped(write, tmp_path):
    page = compare([write("a", [replace(KID, generator="<script>alert(1)</script>")])], tmp_path / "l.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "holds no results.json"), ("{", "cannot be read"), ("[]", "schema"), ('{"schema": "x/9"}', "schema 'x/9'"),
     ('{"schema": "synthassay-results/1"}', "lacks or misnames a field"), ('{"a": NaN}', "cannot be read")],
)  # fmt: skip
def test_a_folder_that_is_no_run_says_what_to_do(tmp_path, content, words):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError) as caught:
        compare([tmp_path], tmp_path / "l.html")
    assert words in str(caught.value)
    assert str(caught.value).count("\n") <= 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("value", "0.1"), ("value", True), ("ci_low", [1]), ("floor", 10**400), ("n_real", 1.5), ("seed", "x"),
     ("generator", 7), ("note", None), ("status", "fine"), ("family", {}), ("higher_is_better", 1), ("identity", "x"),
     ("identity", None)],
)  # fmt: skip
def test_a_field_of_another_kind_is_refused(write, tmp_path, field, value):
    folder = write("a", [KID])
    document = json.loads((folder / "results.json").read_text())
    document["results"][0][field] = value
    (folder / "results.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match="misnames a field") as caught:
        read_run(folder)
    assert str(caught.value).count("\n") <= 2


def test_a_number_that_is_not_finite_is_refused(write):
    folder = write("a", [KID])
    path = folder / "results.json"
    path.write_text(path.read_text().replace('"value": 0.012', '"value": 1e999'))
    with pytest.raises(UserError, match="value holds something else"):
        read_run(folder)


def test_results_that_would_exhaust_the_reader_are_refused(write, tmp_path, monkeypatch):
    (tmp_path / "results.json").write_text("[" * 200_000)
    with pytest.raises(UserError, match="cannot be read"):
        read_run(tmp_path)
    folder = write("a", [KID, replace(KID, generator="gan")])
    monkeypatch.setattr(runs, "MAX_ROWS", 1)
    with pytest.raises(UserError, match="at most 1 rows"):
        read_run(folder)
    monkeypatch.setattr(runs, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="larger than"):
        read_run(folder)


def test_a_pipe_is_not_waited_on(tmp_path):
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(UserError, match="holds no results"):
        read_run(tmp_path)


def test_an_unknown_field_in_results_is_refused(write, tmp_path):
    folder = write("a", [KID])
    document = json.loads((folder / "results.json").read_text())
    document["results"][0]["surprise"] = 1
    (folder / "results.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match="misnames a field"):
        compare([folder], tmp_path / "l.html")


def test_runs_without_any_value_say_so(write, tmp_path):
    with pytest.raises(UserError, match="none of these runs"):
        compare([write("a", [replace(KID, value=None, status="absent")])], tmp_path / "l.html")


def test_no_entries_give_no_places():
    assert list(place([])) == []
