"""The command line: instant help, short errors, exit codes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthassay.cli.app import flags_first
from synthassay.cli.helptext import COMMANDS, GENERATORS, help_of
from synthassay.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["compare", "-h"]])
def test_help_answers_within_two_seconds(arguments: list[str]) -> None:
    best = min(_seconds([sys.executable, "-m", "synthassay.cli.main", *arguments]) for _ in range(3))
    assert best < 2


def test_import_answers_within_two_seconds() -> None:
    assert min(_seconds([sys.executable, "-c", "import synthassay"]) for _ in range(3)) < 2


def _seconds(command: list[str]) -> float:
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - start


def test_help_imports_neither_torch_nor_hydra() -> None:
    code = (
        "import sys; from synthassay.cli.main import main; main(['run', '--help']); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'hydra', 'pandas', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_names_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"synthassay {command}" in capsys.readouterr().out
    assert help_of(command)


def test_help_and_documentation_name_every_generator(capsys: pytest.CaptureFixture[str]) -> None:
    names = [path.stem for path in (ROOT / "conf" / "generator").glob("*.yaml")]
    assert sorted(GENERATORS) == sorted(names)
    assert main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    written = (ROOT / "docs" / "generators.md").read_text()
    for name in names:
        assert f"\n  {name} " in shown
        assert f"`{name}`" in written


def test_an_unknown_command_exits_2_and_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rum"]) == 2
    error = capsys.readouterr().err
    assert "'rum'" in error
    assert "prepare" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "cohort=dicon"], "cohort=dicom"),
        (["run", "experiment=phantom"], "experiment is one of"),
        (["run", "sed=1"], "'sed'"),
        (["run", "cohort.sise=64"], "'cohort.sise'"),
        (["run", "seed"], "seed"),
        (["run", "generators=[emd]"], "emd"),
        (["run", "generators=edm"], "generators=[edm]"),
        (["run", "generator=edm", "generator.training.steps=-4"], "steps"),
        (["run", "generators=[edm,gan]", "generator.images=9"], "generators=[gan,{edm: ['generator.images=500']}]"),
        (["run", "cohort=nifti"], "cohort.root=DIR"),
        (["run", "cohort=dicom", "cohort.root=nowhere"], "not a folder"),
        (["run", "cohort=null"], "NoneType"),
        (["run", "store=elsewhere"], "write store.SETTING=VALUE"),
        (["run", "cohort=nifti", "cohort.label.mask={folder}/m.nii"], """'cohort.label.mask="VALUE"'"""),
        (["run", "store.root=null"], "write store.root=DIR"),
        (["run", "out=[1]"], "write out=DIR"),
        (["compare", "one"], "two runs"),
        (["compare", "a", "b", "rank=fid"], "rank=fid"),
        (["doctor", "gpu"], "store.root"),
    ],
)
def test_a_users_mistake_ends_in_a_short_message_and_exit_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    message = error[error.index("synthassay: ") :]
    assert expected in message
    assert len(message.strip().splitlines()) <= 3
    assert "Traceback" not in error


@pytest.mark.parametrize("wrong", ["cohort.root=nowhere", "cohort.root=. cohort.table.path=absent.csv"])
def test_a_missing_folder_or_table_is_said_before_the_seconds_that_torch_takes(wrong: str, tmp_path: Path) -> None:
    arguments = ["prepare", "cohort=dicom", *wrong.split()]
    code = f"import sys; from synthassay.cli.main import main; sys.exit(main({arguments}) + ('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "is not a folder" in done.stderr or "absent.csv does not exist" in done.stderr


def test_doctor_says_what_this_machine_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    table = capsys.readouterr().out
    for line in (
        "processor",
        "gpu",
        "DICOM JPEG 2000",
        "encoder efficientnet-lite0",
        "encoder fid-inception",
        "W&B",
        "disk",
    ):
        assert line in table


@pytest.mark.parametrize("setting", ["cohort.recode={sex: {1: M, 2: F}}", "cohort.recode.sex={1: M, 2: F}",
                                     "cohort.keep={view: [PA]}", "cohort.arrays.rows={label: labels}"])  # fmt: skip
def test_mappings_take_names_of_the_users_own(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "cohort=images", setting]) == 2
    assert "needs the folder of its scans" in capsys.readouterr().err  # so the settings were taken
    assert main(["prepare", "cohort=images", setting.replace("cohort.", "cohort.x", 1)]) == 2
    assert "there is no setting" in capsys.readouterr().err


def test_flags_may_stand_anywhere_among_settings() -> None:
    given = ["seed=1", "-m", "generator=edm,gan", "--config-dir", "here", "~encoder.resolution"]
    assert flags_first(given) == ["-m", "--config-dir", "here", "seed=1", "generator=edm,gan", "~encoder.resolution"]
