import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from synthassay.records import MetricResult
from synthassay.reports.data import CohortSummary, LossCurve, ReportData, SetSummary
from synthassay.reports.html import write_cohort_page, write_report

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "link", "img", "br", "hr", "input"}
GOLDEN = Path(__file__).parent / "golden"


class Outline(HTMLParser):
    """Tags, attributes and the text of tables; checks that elements close in order outside SVG."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.cells: list[str] = []
        self.lines: list[list[str]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.stack.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "tr":
            self.cells = []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag
        if tag == "tr":
            self.lines.append([" ".join(cell.split()) for cell in self.cells])

    def handle_data(self, data):
        if "td" in self.stack or "th" in self.stack:
            self.cells[-1] += data


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    parser.close()
    return parser


def test_no_text_from_scans_becomes_markup(hostile_page):
    text = hostile_page.read_text()
    assert EVIL not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "script" not in outline(text).tags


def test_names_are_escaped_inside_the_figures_too(hostile_page):
    figures = re.findall(r"<svg.*?</svg>", hostile_page.read_text(), re.DOTALL)
    assert any("&lt;script&gt;" in figure for figure in figures), "the hostile name was not drawn: nothing was tested"
    assert all("<script" not in figure for figure in figures)


def test_the_page_is_well_formed_and_its_ids_are_unique(hostile_page):
    parsed = outline(hostile_page.read_text())
    assert parsed.stack == []
    assert len(parsed.ids) == len(set(parsed.ids))


def test_the_page_asks_for_nothing_from_outside(hostile_page):
    text = hostile_page.read_text()
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    for tag, name, value in outline(text).attributes:
        if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            assert value.startswith(("#", "data:")), (tag, name, value[:60])
        assert not name.startswith("on"), (tag, name)
        assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]*)", value)), value[:80]
    assert "default-src 'none'" in text


def test_text_in_figures_stays_text_and_follows_the_theme(hostile_page):
    figure = next(f for f in re.findall(r"<svg.*?</svg>", hostile_page.read_text(), re.DOTALL) if "oracle" in f)
    assert re.search(r"<text[^>]*>oracle</text>", figure)
    assert "var(--ink, #1b2430)" in figure
    assert "$\\mathdefault" not in figure


def test_results_json_holds_text_as_it_is_and_no_nan(hostile_page):
    document = json.loads(hostile_page.with_name("results.json").read_text(), parse_constant=pytest.fail)
    assert any(EVIL in row["note"] for row in document["results"])
    needed = {"metric", "encoder", "generator", "group", "value", "ci_low", "ci_high", "n_real", "n_synthetic", "floor",
              "unit", "identity", "higher_is_better"}  # fmt: skip
    assert all(needed <= row.keys() for row in document["results"])


def test_the_sections_stand_in_the_order_of_the_story(hostile_page):
    found = re.findall(r'<section id="(\w+)"', hostile_page.read_text())
    assert found == ["findings", "samples", "pairs", "fidelity", "memorisation", "downstream", "training", "cohort",
                     "results", "provenance"]  # fmt: skip


def test_results_table_reads_as_the_golden_file(made_up, tmp_path):
    wanted = {("kid", "edm"), ("kid", "noise"), ("frechet_distance", "gan"), ("precision", "vae")}
    rows = [
        r for r in made_up.results if (r.metric, r.generator) in wanted and r.group in ("all", "site=Ashby", "sex=O")
    ]
    rows += [r for r in made_up.results if r.metric == "memorisation_verdict"]
    rows += [r for r in made_up.results if r.metric == "auroc_difference" and r.generator == "edm" and r.group == "all"]
    page = write_report(replace(made_up, results=rows, grids=(), pairs=(), losses=()), tmp_path)
    section = re.search(r'<section id="results">.*?</section>', page.read_text(), re.DOTALL)
    text = "\n".join(" | ".join(cells) for cells in outline(section[0]).lines) + "\n"
    assert text == (GOLDEN / "results_table.txt").read_text()


def test_a_run_with_nothing_to_show_says_insufficient_evidence_for_each_question(tmp_path):
    cohort = CohortSummary(
        name="tiny", label="lesion", positive="lesion", patients=1, images=1, shape=(1, 8, 8), bits=8
    )
    data = ReportData(title="empty", run_id="0", seed=0, cohort=cohort, sets=(), results=())
    text = write_report(data, tmp_path).read_text()
    assert text.count('<span class="tag unclear">Insufficient evidence</span>') == 3
    assert 'id="samples"' not in text
    assert json.loads((tmp_path / "results.json").read_text())["results"] == []


def test_an_absent_value_is_a_dash_that_says_why(made_up, tmp_path):
    row = MetricResult(family="fidelity", metric="kid", generator="edm", encoder="e", variant="patient-aware",
                       reference="test", status="absent", note="7 images, 50 are needed")  # fmt: skip
    page = write_report(replace(made_up, results=[row], grids=(), pairs=(), losses=()), tmp_path)
    assert '<abbr title="7 images, 50 are needed">–</abbr>' in page.read_text()


def test_the_same_data_gives_the_same_bytes_in_whatever_order_results_come(made_up, tmp_path):
    rows = [row for row in made_up.results if row.metric in ("kid", "precision", "recall", "copies_per_1000", "auroc")]
    small = replace(made_up, results=rows)
    shuffled = replace(small, results=[rows[i] for i in np.random.default_rng(0).permutation(len(rows))])
    write_report(small, tmp_path / "a")
    write_report(shuffled, tmp_path / "b")
    for name in ("report.html", "results.json", "results.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_name_with_mathematics_or_an_unknown_script_does_not_stop_the_page(made_up, tmp_path):
    names = {"edm": "$\\bad{$", "gan": "_hidden", "vae": "生成器 \u202egnp\x00"}
    rows = [replace(r, generator=names.get(r.generator, r.generator)) for r in made_up.results
            if r.metric in ("kid", "precision", "recall") and r.group == "all"]  # fmt: skip
    sets = [SetSummary(name=n, origin="generator", images=4, units=4) for n in names.values()]
    text = write_report(replace(made_up, sets=sets, results=rows, grids=(), pairs=()), tmp_path).read_text()
    assert "生成器 gnp" in text
    assert "$\\bad{$" in text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_no_temporary_file_is_left_behind(hostile_page):
    assert sorted(p.name for p in hostile_page.parent.iterdir()) == ["report.html", "results.json", "results.parquet"]


def test_importing_the_room_is_free():
    started = time.perf_counter()
    code = "import sys, synthassay.reports; sys.exit('matplotlib' in sys.modules or 'jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert time.perf_counter() - started < 10


def test_a_report_of_more_than_a_thousand_rows_is_written_in_eight_seconds_of_one_core(made_up, tmp_path):
    assert len(made_up.results) > 1200
    started = time.process_time()
    write_report(made_up, tmp_path)
    assert time.process_time() - started < 8


def test_a_run_of_controls_only_is_a_whole_page(made_up, tmp_path):
    controls = [item for item in made_up.sets if item.origin == "control"]
    names = {item.name for item in controls} | {"real"}
    data = replace(made_up, title="phantom: ", sets=controls, losses=(),
                   results=[row for row in made_up.results if row.generator in names],
                   grids=[cell for cell in made_up.grids if cell.set_name in names],
                   pairs=[pair for pair in made_up.pairs if pair.generator in names])  # fmt: skip
    for audience in ("internal", "release"):
        text = write_report(replace(data, audience=audience), tmp_path / audience).read_text()
        assert "<title>phantom" in text
        assert "phantom:</" not in text
        assert "Controls only, on phantom" in text
        assert 'id="fidelity"' in text


def test_only_a_released_report_may_be_read_by_others(made_up, tmp_path):
    small = replace(made_up, results=made_up.results[:1], grids=(), pairs=(), losses=())
    for audience, others in (("internal", False), ("release", True)):
        folder = write_report(replace(small, audience=audience), tmp_path / audience).parent
        assert {bool(path.stat().st_mode & 0o044) for path in folder.iterdir()} == {others}


def test_text_that_looks_like_a_back_reference_stands_in_a_figure_as_it_is(made_up, tmp_path):
    name = "a\\1\\g<0>"
    rows = [replace(row, generator=name) for row in made_up.results
            if row.metric in ("kid", "recall") and row.group == "all" and row.generator == "edm"]  # fmt: skip
    sets = [SetSummary(name=name, origin="generator", images=4, units=4)]
    curves = [LossCurve(generator=name, columns={"step": np.arange(3.0), "loss": np.ones(3)})]
    data = replace(made_up, sets=sets, results=rows, grids=(), pairs=(), losses=curves)
    assert "a\\1\\g&lt;0&gt;" in write_report(data, tmp_path).read_text()


def test_the_page_of_a_cohort_shows_its_scans_and_its_card_and_nothing_of_generators(made_up, tmp_path):
    real = [cell for cell in made_up.grids if cell.set_name.startswith("real")]
    data = replace(made_up, title=EVIL, sets=(), results=(), grids=real, strips=(), pairs=(), losses=())
    page = write_cohort_page(data, tmp_path / "internal")
    text = page.read_text()
    outline(text)
    assert EVIL not in text
    assert 'id="samples"' in text
    assert 'id="cohort"' in text
    assert "By site" in text
    assert 'id="findings"' not in text
    assert "data:image/png" in text
    assert not page.stat().st_mode & 0o044
    released = write_cohort_page(replace(data, audience="release"), tmp_path / "release").read_text()
    assert "data:image/png" not in released
    assert "for release: aggregates only" in released
