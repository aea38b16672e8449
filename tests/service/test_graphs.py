"""langgraph.json in all the forms that LangGraph takes, and what is said of a wrong one."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from langgraph_agents_service.projects.config import ProjectError
from langgraph_agents_service.projects.factories import Use
from langgraph_agents_service.projects.graphs import Graphs

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
    compiled = await graph.compiled(Use())
    assert {"one", "ask"} & set(compiled.nodes)


@pytest.mark.parametrize("parameters", ["", "config"])
@pytest.mark.parametrize("kind", ["async", ""])
async def test_a_context_manager_is_opened_for_each_run_and_closed_after_it(
    tmp_path: Path, parameters: str, kind: str
) -> None:
    decorator = f"contextlib.{kind}contextmanager"
    (tmp_path / "g.py").write_text(
        STEPS.read_text()
        + f"\nimport contextlib\nseen = []\n@{decorator}\n{kind + ' ' if kind else ''}def manage({parameters}):\n"
        + "    seen.append('opened')\n    yield _chain().compile()\n    seen.append('closed')\n"
    )
    graphs = await loaded(tmp_path, {"graphs": {"managed": "./g.py:manage"}})
    seen = sys.modules["langgraph_agents_graph_graphs.managed"].seen
    graph = graphs.find("managed")
    assert graph is not None
    for _ in range(2):
        seen.clear()
        async with graph.opened(Use()) as compiled:
            assert "one" in compiled.nodes
            assert seen == ["opened"]
        assert seen == ["opened", "closed"]


@pytest.mark.parametrize("parameters", ["", "config"])
async def test_secrets_that_are_taken_over_open_no_context_manager_again(
    tmp_path: Path, parameters: str
) -> None:
    (tmp_path / "g.py").write_text(
        STEPS.read_text()
        + "\nimport contextlib\nseen = []\n@contextlib.asynccontextmanager\n"
        + f"async def manage({parameters}):\n    seen.append('opened')\n    yield _chain().compile()\n"
    )
    graphs = await loaded(tmp_path, {"graphs": {"managed": "./g.py:manage"}})
    seen = sys.modules["langgraph_agents_graph_graphs.managed"].seen
    for _ in range(3):
        await graphs.load()
    assert seen == []


_FACTORIES = """
from typing import Annotated
from langchain_core.runnables import RunnableConfig
from langgraph_sdk.runtime import ServerRuntime
GIVEN = {}
def config_alone(config: RunnableConfig): return _given(config=config)
def nameless(whatever): return _given(config=whatever)
def runtime_alone(runtime: ServerRuntime): return _given(runtime=runtime)
def parameterised(runtime: ServerRuntime[dict], config): return _given(config=config, runtime=runtime)
def annotated(config: RunnableConfig, rt: Annotated[ServerRuntime, "x"]): return _given(config=config, runtime=rt)
def unresolved(config: "RunnableConfig", runtime: "ServerRuntime"): return _given(config=config, runtime=runtime)
def default(model="gpt"): return _given(model=model)
async def later(config: dict): return _given(config=config)
def _given(**given):
    GIVEN.clear(); GIVEN.update(given)
    return _chain()
"""


@pytest.mark.parametrize(
    ("factory", "asks"),
    [
        ("config_alone", {"config"}),
        ("nameless", {"config"}),
        ("runtime_alone", {"runtime"}),
        ("parameterised", {"config", "runtime"}),
        ("annotated", {"config", "runtime"}),
        ("unresolved", {"config", "runtime"}),
        ("default", {"model"}),
        ("later", {"config"}),
    ],
)
async def test_a_factory_gets_what_its_parameters_ask_for(
    tmp_path: Path, factory: str, asks: set[str]
) -> None:
    (tmp_path / "g.py").write_text(STEPS.read_text() + _FACTORIES)
    graphs = await loaded(tmp_path, {"graphs": {"g": f"./g.py:{factory}"}})
    graph = graphs.find("g")
    assert graph is not None
    use = Use({"configurable": {"who": "ann"}}, "threads.create_run", context={"tone": "warm"})
    async with graph.opened(use) as compiled:
        assert "one" in compiled.nodes
    given = sys.modules["langgraph_agents_graph_graphs.g"].GIVEN
    assert set(given) == asks
    assert given.get("config", use.config) is use.config
    assert given.get("model", "gpt") == "gpt"
    if "runtime" in given:
        assert given["runtime"].execution_runtime.context == {"tone": "warm"}


async def test_all_graphs_that_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "g.py").write_text("import sys\ndef many(a, b, c):\n    return None\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    document = {"graphs": {"many": "./g.py:many", "leaves": "./leaves.py:graph", "none": "./g.py:none"}}
    with pytest.raises(ProjectError) as refused:
        await loaded(tmp_path, document)
    for words in (
        "graphs.many: its factory cannot be called",
        r"graphs.leaves",
        "sys.exit()",
        "there is no none",
    ):
        assert words in str(refused.value)


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
        ({"graphs": {"g": "steps.py"}}, "write ./file.py:attribute"),
        ({"graphs": {"g": {"description": "x"}}}, "graphs.g.path: is missing"),
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
    with pytest.raises(ProjectError, match=words):
        await loaded(tmp_path, document)


async def test_a_missing_file_is_refused_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="LANGGRAPH_CONFIG="):
        await Graphs(tmp_path / "no.json").load()
