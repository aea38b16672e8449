"""A program finds its own modules, whatever this process has imported already."""

import importlib
import sys
from pathlib import Path

import pytest

import stacks.vocabulary
from sandbox.engine.folder import in_folder


def test_a_program_finds_its_own_packages_and_this_process_has_its_own_again_afterwards(
    tmp_path: Path,
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "__init__.py").write_text("")
    (tmp_path / "stacks" / "vocabulary.py").write_text("WHOSE = 'the program'\n")
    (tmp_path / "stacks" / "mine.py").write_text("from stacks.vocabulary import WHOSE\n")
    before = Path.cwd()

    with in_folder(tmp_path):
        assert importlib.import_module("stacks.mine").WHOSE == "the program"
        assert Path.cwd() == tmp_path

    assert sys.modules["stacks.vocabulary"] is stacks.vocabulary
    assert "stacks.mine" not in sys.modules
    assert str(tmp_path) not in sys.path
    assert Path.cwd() == before


def test_packages_of_a_program_that_this_process_had_not_imported_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "__init__.py").write_text("WHOSE = 'the program'\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "images"]:
        monkeypatch.delitem(sys.modules, name)

    with in_folder(tmp_path):
        assert importlib.import_module("images").WHOSE == "the program"

    assert not hasattr(importlib.import_module("images"), "WHOSE")


def test_a_program_without_such_packages_uses_those_that_there_are(tmp_path: Path) -> None:
    with in_folder(tmp_path):
        assert importlib.import_module("stacks.vocabulary") is stacks.vocabulary
