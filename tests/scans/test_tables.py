import gzip
import time

import pandas as pd
import pytest

from synthassay.errors import UserError
from synthassay.scans.tables import read_frame

LIMIT = 1 << 20
FRAME = pd.DataFrame({"Image  Index": ["a.png", "b.png"], "004 code": ["004", "1"], "note": ["", "ü, x"]})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.tab", "t.TSV.GZ", "t.txt", "t.parquet", "t.xlsx"])
def test_every_kind_gives_the_same_text_with_blanks_in_names_folded(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        FRAME.to_parquet(path)
    elif name.endswith("xlsx"):
        FRAME.to_excel(path, index=False)
    else:
        text = FRAME.to_csv(sep="\t" if name[2:5].lower() in ("tsv", "tab") else ",", index=False).encode()
        path.write_bytes(gzip.compress(text, mtime=0) if name.lower().endswith("gz") else text)
    frame = read_frame(path, 0, LIMIT)
    assert frame.columns.tolist() == ["Image Index", "004 code", "note"]
    assert frame.to_numpy().tolist() == FRAME.to_numpy().tolist()


@pytest.mark.parametrize(("name", "text", "encoding"), [
    ("t.csv", "path;label;age\r\na.png;1;63,5\r\n", "utf-8-sig"),
    ("t.csv", "path\tlabel\tage\na.png\t1\t63,5\n", "utf-8"),
    ("t.txt", "path\tlabel\tage\r\na.png\t1\t63,5\r\n", "utf-16"),
    ("t.tsv", 'path,label,age\na.png,1,"63,5"\n', "utf-8"),
    ("t.csv", '\n,,\npath,label,age\n,,\na.png,1,"63,5"\n', "utf-8"),
    ("t.csv", 'path,label,age\na.png,1,"63,5", \n,,,,\n', "utf-8"),
    ("t.csv", 'path,label,,age,\na.png,1,,"63,5",\n', "utf-8"),
])  # fmt: skip
def test_what_spreadsheets_write_in_other_countries_is_the_same_table(tmp_path, name, text, encoding):
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert read_frame(tmp_path / name, 0, LIMIT).to_dict("records") == [{"path": "a.png", "label": "1", "age": "63,5"}]


def test_a_comma_in_the_names_of_columns_that_semicolons_separate(tmp_path):
    (tmp_path / "t.csv").write_text("Alter, Jahre;Sex;file\n63,5;f;a.png\n")
    frame = read_frame(tmp_path / "t.csv", 0, LIMIT)
    assert frame.to_dict("records") == [{"Alter, Jahre": "63,5", "Sex": "f", "file": "a.png"}]


@pytest.mark.parametrize("text", ["path,label\na.png,1,x\nb.png,0,y\n", "path,label\na.png,1\nb.png,0,,x\n",
                                  'path,label\n"a.png,1\nb.png,0\n'])  # fmt: skip
def test_rows_that_do_not_fit_their_header_are_refused_and_never_moved_under_another(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match="a row has more cells than the header, or a quotation mark is not closed"):
        read_frame(tmp_path / "t.csv", 0, LIMIT)


def test_columns_of_one_name_are_numbered_so_that_none_is_taken_unasked(tmp_path):
    frame = pd.DataFrame([["path", "score", " score"], ["a.png", 1, 2.5]])
    frame.to_csv(tmp_path / "t.csv", header=False, index=False)
    frame.to_excel(tmp_path / "t.xlsx", header=False, index=False)
    for name in ("t.csv", "t.xlsx"):
        assert read_frame(tmp_path / name, 0, LIMIT).to_dict("records") == [
            {"path": "a.png", "score (1)": "1", "score (2)": "2.5"}
        ]


def test_numbers_of_columns_do_not_meet_names_that_are_there(tmp_path):
    (tmp_path / "t.csv").write_text("a,a,a (1),b\n1,2,3,4\n")
    assert read_frame(tmp_path / "t.csv", 0, LIMIT).columns.tolist() == ["a (2)", "a (3)", "a (1)", "b"]


def test_many_columns_of_one_name_or_none_take_no_time(tmp_path):
    header, row = "path" + 3000 * "," + 3000 * ",a", "b.png" + 3000 * "," + 3000 * ",1"
    (tmp_path / "t.csv").write_text(f"{header}\n{row}\n")
    began = time.monotonic()
    names = read_frame(tmp_path / "t.csv", 0, LIMIT).columns
    assert (len(names), names[0], names[-1]) == (3001, "path", "a (3000)")
    assert time.monotonic() - began < 30  # and not minutes, as a search through all numbers for each name takes


def test_a_table_need_not_begin_in_the_corner_of_its_sheet(tmp_path):
    table = pd.DataFrame([["path", "", "label"], ["a.png", "", "1"]])
    table.to_excel(tmp_path / "t.xlsx", header=False, index=False, startrow=2, startcol=2)
    assert read_frame(tmp_path / "t.xlsx", 0, LIMIT).to_dict("records") == [{"path": "a.png", "label": "1"}]


def test_a_column_that_pandas_kept_as_the_index_is_a_column(tmp_path):
    FRAME.set_index("004 code").to_parquet(tmp_path / "t.parquet")
    assert read_frame(tmp_path / "t.parquet", 0, LIMIT)["004 code"].tolist() == ["004", "1"]
    FRAME.set_index("004 code", drop=False).to_parquet(tmp_path / "t.parquet")
    assert read_frame(tmp_path / "t.parquet", 0, LIMIT).columns.tolist() == ["Image Index", "004 code", "note"]


def test_lines_of_name_and_value_are_a_table_of_one_row(tmp_path):
    (tmp_path / "Info.cfg").write_text("ED: 1\nGroup: DCM\n\n# a note\nHeight: 184.0\n")
    assert read_frame(tmp_path / "Info.cfg", 0, LIMIT).to_dict("records") == [
        {"ED": "1", "Group": "DCM", "Height": "184.0"}
    ]


def test_a_sheet_is_chosen_by_name_or_number_and_formulas_give_their_values(tmp_path):
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as writer:
        FRAME.to_excel(writer, sheet_name="first", index=False)
        pd.DataFrame({"x": [1, 2]}).to_excel(writer, sheet_name="second", index=False)
    assert read_frame(path, "second", LIMIT)["x"].tolist() == read_frame(path, 1, LIMIT)["x"].tolist() == ["1", "2"]
    for sheet in ("third", 2):
        with pytest.raises(UserError, match=r"has no sheet .*; it has 2\.\nSet cohort\.table\.sheet"):
            read_frame(path, sheet, LIMIT)


def test_text_in_another_encoding_is_read_when_it_is_named_and_never_guessed(tmp_path):
    (tmp_path / "t.csv").write_bytes("path;hôpital\na.png;Besançon\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"as text in UTF-8.*\n.*cohort\.table\.encoding=cp1252"):
        read_frame(tmp_path / "t.csv", 0, LIMIT)
    frame = read_frame(tmp_path / "t.csv", 0, LIMIT, "cp1252")
    assert frame.to_dict("records") == [{"path": "a.png", "hôpital": "Besançon"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xls", b"\xd0\xcf\x11\xe0", r"of a kind that is not read\.\nSave it as \.xlsx or \.csv"),
        ("t.xlsx", b"not a workbook", "cannot be read"),
        ("t.parquet", b"not parquet", "cannot be read"),
        ("t.csv.gz", b"not gzip", "cannot be read"),
        ("t.csv.gz", gzip.compress(b"a,b\n" * 100, mtime=0)[:-12], "cannot be read"),
        ("t.csv.gz", gzip.compress(bytes(2 * LIMIT), mtime=0), r"more than 1 MiB, which is cohort\.limits\.file_mib"),
        ("t.csv", bytes(2 * LIMIT), r"more than 1 MiB"),
        ("t.xlsx", b"PK\3\4" + bytes(40), "cannot be read"),
        ("t.csv", b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_frame(tmp_path / name, 0, LIMIT)


def test_a_workbook_that_inflates_beyond_the_limit_is_refused(tmp_path):
    pd.DataFrame({"x": ["a"] * 60_000}).to_excel(tmp_path / "t.xlsx", index=False)
    assert (tmp_path / "t.xlsx").stat().st_size < LIMIT
    with pytest.raises(UserError, match="more than 1 MiB"):
        read_frame(tmp_path / "t.xlsx", 0, LIMIT)
