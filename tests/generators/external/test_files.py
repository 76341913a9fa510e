"""The list of patients that the generator of an external set was trained on."""

import pytest

from synthassay.errors import UserError
from synthassay.generators.external.files import read_trained_on


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", "P1\n\n P2 \nP1\nP3"), ("ids.csv", "\ufeffpatient_id\nP1\nP2\nP3\n"),
        ("ids.csv", "age,Patient\n3,P1\n4,P2\n5,P3\n"), ("ids.tsv", "participant_id\tsite\nP1\tA\nP2\tA\nP3\tB\n"),
    ],
)  # fmt: skip
def test_patients_trained_on_are_read(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_trained_on(tmp_path / name) == ("P1", "P2", "P3")


@pytest.mark.parametrize("content", ["", "\n\n", "patient\n", "P1,P2\nP3,P4\n"])
def test_a_useless_list_of_patients_ends_in_words_without_ids(tmp_path, content):
    (tmp_path / "ids.csv").write_text(content)
    with pytest.raises(UserError) as error:
        read_trained_on(tmp_path / "ids.csv")
    assert "P1" not in str(error.value)
    with pytest.raises(UserError, match="is not a file"):
        read_trained_on(tmp_path / "absent.txt")
