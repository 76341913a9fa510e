"""Table files → frames of text: CSV, TSV, Parquet, Excel, and files of ``name: value`` lines. Never unpickled."""

import codecs
import csv
import gzip
import io
import itertools
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthassay.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

KINDS = "CSV with commas or semicolons, TSV with tabs (both also gzipped), Parquet or Excel (.xlsx)"
SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
ANY_SEPARATOR = (",", ";", "\t")
HEADER = 1 << 16  # bytes that are searched for the first line
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NOT_EXCEL = (".xls", ".xlsb", ".ods", ".numbers")


def read_frame(path: Path, sheet: str | int, max_bytes: int, encoding: str | None = None) -> "pd.DataFrame":
    """The table in ``path``, cells as text where the format has text; runs of blanks in column names are folded.

    Of columns that share a name, each gets its number: ``score (1)``, ``score (2)``. ``max_bytes`` bounds the file and
    what it inflates to. Text is in ``encoding``; ``None`` is UTF-8, or UTF-16 where the file begins with its mark.
    Raises :class:`UserError` for what cannot be read.
    """
    import pandas as pd

    try:
        frame = _frame(path, sheet, max_bytes, encoding)
    except (UserError, MemoryError):
        raise
    except UnicodeError as error:
        raise UserError(f"the table {path.name} cannot be read as text in {encoding or 'UTF-8'}.\nSave it in UTF-8, or "
                        "name its encoding: cohort.table.encoding=cp1252 is what Excel writes in Western Europe."
                        ) from error  # fmt: skip
    except (pd.errors.ParserError, csv.Error) as error:  # rows with more cells would move under other names
        raise UserError(f"the table {path.name} cannot be read: a row has more cells than the header, or a quotation "
                        "mark is not closed.\nMend it, or save it as Excel (.xlsx).") from error  # fmt: skip
    except Exception as error:  # what reads workbooks raises whatever it likes on damaged ones
        raise UserError(f"the table {path.name} cannot be read ({type(error).__name__}).\n"
                        f"Save it as {KINDS}, in UTF-8.") from error  # fmt: skip
    frame.columns = _distinct([" ".join(str(name).split()) for name in frame.columns])
    return frame


def _distinct(names: Sequence[str]) -> list[str]:
    counts, taken, distinct = Counter(names), set(names), list[str]()
    numbers = {name: itertools.count(1) for name in counts}
    for name in names:
        numbered = (f"{name} ({number})" for number in numbers[name])  # goes on where it stopped
        distinct.append(name if counts[name] == 1 else next(one for one in numbered if one not in taken))
        taken.add(distinct[-1])
    return distinct


def _frame(path: Path, sheet: str | int, max_bytes: int, encoding: str | None) -> "pd.DataFrame":
    import pandas as pd

    name = path.name.lower()
    if name.endswith(NOT_EXCEL):
        raise UserError(f"the table {path.name} is of a kind that is not read.\nSave it as .xlsx or .csv.")
    _check_size(path, path.stat().st_size, max_bytes)
    if name.endswith((".parquet", ".pq")):
        return _without_index(pd.read_parquet(path))
    if name.endswith((".xlsx", ".xlsm")):
        return _headed(_excel(path, sheet, max_bytes))
    content = _inflated(path, max_bytes) if name.endswith(".gz") else path.read_bytes()
    suffix = Path(name.removesuffix(".gz")).suffix
    encoding = encoding or ("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    if suffix == ".cfg":
        return pd.DataFrame([dict(_pairs(content.decode(encoding)))])
    separator = _separator(suffix, content[:HEADER].decode(encoding, "ignore"))
    # Asked for a header pandas would take a further cell of each row for a name of the row, and move all others to
    # the left.
    columns = range(_width(content, encoding, separator))
    return _headed(pd.read_csv(io.BytesIO(content), sep=separator, header=None, names=columns, usecols=columns,
                               dtype=str, keep_default_na=False, encoding=encoding))  # fmt: skip


def _separator(suffix: str, text: str) -> str:
    """What separates cells: by the file's suffix, unless another is more frequent in the first line."""
    first, usual = next(iter(text.strip().splitlines()), ""), SEPARATORS.get(suffix, ",")
    return max((usual, *ANY_SEPARATOR), key=first.count)


def _width(content: bytes, encoding: str, separator: str) -> int:
    """How many cells the header has. Raises ``csv.Error`` where a row goes on beyond it with more than empty cells."""
    with io.TextIOWrapper(io.BytesIO(content), encoding, newline="") as text:
        rows = csv.reader(text, delimiter=separator)
        width = len(next((row for row in rows if any(row)), ()))
        if any("".join(row[width:]).strip() for row in rows):
            raise csv.Error("a row has more cells than the header")
    return width


def _without_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    """With the columns that pandas keeps as an index on request, unless they are there as columns too."""
    names = enumerate(frame.index.names)
    kept = [level for level, name in names if name is not None and name not in frame.columns]
    return (frame.reset_index(level=kept) if kept else frame).reset_index(drop=True)


def _headed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame with its first row as names of the columns, without rows and columns that are empty throughout."""
    filled = frame != ""
    frame = frame.loc[filled.any(axis=1), filled.any()]
    if frame.empty:
        raise ValueError("no header")
    body = frame.iloc[1:].reset_index(drop=True)
    body.columns = frame.iloc[0].tolist()
    return body


def _excel(path: Path, sheet: str | int, max_bytes: int) -> "pd.DataFrame":
    import pandas as pd

    with zipfile.ZipFile(path) as archive:
        _check_size(path, sum(member.file_size for member in archive.infolist()), max_bytes)
    # pandas opens the workbook with read_only and data_only: values, not formulas.
    with pd.ExcelFile(path, engine="openpyxl") as book:
        if sheet not in book.sheet_names and not (isinstance(sheet, int) and sheet < len(book.sheet_names)):
            raise UserError(f"the table {path.name} has no sheet {sheet!r}; it has {len(book.sheet_names)}.\n"
                            "Set cohort.table.sheet to the name of one, or to its number from 0.")  # fmt: skip
        return pd.read_excel(book, sheet_name=sheet, header=None, dtype=str, keep_default_na=False)


def _inflated(path: Path, max_bytes: int) -> bytes:
    with gzip.open(path) as stream:
        content = stream.read(max_bytes + 1)
    _check_size(path, len(content), max_bytes)
    return content


def _check_size(path: Path, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise UserError(f"the table {path.name} holds more than {max_bytes >> 20:,} MiB, which is "
                        "cohort.limits.file_mib.\nRaise the limit if the table is as large as that.")  # fmt: skip


def _pairs(text: str) -> list[tuple[str, str]]:
    split = [line.partition(":") for line in text.splitlines()]
    return [(name.strip(), value.strip()) for name, colon, value in split if colon and name.strip()]
