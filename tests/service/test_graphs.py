"""langgraph.json in all the forms that LangGraph takes, and what is said of a wrong one."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from langgraph_agents_service.projects.graphs import Graphs, GraphsError

STEPS = Path(__file__).parent / "graphs" / "steps.py"


async def loaded(folder: Path, document: Any) -> Graphs:
    file = folder / "langgraph.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    graphs = Graphs(file)
    await graphs.load()
    return graphs


@pytest.mark.parametrize("attribute", ["builder", "compiled", "make", "make_later", "make_for"])
async def test_a_graph_may_be_compiled_a_builder_or_a_factory(tmp_path: Path, attribute: str) -> None:
    (tmp_path / "steps.py").write_text(STEPS.read_text())
    graphs = await loaded(tmp_path, {"graphs": {"g": f"./steps.py:{attribute}"}})
    graph = graphs.find("g")
    assert graph is not None
    compiled = await graph.compiled({})
    assert {"one", "ask"} & set(compiled.nodes)


async def test_a_factory_may_be_a_context_manager_that_lives_as_long_as_the_service(tmp_path: Path) -> None:
    (tmp_path / "g.py").write_text(
        STEPS.read_text()
        + "\nimport contextlib\nclosed = []\n@contextlib.asynccontextmanager\n"
        + "async def manage():\n    yield _chain().compile()\n    closed.append(1)\n"
    )
    graphs = await loaded(tmp_path, {"graphs": {"managed": "./g.py:manage"}})

    closed = sys.modules["langgraph_agents_graph_graphs.managed"].closed
    assert closed == []
    await graphs.close()
    assert closed == [1]


async def test_dependencies_are_importable_and_env_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "own_library.py").write_text("answer = 42")
    (tmp_path / ".env").write_text("FROM_DOT_ENV=yes\n")
    (tmp_path / "g.py").write_text(
        "import os, own_library\nassert os.environ['FROM_DOT_ENV'] == 'yes'\n" + STEPS.read_text()
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    for mapping, name in ((os.environ, "FROM_DOT_ENV"), (sys.modules, "own_library")):
        monkeypatch.setitem(mapping, name, "")  # so that what loading sets is gone again after the test
        monkeypatch.delitem(mapping, name)
    document = {"dependencies": ["./lib"], "env": ".env", "graphs": {"g": "./g.py:builder"}}
    assert (await loaded(tmp_path, document)).names == ["g"]


async def test_the_same_graph_has_the_same_assistant_id_as_on_langgraph_server(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(STEPS.read_text())
    graphs = await loaded(tmp_path, {"graphs": {"agent": "./steps.py:builder"}})
    graph = graphs.find("agent")
    assert graph is not None
    # What `langgraph dev` answers for a graph that is called "agent".
    assert graph.assistant_id == "fe096781-5601-53d2-b2f6-0d3403f7e9ca"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is not JSON"),
        ({}, "names no graphs"),
        ({"graphs": {}}, "names no graphs"),
        ({"graphs": {"g": "steps.py"}}, "is not of the form"),
        ({"graphs": {"g": {"description": "x"}}}, 'has no "path"'),
        ({"graphs": {"g": "./missing.py:graph"}}, "there is no file"),
        ({"graphs": {"g": "no.such.module:graph"}}, "importing it failed: ModuleNotFoundError"),
        ({"graphs": {"g": "./bad.py:graph"}}, "importing it failed: ZeroDivisionError"),
        ({"graphs": {"g": "./good.py:nothing"}}, "there is no nothing"),
        ({"graphs": {"g": "./good.py:number"}}, "is a int"),
        ({"graphs": {"g": "./good.py:broken"}}, "its factory failed: RuntimeError: no"),
    ],
)
async def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, document: Any, words: str) -> None:
    (tmp_path / "bad.py").write_text("1 / 0")
    (tmp_path / "good.py").write_text("number = 5\ndef broken():\n    raise RuntimeError('no')\n")
    with pytest.raises(GraphsError, match=words):
        await loaded(tmp_path, document)


async def test_a_missing_file_is_refused_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(GraphsError, match="LANGGRAPH_CONFIG="):
        await Graphs(tmp_path / "no.json").load()
