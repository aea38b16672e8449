"""Sandboxes of the tests' own: copies of projects, and state folders apart from the developer's."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.__main__ import default_cache
from sandbox.binaries import build
from tests.e2e.harness import ROOT, Sandbox

PROGRAM = (
    "__main__.py",
    "Pulumi.yaml",
    "Pulumi.dev.yaml",
    "Pulumi.prod.yaml",
    "components",
    "examples",
    "images",
    "stacks",
    "service",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose sandboxes end with the module's tests, whatever became of them."""
    folder = tmp_path_factory.mktemp("e2e")
    yield folder
    command = [sys.executable, "-m", "sandbox", "down", "--state", str(folder / "state")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="session")
def helm() -> Path:
    """Helm's command, built when the first test asks for it."""
    build.ensure(default_cache(), [build.HELM])
    return default_cache() / build.HELM.key / "bin" / "helm"


@pytest.fixture(scope="module")
def small(folder: Path) -> Sandbox:
    """The small program beside this file, not deployed yet."""
    shutil.copytree(Path(__file__).parent / "programs" / "small", folder / "small")
    return Sandbox(folder / "small", folder / "state")


@pytest.fixture(scope="module")
def product(folder: Path) -> Sandbox:
    """The product's own program with its stack files, not deployed yet."""
    (folder / "project").mkdir()
    for name in PROGRAM:
        source, target = ROOT / name, folder / "project" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    return Sandbox(folder / "project", folder / "state")
