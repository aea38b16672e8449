"""What langgraph.json asks of a build, and what is refused before one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from images.source import Source, read_source
from langgraph_agents_service.projects.config import ProjectError


def written(folder: Path, **changed: Any) -> Path:
    (folder / "graph.py").write_text("graph = None")
    given = {"dependencies": ["."], "graphs": {"a": "./graph.py:graph"}, **changed}
    (folder / "langgraph.json").write_text(json.dumps(given))
    return folder


def test_a_project_reaches_up_to_the_folder_that_it_shares_with_its_dependencies(
    project: Source, repository: Path
) -> None:
    assert project.root == repository
    assert project.config == Path("api/langgraph.json")
    assert project.folders == [Path("api"), Path("libs/words")]


def test_a_file_and_its_folder_are_the_same_project(repository: Path) -> None:
    assert read_source(repository / "api/langgraph.json") == read_source(repository / "api")


@pytest.mark.parametrize(
    ("asked", "base"),
    [
        ({}, "python:3.13-slim-trixie@sha256:"),
        ({"python_version": "3.11"}, "python:3.11-slim-bookworm@sha256:"),
        ({"python_version": "3.12"}, "python:3.12-slim-trixie@sha256:"),
        ({"python_version": "3.13", "image_distro": "bookworm"}, "python:3.13-slim-bookworm@sha256:"),
        ({"image_distro": "wolfi"}, "python:3.13-slim-trixie@sha256:"),
        ({"base_image": "registry.example.com/python:3.13"}, "registry.example.com/python:3.13"),
    ],
)
def test_the_base_is_what_the_project_asks_for(tmp_path: Path, asked: dict[str, str], base: str) -> None:
    assert read_source(written(tmp_path, **asked)).base.startswith(base)


def test_all_that_cannot_be_built_is_said_at_once(tmp_path: Path) -> None:
    asked = {
        "dependencies": [".", "./gone"],
        "graphs": {"a": "./gone.py:graph"},
        "python_version": "3.9",
        "base_image": "langchain/langgraph-api:3.13",
        "pip_config_file": "./pip.conf",
    }
    with pytest.raises(ProjectError) as refused:
        read_source(written(tmp_path, **asked))
    words = str(refused.value).splitlines()
    assert len(words) == 5
    for field, value in (
        ("dependencies", "./gone"),
        ("graphs.a", "./gone.py:graph"),
        ("python_version", "3.9"),
        ("base_image", "langchain/langgraph-api:3.13"),
        ("pip_config_file", "./pip.conf"),
    ):
        assert any(f"{field}: {value!r}" in line for line in words), field


def test_a_password_of_an_index_does_not_enter_a_build(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://me:hunter2@pypi.example.com/simple\n")
    with pytest.raises(ProjectError, match="pip_config_file") as refused:
        read_source(written(tmp_path, pip_config_file="./pip.conf"))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("distro", ["debian", "bookworm", "trixie"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_every_base_that_is_offered_is_pinned(tmp_path: Path, python: str, distro: str) -> None:
    base = read_source(written(tmp_path, python_version=python, image_distro=distro)).base
    assert re.fullmatch(rf"python:{python}-slim-\w+@sha256:[0-9a-f]{{64}}", base)
