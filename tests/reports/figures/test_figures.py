import re

import numpy as np
import pytest

from synthassay.records import MetricResult
from synthassay.reports.data import LossCurve
from synthassay.reports.figures.dots import dot_plot
from synthassay.reports.figures.forest import ForestLine, forest
from synthassay.reports.figures.losses import loss_plot
from synthassay.reports.figures.scatter import precision_recall
from synthassay.reports.figures.style import PAPER, set_marks


def row(name="edm", value=0.5, low=0.4, high=0.6, **more):
    return MetricResult(family="fidelity", metric=more.pop("metric", "kid"), generator=name, value=value, ci_low=low,
                        ci_high=high, n_patients=30, higher_is_better=False, **more)  # fmt: skip


MARKS = set_marks(["edm", "gan"], ["oracle", "noise"])


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_generated_sets_have_colours_and_controls_grey_shapes():
    assert MARKS["edm"].colour != MARKS["gan"].colour
    assert MARKS["oracle"].colour == MARKS["noise"].colour
    assert MARKS["oracle"].marker != MARKS["noise"].marker


@pytest.mark.parametrize("status", ["descriptive", "insufficient evidence"])
def test_a_dot_that_is_no_full_answer_is_hollow(status):
    hollow = f"fill: var(--card, {PAPER})"
    assert hollow in dot_plot([row(status=status)], MARKS, "a")
    assert hollow not in dot_plot([row()], MARKS, "a")


def test_an_absent_value_is_written_out_where_its_dot_would_be():
    svg = dot_plot([row(), row("gan", None, None, None, status="absent")], MARKS, "a")
    assert "absent" in texts(svg)


def test_values_far_apart_are_drawn_on_a_logarithmic_axis_with_plain_numbers():
    wide = texts(dot_plot([row(value=0.002, low=0.001, high=0.003), row("gan", 0.9, 0.8, 1.0)], MARKS, "a"))
    assert {"0.01", "0.1"} <= set(wide)
    assert any("log scale" in text for text in wide)
    assert not any("log" in text for text in texts(dot_plot([row(), row("gan")], MARKS, "a")))


def test_negative_values_are_drawn_when_the_axis_is_logarithmic():
    svg = dot_plot([row(value=-0.0002, low=-0.001, high=0.001), row("gan", 0.9, 0.8, 1.0)], MARKS, "a")
    assert any("linear near 0" in text for text in texts(svg))
    assert "0" in texts(svg)


@pytest.mark.parametrize("values", [(0.0,), (0.0, 0.0), (-3.0, 5.0), (1e-9, 1e9), (None,)])
def test_no_combination_of_values_stops_the_figure(values):
    rows = [row(f"g{i}", v, None, None, status="ok" if v is not None else "absent") for i, v in enumerate(values)]
    assert dot_plot(rows, {}, "a").startswith("<svg")


def test_ids_of_two_figures_never_meet():
    a, b = (set(re.findall(r'\sid="([^"]+)"', dot_plot([row()], MARKS, name))) for name in ("a", "b"))
    assert a
    assert not a & b


def test_every_reference_inside_a_figure_is_resolved():
    svg = dot_plot([row(floor=0.3, floor_ci_low=0.2, floor_ci_high=0.4)], MARKS, "a")
    ids = set(re.findall(r'\sid="([^"]+)"', svg))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= ids


def test_the_scatter_names_each_point_and_leaves_out_what_has_no_value():
    pairs = [(row(n, 0.8), row(n, 0.7)) for n in ("edm", "gan")] + [(row("noise", None), row("noise", 0.1))]
    found = texts(precision_recall(pairs, MARKS, "a"))
    assert {"edm", "gan"} <= set(found)
    assert "noise" not in found
    assert precision_recall(pairs[2:], MARKS, "a") is None


def test_the_forest_has_one_line_per_group_and_is_absent_without_scores():
    line = ForestLine("test: site A", {"real": row(), "synthetic": row(status="descriptive")}, {"synthetic": row()})
    scores, gaps = forest([line, ForestLine("external: all", {"real": row()}, {})], "AUROC", "a")
    for part in (scores, gaps):
        assert {"test: site A", "external: all"} <= set(texts(part))
    assert "AUROC" in texts(scores)
    assert forest([ForestLine("a", {"real": row()}, {})], "AUROC", "a")[1] is None
    assert forest([], "AUROC", "a") is None


def test_losses_are_binned_named_and_survive_gaps():
    steps = np.arange(1.0, 5001.0)
    loss = np.where(steps % 7 == 0, np.nan, 1 / steps)
    svg = loss_plot(LossCurve(generator="edm", columns={"step": steps, "loss": loss}), "a")
    assert "loss" in texts(svg)
    assert len(svg) < 40_000, "five thousand points were drawn one by one"
    assert loss_plot(LossCurve(generator="edm", columns={"step": steps, "loss": steps * np.nan}), "a") is None
