"""Copies of the product's program that benchmarks change and deploy into sandboxes of their own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
STACK = "dev"
_PROGRAM = (
    "__main__.py",
    "Pulumi.yaml",
    f"Pulumi.{STACK}.yaml",
    "components",
    "images",
    "stacks",
    "service",
    "examples",
)


def copied(here: Path) -> None:
    """Copy the program into a folder's ``project``."""
    target = here / "project"
    target.mkdir()
    for name in _PROGRAM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target / name)


@contextmanager
def edited(here: Path) -> Iterator[dict[str, Any]]:
    """The settings of the copy's stack file, which is written anew with what became of them."""
    file = here / "project" / f"Pulumi.{STACK}.yaml"
    loaded = yaml.safe_load(file.read_text())
    yield loaded["config"]["langgraph-agents:settings"]
    file.write_text(yaml.safe_dump(loaded, sort_keys=False))


def up(here: Path, *options: str) -> str:
    """Deploy the copy, and return what was printed."""
    return _sandbox(here, "up", "--project", str(here / "project"), *options)


def down(here: Path) -> None:
    """End its sandbox."""
    _sandbox(here, "down")


def _sandbox(here: Path, verb: str, *more: str) -> str:
    command = [sys.executable, "-m", "sandbox", verb, "--state", str(here / "state"), "--stack", STACK, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{verb} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
