from synthassay.records import MetricResult
from synthassay.reports.words import clean, group_name, metric_name, short, why


def test_control_and_direction_characters_do_not_reach_the_page():
    assert clean("a\x00b\n\u202ec\u2028d") == "a b c d"


def test_long_names_are_cut_with_an_ellipsis():
    assert short("x" * 100, 10) == "x" * 9 + "…"


def test_names_for_readers():
    assert metric_name("frechet_distance") == "Fréchet distance"
    assert metric_name("auroc_difference") == "AUROC difference"
    assert metric_name("some_new_metric") == "Some new metric"
    assert group_name("site=St Joseph's") == "site St Joseph's"


def test_a_result_without_a_note_still_says_why_it_is_no_answer():
    row = MetricResult(family="fidelity", metric="kid", generator="edm", n_patients=9)
    assert why(row) == ""
    assert why(MetricResult(family="fidelity", metric="kid", generator="e", status="absent")) == "not computed"
    few = MetricResult(family="fidelity", metric="kid", generator="e", status="descriptive", n_patients=9)
    assert why(few) == "9 patients only"
