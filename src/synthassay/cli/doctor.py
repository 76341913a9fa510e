"""The command ``doctor``: what this machine can do."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from synthassay.errors import UserError
from synthassay.store.provenance import hardware, package_versions, usable_cores

OK, WARN = "ok", "--"


def doctor_command(arguments: list[str]) -> int:
    """Print a table of checks; exit code 1 when something that every run needs is missing."""
    options = dict(a.split("=", 1) for a in arguments if "=" in a)
    if options.keys() - {"store.root"} or any("=" not in a for a in arguments):
        raise UserError("doctor takes store.root=DIR and nothing else")
    print("looking at this machine ...", file=sys.stderr, flush=True)
    rows = [
        *_python(),
        *_gpu(),
        *_decoders(),
        *_encoders(),
        *_wandb(),
        *_launchers(),
        _disk(Path(options.get("store.root", "runs/store"))),
    ]
    width = max(len(name) for _, name, _ in rows)
    for state, name, text in rows:
        print(f"{state:<3} {name:<{width}}  {text}")
    return 1 if any(state == "!!" for state, _, _ in rows) else 0


Row = tuple[str, str, str]


def _python() -> list[Row]:
    versions = ", ".join(f"{name} {found}" for name, found in package_versions().items())
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    python = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return [(OK if good else "!!", "python", python), (OK, "packages", versions)]


def _gpu() -> list[Row]:
    import torch

    machine = hardware()
    rows = [(OK, "processor", f"{machine['processor']}, {usable_cores()} usable cores")]
    if not torch.cuda.is_available():
        return [*rows, (WARN, "gpu", "none that torch can use; budget=quick is made for this machine")]
    free, total = torch.cuda.mem_get_info()
    memory = f"{free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    text = f"{torch.cuda.get_device_name(0)}, {memory}, CUDA {torch.version.cuda}"
    precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float32 only"
    return [*rows, (OK, "gpu", text), (OK, "training precision", precision)]


def _decoders() -> list[Row]:
    from synthassay.scans.dicom.decoders import decoder_table

    rows = []
    for name, plugin, missing in decoder_table():
        rows.append((OK if plugin else WARN, f"DICOM {name}", plugin or f"none; needs {missing}"))
    return rows


def _encoders() -> list[Row]:
    from synthassay.features.status import encoder_status

    return [(OK if row.present else WARN, f"encoder {row.encoder}", row.detail) for row in encoder_status()]


def _wandb() -> list[Row]:
    netrc = Path("~/.netrc").expanduser()
    known = bool(os.environ.get("WANDB_API_KEY")) or (netrc.is_file() and "wandb" in netrc.read_text(errors="ignore"))
    return [(OK, "W&B", "an API key was found") if known else (WARN, "W&B", "no API key; tracker=wandb logs offline")]


def _launchers() -> list[Row]:
    slurm = importlib.util.find_spec("submitit") is not None
    return [
        (OK if slurm else WARN, "Slurm launcher", "hydra/launcher=slurm" if slurm else "pip install synthassay[slurm]"),
        (OK if shutil.which("sbatch") else WARN, "Slurm", shutil.which("sbatch") or "no sbatch on this machine"),
    ]


def _disk(root: Path) -> Row:
    place = next(p for p in (root.absolute(), *root.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free / 2**30
    return (OK if free > 5 else WARN, "disk", f"{free:.0f} GiB free for store.root={root}")
