import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthassay.errors import UserError
from synthassay.scans.limits import LimitSpec
from synthassay.scans.pool import CRASH, MEMORY, TIME, Pool, worker_count
from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Resources

sys.path.append(str(Path(__file__).parent))  # where the processes find it too
import hostile

LIMITS = LimitSpec(seconds=1, memory_mib=512)


def answers(items, workers=1, limits=LIMITS):
    found = dict(Pool(hostile.work, workers, limits).answers(items))
    return [found[index] for index in range(len(items))]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_is_answered_once(workers):
    assert answers(list(range(100)), workers) == [2 * i for i in range(100)]


def test_nothing_to_do_starts_no_process():
    assert answers([]) == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("item", "found", "reason"),
    [
        ("segfault", "SIGSEGV", CRASH),
        ("abort", "SIGABRT", CRASH),
        ("exit", "exit code 3", CRASH),
        ("killed", "killed by the system", MEMORY),
    ],
)
def test_an_item_that_ends_its_process_is_found_and_the_others_are_answered(item, found, reason, workers):
    items = [*range(20), item, *range(20, 40), item]
    given = answers(items, workers)
    lost = [answer for answer in given if isinstance(answer, Unreadable)]
    assert [(error.found, error.field) for error in lost] == [(found, "file")] * 2
    assert all(error.reason.startswith(reason) for error in lost)
    assert [answer for answer in given if isinstance(answer, int)] == [2 * i for i in range(40)]


def test_what_the_work_refuses_is_asked_once(tmp_path):
    counted = hostile.Refuses(tmp_path / "calls")
    assert [answer.reason for _, answer in Pool(counted, 1, LIMITS).answers([1, 2])] == ["refused", "refused"]
    assert (tmp_path / "calls").read_bytes() == b"xx"


def test_an_item_that_hangs_is_ended_at_its_time_limit():
    start = time.monotonic()
    given = answers([1, "hang", 2], 2)
    assert (given[0], given[2]) == (2, 4)
    assert (given[1].found, given[1].reason) == ("more than 1 s", TIME)
    assert time.monotonic() - start < 20


def test_a_volume_of_many_files_has_the_time_for_each():
    assert dict(Pool(hostile.read_slowly, 1, LIMITS).answers([LIMITS])) == {0: "read"}


def test_the_memory_of_a_process_is_limited():
    with pytest.raises(MemoryError):
        answers([1, "memory"])


def test_a_death_that_does_not_happen_again_costs_nothing(tmp_path):
    assert dict(Pool(hostile.DiesOnce(tmp_path), 2, LIMITS).answers([1, 2, 3])) == {0: 1, 1: 2, 2: 3}


def test_what_the_work_raises_is_raised_here():
    with pytest.raises(ValueError, match="a fault of ours"):
        answers([1, "raise"])


def test_a_process_that_cannot_start_is_explained(monkeypatch):
    monkeypatch.setattr("synthassay.scans.pool._serve", os.abort)
    with pytest.raises(UserError, match="could not start"):
        answers([1])


def test_a_limit_of_memory_that_a_process_has_passed_when_it_starts_is_explained():
    with pytest.raises(UserError, match=r"memory_mib=8 is too little: .* holds \d+ MiB before it reads.\nSet at least"):
        answers([1], limits=LIMITS.model_copy(update={"memory_mib": 8}))


def test_an_iteration_that_is_left_leaves_no_process():
    run = Pool(hostile.work, 2, LIMITS).answers(list(range(1000)))
    next(run)
    assert len(multiprocessing.active_children()) == 2
    run.close()
    assert multiprocessing.active_children() == []


def test_workers_end_when_the_main_process_is_killed(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
import hostile
from synthassay.scans.pool import Pool
from synthassay.scans.limits import LimitSpec
for _, pid in Pool(hostile.who, 1, LimitSpec(seconds=60)).answers([0, 30]):
    print(pid, flush=True)
""")  # not under if __name__ == "__main__": workers do not import it
    main = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker = int(main.stdout.readline())
    os.kill(worker, 0)
    main.kill()
    main.wait()
    wait_until(lambda: not alive(worker), seconds=20)


def alive(pid):
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_workers_follow_the_resources():
    assert worker_count(Resources(workers=3, threads=5)) == 3
    assert worker_count(Resources(threads=5)) == 5
    assert worker_count(Resources()) >= 1
