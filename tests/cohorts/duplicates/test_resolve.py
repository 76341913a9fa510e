"""Planted doubles, through the whole of preparation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from synthassay.cohorts.prepare import prepare_cohort, table_stem
from synthassay.cohorts.specs import DuplicateSpec, ImagesSpec, TableSpec
from synthassay.errors import UserError
from synthassay.records import Cohort, SilentProgress
from synthassay.specs import Resources

PATIENTS = 20


def picture(*seed: int) -> np.ndarray:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(64, 64)), 3)
    return np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))


def spec(**duplicates: str) -> ImagesSpec:
    table = TableSpec(path="table.csv", file="path", patient="who", label="bad")
    return ImagesSpec(name="pictures", size=64, table=table, duplicates=DuplicateSpec(**duplicates))


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """``tree({"path": image})`` writes two images of each of 20 patients, and others in place of some of them."""

    def write(planted: dict[str, np.ndarray]) -> Path:
        root, rows = tmp_path / "images", []
        root.mkdir()
        for number in range(2 * PATIENTS):
            path = f"{number:02d}.png"
            Image.fromarray(planted.get(path, picture(number))).save(root / path)
            rows.append({"path": path, "who": f"person-{number // 2:02d}", "bad": number // 2 % 2})
        pd.DataFrame(rows).to_csv(root / "table.csv", index=False)
        return root

    return write


def prepared(root: Path, settings: ImagesSpec, trained_on: tuple[str, ...] | None = None) -> Cohort:
    work, keys = root.parent / "work", root.parent / "keys"
    return prepare_cohort(settings, root, keys, work, Resources(workers=1), SilentProgress(), trained_on)


def pairs_of(root: Path, settings: ImagesSpec) -> pd.DataFrame:
    path = root.parent / "keys" / f"{table_stem(settings, root)}.doubles.parquet"
    assert path.stat().st_mode & 0o777 == 0o600
    return pd.read_parquet(path)


# All of the first patient's images stand under everybody else's ids too, so some pair is in two splits.
EVERYWHERE = {f"{number:02d}.png": picture(0) for number in range(0, 2 * PATIENTS, 2)}


def test_equal_images_in_two_splits_stop_and_say_what_to_do(tree):
    root = tree(EVERYWHERE)
    with pytest.raises(
        UserError, match=r"pairs of images are equal pixel by pixel but stand under two patients"
    ) as why:
        prepared(root, spec())
    text = str(why.value)
    assert len(text.splitlines()) == 3
    assert "duplicates.exact=merge" in text
    assert "duplicates.exact=drop" in text
    assert "Correct the patients' ids" in text
    assert "generator-train" in text
    assert "person-" not in text
    pairs = pairs_of(root, spec())
    assert len(pairs) == PATIENTS - 1
    assert (pairs["first_patient"] != pairs["second_patient"]).all()
    assert (pairs["first_split"] != pairs["second_split"]).any()


def test_patients_that_share_an_image_become_one_where_asked(tree):
    root = tree({"06.png": picture(0), "08.png": picture(6 + 1), "09.png": picture(21)})
    cohort = prepared(root, spec(exact="merge"))
    patients = cohort.images.patients
    assert len(cohort.images) == 2 * PATIENTS
    assert len(set(patients.tolist())) == PATIENTS - 3, "0, 3, 4 and 10 are one person"
    assert len({patients[row] for row in (0, 1, 6, 7, 8, 9, 20, 21)}) == 1
    (note,) = (note for note in cohort.notes if "of 4 patients are equal pixel by pixel" in note)
    assert note.endswith("Their patients count as one.")
    sources = pd.read_parquet(next((root.parent / "keys").glob("*.sources.parquet")))
    assert sources["source_patient"].tolist() == [f"person-{i // 2:02d}" for i in range(2 * PATIENTS)]


def test_a_merged_patient_that_a_generator_has_seen_is_generator_train(tree):
    root = tree({"30.png": picture(0)})
    cohort = prepared(root, spec(exact="merge"), trained_on=("person-15", "person-16"))
    assert set(cohort.splits[[0, 1, 30, 31]].tolist()) == {"generator-train"}


def test_later_doubles_are_dropped_where_asked(tree):
    root = tree(EVERYWHERE)
    cohort = prepared(root, spec(exact="drop"))
    assert len(cohort.images) == 2 * PATIENTS - (PATIENTS - 1)
    assert len(set(cohort.images.patients.tolist())) == PATIENTS
    assert [row.reason for row in cohort.quarantined].count(
        "another patient's image is the same (cohort.duplicates)"
    ) == 19


def test_equal_images_of_one_patient_and_blank_ones_are_no_doubles(tree):
    blank = {f"{number:02d}.png": np.full((64, 64), 40, np.uint8) for number in range(1, 20, 2)}
    root = tree({"20.png": picture(21), "22.png": picture(23)} | blank)
    cohort = prepared(root, spec())
    assert not any("under two ids" in note for note in cohort.notes)
    (table,) = [table for table in cohort.tables if table.title == "Images under two patients"]
    assert [row[1] for row in table.rows] == ["0", "0"]


def test_near_doubles_stop_and_are_only_reported_where_asked(tree):
    noise = np.random.default_rng(3).normal(0, 2, (64, 64))
    planted = {
        f"{number:02d}.png": np.uint8(np.clip(0.9 * picture(0)[:, ::-1] + noise, 0, 255)) for number in range(2, 39, 2)
    }
    root = tree(planted | {"38.png": np.uint8(np.clip(0.8 * picture(1) + 20 + noise, 0, 255))})
    cohort = prepared(root, spec(exact="drop", near="report"))
    near = [note for note in cohort.notes if "nearly equal" in note]
    assert len(near) == 1
    assert "of the pairs stand in two splits" in near[0]
    kinds = pairs_of(root, spec(exact="drop", near="report")).query("kind == 'near'")
    assert sorted(kinds["change"]) == ["", "mirrored left-right"], "one changed image, one mirrored and changed"
    assert (kinds["correlation"] > 0.99).all()
    with pytest.raises(UserError, match=r"nearly equal .*\n.*\n.*duplicates.near=merge"):
        prepared(root, spec(exact="drop"))


def test_turned_and_shifted_doubles_stop_or_merge_where_asked(tree):
    original = np.pad(picture(0)[6:-6, 6:-6], 6)
    planted = {f"{n:02d}.png": np.roll(np.rot90(original), (n % 5 - 2, n % 7 - 3), (0, 1)) for n in range(2, 23, 2)}
    root = tree({"00.png": original} | planted)
    with pytest.raises(UserError, match="nearly equal but stand under two patients, in two splits"):
        prepared(root, spec())
    cohort = prepared(root, spec(near="merge"))
    assert len(set(cohort.images.patients.tolist())) == PATIENTS - len(planted)
    (table,) = [table for table in cohort.tables if table.title == "Images under two patients"]
    assert "nearly equal, turned by a quarter and shifted or cropped" in [row[0] for row in table.rows]
    assert "shifted ones, laid on each other" in table.note


def test_images_that_are_merely_alike_are_no_doubles(tree):
    base = picture(99).astype(np.float64)
    alike = {f"{i:02d}.png": np.uint8(np.clip(0.8 * base + 0.2 * picture(i), 0, 255)) for i in range(2 * PATIENTS)}
    cohort = prepared(tree(alike), spec(near="error"))
    (table,) = [table for table in cohort.tables if table.title == "Images under two patients"]
    assert [row[1] for row in table.rows] == ["0", "0"]
    assert "usually correlate by 0.9" in table.note


def test_the_pairs_do_not_depend_on_the_key(tree):
    root = tree({"06.png": picture(0)})
    first = prepared(root, spec(exact="merge"))
    for path in (root.parent / "keys").iterdir():
        path.unlink()
    assert prepared(root, spec(exact="merge")).content_id == first.content_id
