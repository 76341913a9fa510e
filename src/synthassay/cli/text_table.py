"""Plain tables that fit the terminal: cells are wrapped, never cut."""

import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Sequence

GAP = "  "
LONGEST_WORD = 20  # a longer one is broken rather than kept whole
PIPED_WIDTH = 120  # where there is no terminal, as in a log file


def terminal_width() -> int:
    """Columns of the terminal; ``COLUMNS`` overrides it."""
    return shutil.get_terminal_size((PIPED_WIDTH, 24)).columns


def text_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Collection[int] = (), width: int | None = None
) -> str:
    """Lines of a table at most ``width`` wide (None: the terminal's).

    Columns in ``numeric`` are set flush right and keep their width; the widest of the others are narrowed, down to
    their longest word, until the table fits, and their text goes on in the next line.
    """
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    least = [widths[i] if i in numeric else _longest_word(row[i] for row in [heads, *rows]) for i in range(len(heads))]
    spare = (terminal_width() if width is None else width) - len(GAP) * (len(heads) - 1)
    while sum(widths) > spare:
        wide = [i for i in range(len(widths)) if widths[i] > least[i]]
        if not wide:
            break
        widths[max(wide, key=widths.__getitem__)] -= 1
    lines = [line for row in [heads, *rows] for line in _row_lines(row, widths, numeric)]
    height = len(_row_lines(heads, widths, numeric))
    return "\n".join([*lines[:height], GAP.join("-" * w for w in widths), *lines[height:]])


def _longest_word(texts: Iterable[str]) -> int:
    return min(LONGEST_WORD, max(len(word) for text in texts for word in text.split() or [""]))


def _row_lines(row: Sequence[str], widths: Sequence[int], numeric: Collection[int]) -> list[str]:
    cells = [textwrap.wrap(text, widths[i]) or [""] if i not in numeric else [text] for i, text in enumerate(row)]
    lines = []
    for level in range(max(map(len, cells))):
        parts = [cell[level] if level < len(cell) else "" for cell in cells]
        padded = [
            p.rjust(w) if i in numeric else p.ljust(w) for i, (p, w) in enumerate(zip(parts, widths, strict=True))
        ]
        lines.append(GAP.join(padded).rstrip())
    return lines


def say(text: str = "") -> None:
    """Print to standard output; characters that its encoding lacks become ``?``."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="replace").decode(encoding), flush=True)
