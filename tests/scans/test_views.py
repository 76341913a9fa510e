import pytest

from synthassay.scans.views import view_of


@pytest.mark.parametrize(
    ("written", "expected"),
    [("PA", "PA"), ("pa", "PA"), ("Posterior-anterior", "Posterior-anterior"), ("AP", "AP"), ("AP SUPINE", "AP"),
     ("LL", "LATERAL"), ("LATERAL", "LATERAL"), ("Left Lateral", "LATERAL"), ("Frontal", "FRONTAL"), ("LLD", "LLD"),
     ("AX FLAIR HEAD", "AX FLAIR HEAD"), ("MLO", "MLO"), ("LMLO", "MLO L"), ("R CC", "CC R"), ("CC-RIGHT", "CC R"),
     ("Cranio-Caudal", "CC"), ("RML", "ML R"), ("LM", "LM"), ("", None), (None, None)],
)  # fmt: skip
def test_one_word_for_each_view(written, expected):
    assert view_of(written) == expected


def test_the_side_belongs_to_a_view_of_the_breast_only():
    assert view_of("MLO", "L") == "MLO L"
    assert view_of("CC", "RIGHT") == "CC R"
    assert view_of("PA", "L") == "PA"
    assert view_of("MLO", "") == "MLO"


def test_a_code_counts_where_nothing_is_written():
    assert view_of("", "R", "399162004") == "CC R"
    assert view_of(None, None, "R-10206") == "AP"
    assert view_of("PA", None, "399348003") == "PA"
    assert view_of(None, "L", "0") is None
