"""One finished run on a tiny phantom, shared by the tests of one process."""

from pathlib import Path

import pytest

from tests.whole_runs import synthassay


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of one finished run of all families and controls."""
    place = tmp_path_factory.mktemp("finished")
    done = synthassay(place, "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == str(place / "out" / "report.html")
    return place
