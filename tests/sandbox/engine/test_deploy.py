"""What `make up` imports while the engine starts."""

import sys
from pathlib import Path
from typing import cast

import pytest

from sandbox.binaries.build import Engine
from sandbox.common.state import State
from sandbox.engine.deploy import Deployment
from sandbox.engine.stackfile import StackFile

MAIN = """
import pulumi_random
from own_first.settings import region
import own_second
print(region)
"""


def imported(project: Path) -> None:
    deployment = Deployment(project, cast(StackFile, None), cast(State, None), cast(Engine, None))
    deployment._imports.start()
    deployment._imports.join()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_first").mkdir()
    (tmp_path / "__main__.py").write_text(MAIN)
    (tmp_path / "own_first" / "settings.py").write_text(
        "import colorsys, pulumi\nregion = pulumi.get_stack()\n"
    )
    (tmp_path / "own_second.py").write_text("import pulumi\npulumi.ComponentResource('a:b:C', 'c')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    return tmp_path


def test_packages_are_imported_ahead_and_the_programs_own_modules_are_not_kept(project: Path) -> None:
    imported(project)
    assert "colorsys" in sys.modules
    assert "pulumi_random" in sys.modules
    assert not sys.modules.keys() & {"own_first", "own_first.settings", "own_second"}


def test_a_program_that_cannot_be_imported_fails_only_when_it_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thrown: list[object] = []
    monkeypatch.setattr("threading.excepthook", thrown.append)
    (project / "__main__.py").write_text("import pulumi_random\nthis is not Python\n")
    imported(project)
    (project / "__main__.py").unlink()
    imported(project)
    assert not thrown
