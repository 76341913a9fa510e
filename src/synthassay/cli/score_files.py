"""The command ``score`` on feature files: no cohort, no images, only what an encoder made of them.

``--real`` is the reference: held-out images, in results called ``test``. The floor is what real images of *other*
patients score against it: those of ``--control``, or with ``--split-real`` a random half of the patients of ``--real``,
the other half then being the reference. With neither there is no floor, and every result says so.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from synthassay.errors import UserError

ROLES = REAL, SYNTHETIC, CONTROL, TRAIN = ("real", "synthetic", "control", "train")
UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """What the command line asked for. ``files``: the feature files by role, ``real`` and ``synthetic`` always."""

    files: Mapping[str, Path]
    split_real: bool
    groups: Path | None
    out: Path
    encoder: str
    name: str  # of the synthetic set
    k: int
    seed: int
    replicates: int
    device: str


def score_files_command(arguments: list[str]) -> int:
    """Score feature files, print a table and, last, the path of ``results.json``."""
    options = parse_options(arguments)
    _make_folder(options.out)
    tell(f"synthassay score: reading {', '.join(path.name for path in options.files.values())} ...")
    # Imported after the first line is on the screen: torch takes seconds.
    from synthassay.cli.score_session import score_session

    score_session(options)
    return 0


def tell(text: str) -> None:
    """Say something that is not a result; names of files are untrusted and cannot move the cursor."""
    print("".join(c if c.isprintable() else "?" for c in text), file=sys.stderr, flush=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(
            f"score on feature files: {message}.\n`synthassay score --help` shows both forms of the command."
        )


def parse_options(arguments: list[str]) -> ScoreOptions:
    """The options in ``arguments``; a mistake in them is a :class:`UserError`."""
    parser = _Parser(prog="synthassay score", add_help=False, allow_abbrev=False)
    for role in (REAL, SYNTHETIC):
        parser.add_argument(f"--{role}", type=_path, required=True)
    floor = parser.add_mutually_exclusive_group()
    floor.add_argument(f"--{CONTROL}", type=_path)
    floor.add_argument("--split-real", action="store_true")
    for name in (TRAIN, "groups"):
        parser.add_argument(f"--{name}", type=_path)
    parser.add_argument("--out", type=_path, required=True)
    parser.add_argument("--encoder", default=UNNAMED)
    parser.add_argument("--name")
    for name, default in (("k", 5), ("seed", 0), ("replicates", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="auto")
    given = vars(parser.parse_args(arguments))
    files = {role: given.pop(role) for role in ROLES}
    files = {role: path for role, path in files.items() if path is not None}
    return ScoreOptions(files=files, **given | {"name": given["name"] or files[SYNTHETIC].stem})


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _make_folder(out: Path) -> None:
    """The folder for the results, made before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another folder with --out DIR") from error
