"""Tables on a terminal: they fit, and no word is lost."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthassay.cli.text_table import LONGEST_WORD, say, text_table

WORDS = st.lists(st.text("abcé−-", min_size=1, max_size=12), max_size=8).map(" ".join)


@given(st.lists(st.tuples(WORDS, st.integers(0, 10**6).map(str), WORDS), min_size=1, max_size=6), st.integers(60, 140))
def test_every_line_fits_and_every_character_is_kept(rows: list[tuple[str, str, str]], width: int) -> None:
    table = text_table(["Name", "Count", "Note"], rows, numeric=[1], width=width)
    lines = table.splitlines()
    assert all(len(line) <= width for line in lines)
    shown = sorted("".join("".join(lines[2:]).split()))
    assert shown == sorted("".join(" ".join(cell for row in rows for cell in row).split()))


def test_numbers_are_flush_right_and_never_wrapped() -> None:
    table = text_table(["Metric", "Value"], [["Fréchet distance of two sets", "1,234.5"], ["KID", "0.1"]],
                       numeric=[1], width=20)  # fmt: skip
    lines = table.splitlines()
    assert lines[0].endswith("Value")
    assert {len(line) for line in lines if "," in line or "0.1" in line} == {len(lines[0])}
    assert "1,234.5" in table


def test_a_table_that_cannot_fit_is_wider_rather_than_unreadable() -> None:
    table = text_table(["A", "B"], [["word", "x" * (LONGEST_WORD + 5)]], width=10)
    assert "word" in table
    assert max(map(len, table.splitlines())) == len("word") + 2 + LONGEST_WORD


def test_an_empty_table_has_its_heads() -> None:
    assert text_table(["Metric", "Value"], [], numeric=[1], width=80).splitlines() == ["Metric  Value", "------  -----"]


def test_characters_that_the_terminal_lacks_are_replaced(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Plain:
        encoding = "ascii"

        def __init__(self, stream: object) -> None:
            self.stream = stream

        def __getattr__(self, name: str) -> object:
            return getattr(self.stream, name)

    monkeypatch.setattr(sys, "stdout", Plain(sys.stdout))
    say("Fréchet −1")
    assert capsys.readouterr().out == "Fr?chet ?1\n"
