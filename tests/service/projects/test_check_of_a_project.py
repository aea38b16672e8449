"""`check --project`: what is wrong with a project, before there is anything to deploy it to."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.service.processes import agent

GRAPH = """
from langgraph.graph import START, StateGraph
builder = StateGraph(dict)
builder.add_node("n", lambda state: state)
builder.add_edge(START, "n")
"""


def checked(folder: Path, **document: Any) -> tuple[int, str]:
    (folder / "graph.py").write_text(GRAPH)
    (folder / "langgraph.json").write_text(json.dumps(document))
    # Settings and storage that would fail the check of a deployment.
    done = agent(
        "check", "--project", str(folder), port="eighty", database_uri="postgresql://a:b@127.0.0.1:9/a"
    )
    return done.returncode, done.stdout + done.stderr


def test_a_good_project_passes_without_settings_and_storage(tmp_path: Path) -> None:
    code, said = checked(tmp_path, graphs={"agent": "./graph.py:builder"})
    assert code == 0, said


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"graphs": {"agent": "./graph.py:nothing"}}, ["graphs.agent", "there is no nothing"]),
        ({"graphs": {"agent": "./graph.ts:graph"}}, ["./graph.ts", "langgraph build"]),
        (
            {"graphs": {"agent": "./graph.py:builder"}, "stor": {}, "auth": {"pth": "./a.py:auth"}},
            ["stor", '"store"', "auth.pth", '"path"'],
        ),
        ({"graphs": {"agent": "./graph.py:builder"}, "http": {"app": "./graph.py:builder"}}, ["http.app"]),
    ],
)
def test_what_is_wrong_is_told_all_at_once(
    tmp_path: Path, document: dict[str, Any], words: list[str]
) -> None:
    code, said = checked(tmp_path, **document)
    assert code == 1
    for word in (str(tmp_path) if "http" not in document else "http.app", *words):
        assert word in said, said
