import pytest

from synthassay.reports.numbers import duration, interval, listing, megabytes, number, plural, tick, times


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(None, None, "–"), (float("nan"), None, "–"), (0.01234, None, "0.0123"), (118.4, None, "118"),
     (1234.5, None, "1,234"),
     (-0.5, 2, "−0.50"), (-0.0004, 2, "0.00"), (0.0, None, "0.00"), (3.2e-6, None, "3.2 × 10⁻⁶")],
)  # fmt: skip
def test_number(value, decimals, text):
    assert number(value, decimals) == text


def test_both_ends_of_an_interval_have_the_digits_its_width_deserves():
    assert interval(0.010234, 0.013771) == "0.0102 to 0.0138"
    assert interval(-12.4, 130.0) == "−12 to 130"
    assert interval(None, 1.0) == "–"


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (1000, "1,000"), (1e-5, "10⁻⁵"), (-1e-5, "−10⁻⁵"), (0, "0")]
)
def test_tick(value, text):
    assert tick(value) == text


def test_words_for_amounts():
    assert times(3.14) == "3.1 times"
    assert times(42.4) == "42 times"
    assert plural(1, "patient") == "1 patient"
    assert plural(1200, "study") == "1,200 studies"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert (duration(0.42), duration(125), duration(3720)) == ("0.4 s", "2 min 05 s", "1 h 02 min")
    assert (megabytes(812.3), megabytes(3400), megabytes(None)) == ("812 MB", "3.4 GB", "–")
