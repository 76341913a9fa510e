"""What a stage ran on: versions, hardware, time and memory."""

import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("synthassay", "torch", "torchvision", "monai", "torchmetrics", "pydicom", "nibabel", "numpy", "scipy")


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def source_revision() -> str:
    """The git revision of a source checkout, with ``+changes`` when it is dirty; ``""`` for an installed wheel."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return ""
    try:
        run = ["git", "-C", str(root)]
        revision = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
        dirty = subprocess.run([*run, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return revision.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def hardware() -> dict[str, str]:
    """Processor, cores this process may use, and the GPU with its driver when torch is loaded and finds one."""
    facts = {"processor": _processor(), "cores": str(usable_cores()), "system": platform.platform()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name(0)
        facts["cuda"] = str(torch.version.cuda)
    return facts


def usable_cores() -> int:
    """Cores that this process may run on (Slurm and containers restrict them)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


@dataclass
class Stopwatch:
    """Wall time of a stage, summed over the processes that worked on it."""

    before: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + time.monotonic() - self.started


def provenance(seconds: float) -> dict[str, Any]:
    """The record that a stage keeps: revision, packages, hardware, wall time, peak memory."""
    return {
        "revision": source_revision(),
        "python": platform.python_version(),
        "packages": package_versions(),
        "hardware": hardware(),
        "seconds": round(seconds, 2),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
