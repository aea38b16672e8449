"""What installs packages trusts the certificates of the system, as a company's proxy needs it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CALLS = re.compile(r'"-m",\s*"uv"|with_name\("uv"\)|\$\(BIN\)/uv (?!\|\|)')
_NEAR = 500
"""Characters in which the switch follows what finds uv."""


def _sources() -> list[Path]:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in tracked.splitlines() if name.endswith(".py") or name == "Makefile"]
    return [ROOT / name for name in names if not name.startswith("tests/ci/")]


def test_every_call_of_uv_looks_into_the_systems_store() -> None:
    calls, without = 0, []
    for path in _sources():
        text = path.read_text() if path.exists() else ""
        for found in _CALLS.finditer(text):
            calls += 1
            if "--system-certs" not in text[found.start() : found.start() + _NEAR]:
                without.append(f"{path.relative_to(ROOT)}: {found[0]}")
    assert calls >= 4, "the pattern finds no calls any more"
    assert not without


@pytest.mark.skipif(not (ROOT / ".venv" / "bin" / "uv").exists(), reason="there is no uv in .venv")
def test_uv_knows_the_switch() -> None:
    uv = ROOT / ".venv" / "bin" / "uv"
    told = subprocess.run([uv, "help", "pip", "install"], capture_output=True, text=True, check=True).stdout
    assert "--system-certs" in told
