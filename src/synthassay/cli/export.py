"""The command ``export``."""

from pathlib import Path
from typing import get_args

from synthassay.errors import UserError

KNOWN = ("run", "set", "format", "out", "store", "modality", "real")
NEEDED = KNOWN[:4]


def export_command(arguments: list[str]) -> int:
    """Write one set of a finished run as DICOM or NIfTI files and print the path of their table."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    unknown = [name for name in given if name not in KNOWN]
    if unknown:
        raise UserError(f"export takes {', '.join(f'{name}=...' for name in KNOWN)}, not {unknown[0]}")
    missing = [name for name in NEEDED if not given.get(name)]
    if missing:
        raise UserError(f"export needs {missing[0]}=...; `synthassay export --help` shows an example")
    if given.get("real", "false").lower() not in ("true", "false"):
        raise UserError(f"real={given['real']} is neither true nor false")
    from synthassay.cli.progress import BarProgress
    from synthassay.stages.export import Format, Order, export

    if given["format"] not in get_args(Format):
        raise UserError(f"format={given['format']} is unknown; it is one of: {', '.join(get_args(Format))}")
    order = Order(
        run=_path(given["run"]), store=_path(given["store"]) if given.get("store") else None, name=given["set"],
        format="dicom" if given["format"] == "dicom" else "nifti", out=_path(given["out"]),
        real=given.get("real", "false").lower() == "true", modality=given.get("modality") or None,
    )  # fmt: skip
    print(export(order, BarProgress()))
    return 0


def _path(text: str) -> Path:
    return Path(text).expanduser()
