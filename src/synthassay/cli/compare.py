"""The command ``compare``."""

import sys
from pathlib import Path

from synthassay.errors import UserError


def compare_command(arguments: list[str]) -> int:
    """Write one leaderboard from several runs' results and print its path."""
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    unknown = sorted(options.keys() - {"out", "partial"})
    if unknown:
        raise UserError(f"compare takes out=FILE and partial=true, not {unknown[0]}={options[unknown[0]]}")
    if options.get("partial", "false").lower() not in ("true", "false"):
        raise UserError(f"partial={options['partial']} is neither true nor false")
    given = [Path(argument) for argument in arguments if "=" not in argument]
    folders = [folder for folder in given if (folder / "results.json").exists() or not folder.is_dir()]
    for folder in given:
        if folder not in folders:  # runs/*/ also names the store
            print(f"{folder} holds no results.json and is left out", file=sys.stderr)
    if len(folders) < 2:
        raise UserError("compare needs the folders of two runs or more: synthassay compare runs/a runs/b")
    from synthassay.reports.leaderboard import compare

    partial = options.get("partial", "false").lower() == "true"
    print(compare(folders, Path(options.get("out", "leaderboard.html")), partial=partial))
    return 0
