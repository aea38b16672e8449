"""Images of LangGraph's Agent Server, as langgraph-cli has them built."""

import json
from pathlib import Path

import pytest

from images.agent_server import PROJECT, read_server_project, write_server_context
from langgraph_agents_service.projects.config import ProjectError


def made(folder: Path, config: dict[str, object], *files: str) -> Path:
    for name in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (folder / "langgraph.json").write_text(json.dumps(config))
    return folder


def python_project(folder: Path, **more: object) -> Path:
    return made(
        folder,
        {"dependencies": ["."], "graphs": {"a": "./agent.py:graph"}, **more},
        "agent.py",
        "pyproject.toml",
    )


def test_the_dockerfile_is_that_of_langgraph_build(tmp_path: Path) -> None:
    project = read_server_project(python_project(tmp_path, python_version="3.12"))
    assert project.dockerfile.startswith("FROM langchain/langgraph-api:3.12\n")
    assert f"ADD . /deps/{tmp_path.name}" in project.dockerfile
    assert "ENV LANGSERVE_GRAPHS=" in project.dockerfile


def test_a_project_in_javascript_is_built(tmp_path: Path) -> None:
    folder = made(
        tmp_path,
        {"node_version": "20", "dependencies": ["."], "graphs": {"a": "./src/agent.ts:graph"}},
        "src/agent.ts",
    )
    (folder / "package.json").write_text("{}")
    project = read_server_project(folder)
    assert project.dockerfile.startswith("FROM langchain/langgraphjs-api:20\n")
    assert "RUN npm i" in project.dockerfile


def test_nothing_secret_enters_the_context_and_the_dockerfile_lies_beside_it(tmp_path: Path) -> None:
    folder = python_project(tmp_path / "p", env=".env")
    (folder / ".env").write_text("SHOP_TOKEN=1\n")
    for planted in (".git/config", ".venv/pyvenv.cfg", "tls.key", "__pycache__/a.pyc"):
        (folder / planted).parent.mkdir(parents=True, exist_ok=True)
        (folder / planted).write_text("secret")
    project = read_server_project(folder)
    assert project.env == ["SHOP_TOKEN"]
    written = write_server_context(project, name="a", platform="linux/amd64", folder=tmp_path / "contexts")
    found = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    names = ("agent.py", "langgraph.json", "pyproject.toml")
    assert found == {"Dockerfile", *(f"{PROJECT}/{name}" for name in names)}


def test_a_changed_file_has_another_context_and_the_older_one_goes(tmp_path: Path) -> None:
    project = read_server_project(python_project(tmp_path / "p"))
    contexts = tmp_path / "contexts"
    first = write_server_context(project, name="a", platform="linux/amd64", folder=contexts)
    assert write_server_context(project, name="a", platform="linux/amd64", folder=contexts) == first
    (tmp_path / "p" / "agent.py").write_text("graph = 1")
    second = write_server_context(project, name="a", platform="linux/amd64", folder=contexts)
    assert [second] == list(contexts.iterdir())
    assert second != first


def test_whether_the_project_says_who_may_call_it_is_known(tmp_path: Path) -> None:
    assert not read_server_project(python_project(tmp_path)).has_auth
    assert read_server_project(python_project(tmp_path, auth={"path": "./agent.py:auth"})).has_auth


def test_what_cannot_be_built_is_told_in_the_words_of_langgraph_cli(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"langgraph.json: No graphs found in config"):
        read_server_project(made(tmp_path, {"dependencies": ["."], "graphs": {}}))
    with pytest.raises(ProjectError, match="there is no such file"):
        read_server_project(tmp_path / "nowhere")
    (tmp_path / "langgraph.json").write_text("{")
    with pytest.raises(ProjectError, match=r"langgraph.json: Expecting property name"):
        read_server_project(tmp_path)


def test_folders_outside_the_projects_own_are_refused_with_the_way_that_is_left(tmp_path: Path) -> None:
    made(tmp_path / "shared", {}, "shared.py", "pyproject.toml")
    folder = python_project(tmp_path / "p", dependencies=[".", "../shared"])
    with pytest.raises(ProjectError, match=r"shared is outside .*/p: build the image with `langgraph build`"):
        read_server_project(folder)
