"""uv, which resolves and installs packages."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class UvError(Exception):
    """What uv says; or that it is missing, and what to do."""


def run(arguments: Sequence[str], *, folder: Path, stdin: str = "") -> str:
    """What it prints. Relative paths mean ``folder``. Raises UvError."""
    beside = Path(sys.executable).with_name("uv")
    command = str(beside) if beside.exists() else shutil.which("uv")
    if command is None:
        raise UvError("uv is missing: `make venv` installs it, or pip install uv")
    done = subprocess.run(
        [command, "--system-certs", "--quiet", "--no-progress", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )
    if done.returncode:
        raise UvError(done.stderr.strip())
    return done.stdout


def cache() -> Path:
    """The folder of what was made once and is good for every checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "langgraph-agents"
