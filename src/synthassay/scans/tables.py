"""Table files → frames of text: CSV, TSV, Parquet, Excel, and files of ``name: value`` lines. Never unpickled."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from synthassay.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

KINDS = "CSV with commas, TSV with tabs (both also gzipped), Parquet or Excel (.xlsx)"
SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
NOT_EXCEL = (".xls", ".xlsb", ".ods", ".numbers")


def read_frame(path: Path, sheet: str | int, max_bytes: int) -> "pd.DataFrame":
    """The table in ``path``, cells as text where the format has text; runs of blanks in column names are folded.

    ``max_bytes`` bounds the file and what it inflates to. Raises :class:`UserError` for what cannot be read.
    """
    try:
        frame = _frame(path, sheet, max_bytes)
    except UserError:
        raise
    except (ValueError, OSError, EOFError, UnicodeError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"the table {path.name} cannot be read ({type(error).__name__}).\n"
                        f"Save it as {KINDS}, in UTF-8.") from error  # fmt: skip
    frame.columns = [" ".join(str(name).split()) for name in frame.columns]
    return frame


def _frame(path: Path, sheet: str | int, max_bytes: int) -> "pd.DataFrame":
    import pandas as pd

    name = path.name.lower()
    if name.endswith(NOT_EXCEL):
        raise UserError(f"the table {path.name} is of a kind that is not read.\nSave it as .xlsx or .csv.")
    _check_size(path, path.stat().st_size, max_bytes)
    if name.endswith((".parquet", ".pq")):
        return pd.read_parquet(path)
    if name.endswith((".xlsx", ".xlsm")):
        return _excel(path, sheet, max_bytes)
    content = io.BytesIO(_inflated(path, max_bytes) if name.endswith(".gz") else path.read_bytes())
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix == ".cfg":
        return pd.DataFrame([dict(_pairs(content.read().decode("utf-8-sig")))])
    return pd.read_csv(content, sep=SEPARATORS.get(suffix, ","), dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _excel(path: Path, sheet: str | int, max_bytes: int) -> "pd.DataFrame":
    import pandas as pd

    with zipfile.ZipFile(path) as archive:
        _check_size(path, sum(member.file_size for member in archive.infolist()), max_bytes)
    # pandas opens the workbook with read_only and data_only: values, not formulas.
    with pd.ExcelFile(path, engine="openpyxl") as book:
        if sheet not in book.sheet_names and not (isinstance(sheet, int) and sheet < len(book.sheet_names)):
            raise UserError(f"the table {path.name} has no sheet {sheet!r}; it has {len(book.sheet_names)}.\n"
                            "Set cohort.table.sheet to the name of one, or to its number from 0.")  # fmt: skip
        return pd.read_excel(book, sheet_name=sheet, dtype=str, keep_default_na=False)


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
