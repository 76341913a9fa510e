"""The store: whole or absent, found when unchanged, continued when killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthassay.errors import UserError
from synthassay.store.files import disk_errors_explained, write_json
from synthassay.store.store import StageKey, Store, safe_name


def key(**spec: object) -> StageKey:
    return StageKey("count", 1, spec, {"input": "abc"})


def write(text: str):
    def build(workdir: Path) -> None:
        (workdir / "out.txt").write_text(text)

    return build


def test_a_finished_stage_is_found_and_not_built_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.run(key(a=1), write("one"))
    again = store.run(key(a=1), write("two"))
    assert (first.found_done, again.found_done) == (False, True)
    assert (again.path / "out.txt").read_text() == "one"


def test_another_spec_version_or_input_is_another_stage(tmp_path: Path) -> None:
    keys = [key(a=1), key(a=2), StageKey("count", 2, {"a": 1}, {"input": "abc"}), StageKey("count", 1, {"a": 1}, {})]
    assert len({k.digest for k in keys}) == len(keys)


def test_the_key_does_not_depend_on_the_order_of_fields() -> None:
    assert StageKey("s", 1, {"a": 1, "b": 2}).digest == StageKey("s", 1, {"b": 2, "a": 1}).digest


def test_a_failed_build_keeps_its_work_and_commits_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(workdir: Path) -> None:
        (workdir / "half.txt").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        store.run(key(a=1), fail)
    assert store.find(key(a=1)) is None

    def resume(workdir: Path) -> None:
        assert (workdir / "half.txt").read_text() == "half"
        (workdir / "out.txt").write_text("whole")

    assert (store.run(key(a=1), resume).path / "out.txt").read_text() == "whole"


def test_dot_names_are_scratch_and_not_committed(tmp_path: Path) -> None:
    def build(workdir: Path) -> None:
        (workdir / ".shards").mkdir()
        (workdir / ".shards" / "0").write_text("x")
        (workdir / "deep").mkdir()
        for name in ("out.txt", "deep/out.txt", "deep/.out.txt.tmp"):
            (workdir / name).write_text("x")

    output = Store(tmp_path).run(key(), build)
    assert list(json.loads((output.path / "outputs.json").read_text())) == ["deep/out.txt", "out.txt"]
    assert not list(output.path.rglob(".*"))


def test_a_changed_key_file_is_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path)
    output = store.run(key(a=1), write("one"))
    write_json(output.path / "key.json", key(a=2).to_json())
    with pytest.raises(UserError, match="another stage"):
        store.find(key(a=1))


def test_provenance_says_versions_hardware_time_and_memory(tmp_path: Path) -> None:
    record = Store(tmp_path).run(key(), write("x")).provenance
    assert record["packages"]["synthassay"]
    assert record["hardware"]["processor"]
    assert record["seconds"] >= 0
    assert record["peak_memory_mb"] > 1


def test_content_id_follows_the_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ids = [store.run(key(a=i), write(text)).content_id for i, text in enumerate(("x", "x", "y"))]
    assert ids[0] == ids[1] != ids[2]


CHILD = """
import sys, time
from pathlib import Path
from synthassay.store.store import StageKey, Store
def build(workdir):
    with (workdir / "log").open("a") as log: log.write("started\\n")
    (Path(sys.argv[1]) / "running").touch()
    if len((workdir / "log").read_text().splitlines()) == 1: time.sleep(60)
    (workdir / "out.txt").write_text("done")
print(Store(Path(sys.argv[1])).run(StageKey("slow", 1, {}), build).path)
"""


def test_a_killed_process_leaves_no_stage_and_the_next_one_continues(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)])
    deadline = time.monotonic() + 30
    while not (tmp_path / "running").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert Store(tmp_path).find(StageKey("slow", 1, {})) is None
    path = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True)
    folder = Path(path.stdout.strip())
    assert (folder / "log").read_text() == "started\nstarted\n"
    assert (folder / "out.txt").read_text() == "done"


def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is full[\s\S]*store\.root"), disk_errors_explained(tmp_path):
        raise OSError(28, os.strerror(28))


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": float("nan")})


def test_safe_name_has_no_separator() -> None:
    assert safe_name("../../St Joseph's <b>") == "St-Joseph-s-b"
