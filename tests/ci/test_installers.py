"""What installs packages trusts the certificates of the system, as a company's proxy needs it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CALLS = re.compile(r'"-m",\s*"uv"(.{0,20})|with_name\("uv"\)\)?(.{0,20})|\$\(BIN\)/uv (?!\|\|)(.{0,20})')


def _sources() -> list[Path]:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in tracked.splitlines() if name.endswith(".py") or name == "Makefile"]
    return [ROOT / name for name in names if not name.startswith("tests/ci/")]


def test_every_call_of_uv_looks_into_the_systems_store() -> None:
    calls = [
        (path.relative_to(ROOT), match[0])
        for path in _sources()
        if path.exists()
        for match in _CALLS.finditer(path.read_text())
    ]
    assert len(calls) >= 4, "the pattern finds no calls any more"
    assert not [call for call in calls if "--system-certs" not in call[1]]


@pytest.mark.skipif(not (ROOT / ".venv" / "bin" / "uv").exists(), reason="there is no uv in .venv")
def test_uv_knows_the_switch() -> None:
    uv = ROOT / ".venv" / "bin" / "uv"
    told = subprocess.run([uv, "help", "pip", "install"], capture_output=True, text=True, check=True).stdout
    assert "--system-certs" in told
