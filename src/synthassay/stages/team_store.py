"""The store of a run on which several processes work: rank 0 decides, builds and commits."""

import time
from collections.abc import Callable
from pathlib import Path

from synthassay.errors import UserError
from synthassay.store.store import StageKey, StageOutput, Store
from synthassay.team import Team, apart, current_team

SECONDS_UNTIL_SEEN = 60.0  # a network's file system shows a new folder to other machines after some seconds


class TeamStore(Store):
    """All processes of a team ask for the same stages in the same order, and get the same outputs.

    Rank 0 alone finds or builds a stage while the others wait, except for a stage that is ``shared``: its ``build`` is
    called in every process, on one folder, and has to say by rank who writes what. Apart from the team (see
    :func:`~synthassay.team.apart`) this is a plain :class:`~synthassay.store.store.Store`.
    """

    def run(self, key: StageKey, build: Callable[[Path], None], *, shared: bool = False) -> StageOutput:
        """See :meth:`synthassay.store.store.Store.run`."""
        team = current_team()
        if team.size == 1:
            return super().run(key, build)
        return self._follow(team, key, build) if team.rank else self._lead(team, key, build, shared)

    def _lead(self, team: Team, key: StageKey, build: Callable[[Path], None], shared: bool) -> StageOutput:
        def together(workdir: Path) -> None:
            team.share(workdir)
            build(workdir)
            team.wait()

        def alone(workdir: Path) -> None:
            with apart():
                build(workdir)

        output = super().run(key, together if shared else alone)
        team.share(output.found_done)
        return output

    def _follow(self, team: Team, key: StageKey, build: Callable[[Path], None]) -> StageOutput:
        told = team.share()
        if isinstance(told, Path):
            _await(told)
            build(told)
            team.wait()
            told = team.share()
        path = self.root / key.stage / key.digest
        _await(path)
        return StageOutput(key, path, found_done=told)


def _await(path: Path) -> None:
    deadline = time.monotonic() + SECONDS_UNTIL_SEEN
    while not path.exists():
        if time.monotonic() > deadline:
            raise UserError(f"{path} was written by the first process of this run, and another does not see it.\n"
                            "Give a folder that all machines share with store.root=DIR.")  # fmt: skip
        time.sleep(0.2)
