"""The wheel holds every module, every setting and every template, and nothing of the tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_equals_src_plus_conf(tmp_path: Path) -> None:
    tree = tmp_path / "tree"  # a copy: leavings of an older build in the checkout would enter the wheel
    for name in ("src/synthassay", "conf"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    held = {name for name in zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist() if "dist-info" not in name}
    source = ROOT / "src" / "synthassay"
    wanted = {f"synthassay/{p.relative_to(source).as_posix()}" for p in source.rglob("*.py")}
    wanted |= {f"synthassay/reports/templates/{p.name}" for p in (source / "reports" / "templates").iterdir()}
    wanted |= {f"synthassay/conf/{p.relative_to(ROOT / 'conf').as_posix()}" for p in (ROOT / "conf").rglob("*.yaml")}
    other = {"synthassay/py.typed", "synthassay/conf/__init__.py", "synthassay/metrics/measured_coverage.json",
             "synthassay/scans/dicom/confidentiality.tsv"}  # fmt: skip
    assert held == wanted | other


def test_no_module_imports_the_settings_package() -> None:
    text = "".join(p.read_text() for p in (ROOT / "src").rglob("*.py"))
    assert "import synthassay.conf" not in text
    assert "from synthassay.conf" not in text
