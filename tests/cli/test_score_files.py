"""``synthassay score`` on feature files: from the command line to the files it leaves."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from synthassay.cli.feature_files import FeatureFile
from synthassay.cli.feature_sets import feature_sets, halved
from synthassay.cli.main import main
from synthassay.cli.result_table import result_text
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import MetricResult
from synthassay.reports.runs import read_run

Arrays = dict[str, np.ndarray]
FAST = ["--replicates", "20", "--device", "cpu"]


def images(name: str, patients: int, each: int, *, seed: int, shift: float = 0.0) -> Arrays:
    random = np.random.default_rng(seed)
    centres = shift + random.standard_normal((patients, 6))
    features = np.repeat(centres, each, axis=0) + 0.3 * random.standard_normal((patients * each, 6))
    n = len(features)
    return {
        "features": features.astype(np.float32),
        "ids": np.array([f"{name}{i}" for i in range(n)]),
        "patients": np.repeat([f"{name}-p{i}" for i in range(patients)], each),
        "labels": np.arange(n) // each % 2,
    }


SETS = {
    "real": images("r", 40, 3, seed=0),
    "control": images("c", 30, 3, seed=1),
    "train": images("t", 50, 3, seed=2),
    "synth": {k: v for k, v in images("s", 100, 1, seed=3, shift=0.2).items() if k != "patients"},
}


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., dict[str, str]]:
    def write(**changes: dict[str, np.ndarray | None]) -> dict[str, str]:
        paths = {}
        for name, arrays in SETS.items():
            paths[name] = str(tmp_path / f"{name}.npz")
            merged = arrays | changes.get(name, {})
            np.savez(paths[name], **{k: v for k, v in merged.items() if v is not None})
        return paths

    return write


def score(paths: dict[str, str], out: Path, *more: str) -> int:
    return main(["score", "--real", paths["real"], "--synthetic", paths["synth"], "--out", str(out), *FAST, *more])


def rows_of(out: Path) -> list[MetricResult]:
    return list(read_run(out).results)


def one(rows: list[MetricResult], metric: str = "kid", **wanted: str) -> MetricResult:
    where = {"metric": metric, "variant": "patient-aware", "reference": "test", "group": "all"} | wanted
    (found,) = [row for row in rows if all(getattr(row, name) == value for name, value in where.items())]
    return found


def test_it_prints_a_table_and_last_the_path_of_results_that_equal_the_engines(
    files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, out = files(), tmp_path / "out"
    assert score(paths, out, "--control", paths["control"], "--train", paths["train"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == str(out / "results.json")
    assert shown.err.startswith("synthassay score: reading real.npz, synth.npz, control.npz, train.npz")
    bar = [line for line in shown.err.splitlines() if line.startswith("score synth")]
    assert bar[0].split()[2].startswith("0%|")
    assert bar[-1].split()[2].startswith("100%|")
    for part in ("Fréchet distance", "KID (classic)", "95% interval", "Floor", "Against generator-train", "by group"):
        assert part in shown.out
    rows = rows_of(out)
    assert {row.status for row in rows if row.group == "all" and row.metric == "kid"} == {"ok"}
    expected = directly()
    assert len(rows) == len(expected)
    for row in expected:
        same = one(rows, row.metric, variant=row.variant, reference=row.reference, group=row.group)
        assert (same.value, same.ci_low, same.floor, same.n_real) == (row.value, row.ci_low, row.floor, row.n_real)


def directly() -> list[MetricResult]:
    """The same scores without any file."""
    read = {role: FeatureFile(name=f"{name}.npz", features=a["features"], ids=a["ids"], patients=a.get("patients"),
                              labels=a["labels"].astype(str))
            for role, (name, a) in zip(("real", "control", "train", "synthetic"), SETS.items(), strict=True)
            }  # fmt: skip
    sets = feature_sets(read, None, encoder="unnamed", subject="synth")
    spec = FidelitySpec(replicates=20, groups=("label",))
    return score_fidelity(
        sets["synthetic"], test=sets["real"], control=sets["control"], train=sets["train"], spec=spec, seed=0
    )


def test_parquet_holds_the_same_rows(files, tmp_path: Path) -> None:
    paths = files()
    assert score(paths, tmp_path / "out", "--control", paths["control"]) == 0
    table = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert [row["value"] for row in table] == [row.value for row in rows_of(tmp_path / "out")]


def test_the_first_line_comes_within_two_seconds(files, tmp_path: Path) -> None:
    paths = files()
    command = [sys.executable, "-m", "synthassay.cli.main", "score", "--real", paths["real"], "--synthetic",
               paths["synth"], "--out", str(tmp_path / "out")]  # fmt: skip
    waited = []
    for _ in range(2):
        start = time.monotonic()
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            line = process.stderr.readline()
            waited.append(time.monotonic() - start)
            process.kill()
    assert line.startswith("synthassay score: reading")
    assert min(waited) < 2


def test_without_a_control_there_is_no_floor_and_it_is_said(files, tmp_path: Path, capsys) -> None:
    assert score(files(), tmp_path / "out") == 0
    valued = [row for row in rows_of(tmp_path / "out") if row.value is not None]
    assert valued
    assert {row.floor for row in valued} == {None}
    assert all("no floor" in row.note and "--control FILE" in row.note for row in valued)
    assert one(valued).n_synthetic == 100  # nothing is cut for a floor that is not there
    assert "--split-real" in capsys.readouterr().out


def test_without_train_its_questions_stay_open_and_the_way_to_answer_is_named(files, tmp_path: Path, capsys) -> None:
    assert score(files(), tmp_path / "out") == 0
    row = one(rows_of(tmp_path / "out"), "authenticity", reference="generator-train")
    assert (row.value, row.status) == (None, "insufficient evidence")
    assert "--train FILE" in row.note
    assert "generator.trained_on" not in capsys.readouterr().out


def test_half_of_the_real_patients_can_be_the_control(files, tmp_path: Path) -> None:
    paths = files()
    assert score(paths, tmp_path / "a", "--split-real") == 0
    row = one(rows_of(tmp_path / "a"))
    assert row.floor is not None
    assert (row.n_real, row.n_synthetic) == (60, 60)
    assert score(paths, tmp_path / "b", "--split-real", "--seed", "1") == 0
    assert one(rows_of(tmp_path / "b")).value != row.value


def test_halves_share_no_patient_and_lose_no_image() -> None:
    file = FeatureFile(name="real.npz", features=SETS["real"]["features"], patients=SETS["real"]["patients"])
    whole = feature_sets({"real": file}, None, encoder="x", subject="s")["real"]
    reference, control = halved(whole.take(np.arange(117)), 0)
    assert not set(reference.patients) & set(control.patients)
    assert sorted([*reference.ids, *control.ids]) == sorted(whole.ids[:117])
    assert len(set(reference.patients)) == 20
    assert len(set(control.patients)) == 19
    assert reference.content_id != control.content_id != whole.content_id


def test_rows_of_unstated_patients_prove_nothing(files, tmp_path: Path, capsys) -> None:
    paths = files(real={"patients": None})
    assert score(paths, tmp_path / "out") == 0
    valued = [row for row in rows_of(tmp_path / "out") if row.value is not None]
    assert {row.status for row in valued} == {"descriptive"}
    assert {row.resampling_unit for row in valued} == {"image"}
    assert all("real.npz names no patients" in row.note for row in valued)
    assert "np.arange(n)" in capsys.readouterr().out


def test_features_alone_in_npy_files_are_enough(tmp_path: Path) -> None:
    paths = {}
    for name in ("real", "synth"):
        paths[name] = str(tmp_path / f"{name}.npy")
        np.save(paths[name], SETS[name]["features"])
    assert score(paths, tmp_path / "out") == 0
    assert one(rows_of(tmp_path / "out"), "precision").value is not None


def test_the_frechet_distance_is_fid_only_with_fid_inception(files, tmp_path: Path) -> None:
    paths = files()
    for encoder, metric in (("fid-inception", "fid"), ("mine", "frechet_distance")):
        assert score(paths, tmp_path / encoder, "--encoder", encoder) == 0
        metrics = {row.metric for row in rows_of(tmp_path / encoder)}
        assert metrics & {"fid", "frechet_distance"} == {metric}
        assert dict(one(rows_of(tmp_path / encoder)).identity)["encoder"] == encoder


def test_unnamed_encoders_are_alike_only_for_the_same_real_features(files, tmp_path: Path) -> None:
    changes = {
        "same": {},
        "other set": {"synth": {"features": SETS["synth"]["features"] * 2}},
        "other real": {"real": {"features": SETS["real"]["features"] + np.float32(0.01)}},
    }
    digests = []
    for name, change in changes.items():
        assert score(files(**change), tmp_path / name) == 0
        digests.append(dict(one(rows_of(tmp_path / name)).identity)["encoder.digest"])
    assert digests[0] == digests[1] != digests[2]


def test_compare_ranks_two_sets_and_never_averages_files_of_one_name(files, tmp_path: Path, capsys) -> None:
    paths = files()
    assert score(paths, tmp_path / "a", "--control", paths["control"]) == 0
    paths = files(synth={"features": SETS["synth"]["features"] + 2})
    assert score(paths, tmp_path / "b", "--control", paths["control"]) == 0
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), f"out={tmp_path / 'board.html'}"]) == 0
    page = (tmp_path / "board.html").read_text()
    settings = [next(iter(read_run(tmp_path / name).settings.values())) for name in "ab"]
    assert settings[0] != settings[1]
    assert all(f"synth ({digest[:6]})" in page for digest in settings)


def test_paths_do_not_change_a_results_identity(files, tmp_path: Path) -> None:
    paths = files()
    assert score(paths, tmp_path / "a") == 0
    (tmp_path / "elsewhere").mkdir()
    for name, path in paths.items():
        paths[name] = str(Path(path).rename(tmp_path / "elsewhere" / f"{name}.npz"))
    assert score(paths, tmp_path / "b") == 0
    a, b = (json.loads((tmp_path / name / "results.json").read_text()) for name in "ab")
    assert a == b


def groups_csv(folder: Path, text: str) -> str:
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def site_table() -> str:
    ids = [*SETS["real"]["ids"], *SETS["synth"]["ids"][:90]]
    lines = [f"{key},{'AB'[i // 3 % 2]},{i % 7}" for i, key in enumerate(ids)]
    return "\n".join(["id,site,shoe size", *lines, "stranger,A,1", ""])


def test_groups_are_joined_on_ids_and_what_matches_is_said(files, tmp_path: Path, capsys) -> None:
    table = groups_csv(tmp_path, site_table())
    assert score(files(), tmp_path / "out", "--groups", table) == 0
    said = capsys.readouterr().err
    for part in ("describes 120 of 120 rows of real.npz", "describes 90 of 100 rows of synth.npz",
                 "1 lines of groups.csv match no row", "not read: shoe size"):  # fmt: skip
        assert part in said
    rows = rows_of(tmp_path / "out")
    assert one(rows, group="site=A").n_real == 60
    assert {row.group for row in rows} == {"all", "site=A", "site=B", "label=0", "label=1"}


def test_labels_of_the_table_complete_those_of_the_file(files, tmp_path: Path) -> None:
    table = groups_csv(
        tmp_path, "id,label\n" + "".join(f"{key},{i % 2}\n" for i, key in enumerate(SETS["synth"]["ids"]))
    )
    assert score(files(synth={"labels": np.full(100, -1)}), tmp_path / "out", "--groups", table) == 0
    assert one(rows_of(tmp_path / "out"), group="label=1").n_synthetic == 50


SHARED = SETS["control"]["patients"].copy()
SHARED[:3] = "r-p7"
WRONG = {
    "no real": (["--synthetic", "S", "--out", "o"], {}, "required: --real"),
    "no out": (["--real", "R", "--synthetic", "S"], {}, "required: --out"),
    "unknown option": (["--real", "R", "--synthetic", "S", "--out", "o", "--contol", "C"], {}, "arguments: --contol"),
    "a setting of a run": (["--real", "R", "--synthetic", "S", "--out", "o", "seed=1"], {}, "seed=1"),
    "two floors": (["--real", "R", "--synthetic", "S", "--out", "o", "--control", "C", "--split-real"], {},
                   "not allowed with"),
    "no number": (["--real", "R", "--synthetic", "S", "--out", "o", "--k", "five"], {}, "five"),
    "k of 0": (["--real", "R", "--synthetic", "S", "--out", "o", "--k", "0"], {}, "--k 0"),
    "few replicates": (["--real", "R", "--synthetic", "S", "--out", "o", "--replicates", "3"], {}, "--replicates 3"),
    "device": (["--real", "R", "--synthetic", "S", "--out", "o", "--device", "tpu"], {}, "auto, cpu, cuda"),
    "no file": (["--real", "nowhere.npz", "--synthetic", "S", "--out", "o"], {}, "nowhere.npz is not a file"),
    "unwritable": (["--real", "R", "--synthetic", "S", "--out", "R/o"], {}, "cannot write to"),
    "columns": (["--real", "R", "--synthetic", "S", "--out", "o"], {"synth": {"features": np.ones((100, 5), "f4")}},
                "real.npz has 6 columns and synth.npz 5"),
    "nan": (["--real", "R", "--synthetic", "S", "--out", "o"],
            {"synth": {"features": np.full((100, 6), np.nan, np.float32)}}, "synth.npz holds nan at row 0, column 0"),
    "same file": (["--real", "R", "--synthetic", "S", "--out", "o", "--control", "R"], {}, "share 40 patients"),
    "a shared patient": (["--real", "R", "--synthetic", "S", "--out", "o", "--control", "C"],
                         {"control": {"patients": SHARED}}, "real.npz and control.npz share 1 patients"),
    "same features": (["--real", "R", "--synthetic", "S", "--out", "o", "--train", "T"],
                      {"train": SETS["real"] | {"patients": None}}, "hold the same features"),
    "no table": (["--real", "R", "--synthetic", "S", "--out", "o", "--groups", "nowhere.csv"], {}, "not a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_end_in_a_short_message_and_exit_code_2(
    case: str, files, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, changes, expected = WRONG[case]
    paths = files(**changes)
    named = {"R": paths["real"], "S": paths["synth"], "C": paths["control"], "T": paths["train"],
             "R/o": paths["real"] + "/o"}  # fmt: skip
    assert main(["score", *(named.get(argument, argument) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    message = error[error.rindex("synthassay: ") :]
    assert expected in message
    assert len(message.strip().splitlines()) <= 3
    assert "Traceback" not in error


TABLES = {
    "no id": ("name,site\nr0,A\n", "needs the column 'id'"),
    "semicolons": ("id;site\nr0;A\n", "separated by commas; it has: id;site"),
    "nothing to group by": ("id,hair\nr0,red\n", "one or more of label, site, device, view, sex, age_band"),
    "doubled column": ("id,site,site\nr0,A,A\n", "each once"),
    "ragged": ("id,site\nr0,A\nr1\n", "1 cells in line 3"),
    "doubled id": ("id,site\nr0,A\nr1,A\nr0,B\n", "line 4 of groups.csv repeats the id of line 2"),
    "empty id": ("id,site\n,A\n", "line 2 of groups.csv has no id"),
    "no match": ("id,site\nnobody,A\n", "describes no row of real.npz, synth.npz"),
    "label": ("id,label\nr0,1\n", "row 0 of real.npz has the label '0', the table of groups says '1'"),
    "empty": ("", "needs the column 'id'"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_joined_are_refused(case: str, files, tmp_path: Path, capsys) -> None:
    text, expected = TABLES[case]
    assert score(files(), tmp_path / "out", "--groups", groups_csv(tmp_path, text)) == 2
    assert expected in capsys.readouterr().err


def test_an_id_in_two_files_is_not_guessed(files, tmp_path: Path, capsys) -> None:
    paths = files(synth={"ids": SETS["real"]["ids"][:100]})
    assert score(paths, tmp_path / "out", "--groups", groups_csv(tmp_path, "id,site\nr4,A\n")) == 2
    assert "line 2 of groups.csv describes a row of real.npz and one of synth.npz" in capsys.readouterr().err


def test_a_table_in_another_encoding_is_refused(files, tmp_path: Path, capsys) -> None:
    (tmp_path / "groups.csv").write_bytes("id,site\nr0,Köln\n".encode("latin-1"))
    assert score(files(), tmp_path / "out", "--groups", str(tmp_path / "groups.csv")) == 2
    assert "UTF-8" in capsys.readouterr().err


def test_equal_rows_in_two_real_files_are_said_in_every_result(files, tmp_path: Path) -> None:
    features = SETS["control"]["features"].copy()
    features[:5] = SETS["real"]["features"][10:15]
    paths = files(control={"features": features})
    assert score(paths, tmp_path / "out", "--control", paths["control"]) == 0
    assert "5 rows of control.npz equal rows of real.npz exactly" in one(rows_of(tmp_path / "out")).note


def test_settings_of_a_run_still_go_to_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["score", "cohort=dicon"]) == 2
    assert "cohort=dicom" in capsys.readouterr().err


def test_help_teaches_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--synthetic FILE" in shown
    assert "experiment=NAME" in shown
    assert main(["run", "--help"]) == 0
    assert "--synthetic FILE" not in capsys.readouterr().out


def row(**changes: object) -> MetricResult:
    base = {"family": "fidelity", "metric": "kid", "generator": "g", "variant": "patient-aware", "reference": "test"}
    return MetricResult(**base | {"value": 0.5, "ci_low": 0.25, "ci_high": 0.75, "floor": 0.1} | changes)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_names_every_row_once(width: int) -> None:
    rows = [row(), row(variant="classic", value=0.7), row(metric="recall", note="mind the gap"),
            row(group="site=A"), row(group="site=A", variant="classic"),
            row(group="sex=F", value=None, status="absent", note="3 real images of 1 patients")]  # fmt: skip
    text = result_text(rows, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert text.count("site A") == 1
    assert "[1] mind the gap" in text
    assert "- sex F, against test: absent: 3 real images of 1 patients (KID)" in text
    assert text.index("all images") < text.index("by group") < text.index("Without a value") < text.index("[1] mind")


def test_text_from_files_cannot_move_the_cursor(files, tmp_path: Path, capsys) -> None:
    assert "\x1b" not in result_text([row(note="\x1b[2J"), row(group="site=\x1b[31mA")], 80)
    paths = files()
    paths["synth"] = str(Path(paths["synth"]).rename(tmp_path / "\x1b[2Jsynth.npz"))
    assert score(paths, tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err


def test_a_reader_who_has_seen_enough_is_no_error(files, tmp_path: Path) -> None:
    paths = files()
    command = f"{sys.executable} -m synthassay.cli.main score --real {paths['real']} --synthetic {paths['synth']}"
    piped = f"{command} --out {tmp_path / 'out'} {' '.join(FAST)} | head -n 1"
    done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("synth against real.npz")
    assert "Traceback" not in done.stderr
    assert rows_of(tmp_path / "out")  # written before anything was printed
