"""What is asked of graphs under load: of those that these tests hold, and of shared ones that behave as people's do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = Path(__file__).parent / "graphs"

SHARED = next(
    (
        folder
        for parent in Path(__file__).resolve().parents[3:5]
        if (folder := parent / "shared" / "cases").joinpath("langgraph.json").is_file()
    ),
    None,
)
"""Graphs of each kind that users of LangGraph servers have reported trouble with. None: they are not at hand."""


@dataclass(frozen=True, eq=False)
class Case:
    """Runs of a graph on a thread of their own, each when the one before has ended. Whatever they ask is answered."""

    graph: str
    inputs: Sequence[Any]
    varies: frozenset[str] = frozenset()
    """Fields of the state that say when or where a run was executed."""
    together: int = 1
    """So many runs are asked for at once, and wait for each other."""
    cancelled: bool = False
    """Whether its run is cancelled while it is executed. How far it got by then is chance."""
    chance: bool = False
    """Whether it succeeds depends on what else its process executes."""


def _case(graph: str, *inputs: Any, varies: str = "", **how: Any) -> Case:
    return Case(graph, inputs or ({},), frozenset(varies.split()), **how)


def _user(text: str) -> Any:
    return {"messages": [{"role": "user", "content": text}]}


_OUR_CASES = [
    *(
        _case("misbehaving", {"how": how})
        for how in (
            "exit",
            "exit in a task of its own",
            "interrupt",
            "half a pair",
            "wordless",
            "cancelled",
            "nul kept",
            "bytes and duration",
            "generator",
        )
    ),
    *(_case("misbehaving", {"how": how}, {"how": ""}) for how in ("wei", "nan")),
    _case("misbehaving", {"how": "swallow"}, cancelled=True),
    _case("exiting_plainly"),
    _case("asking"),
    _case("asking_twice", {"seconds": 1}),
    _case("steps", {"seconds": 0.3}),
    _case("steps", {"seconds": 0.3}, {"seconds": 0.1}),
    _case("steps", {"seconds": 0.1}, together=3),
    _case("steps", {"seconds": 30}, cancelled=True),
    _case("steps", {"seconds": 0.1, "fail_at": "three"}),
    _case("waiting", {"seconds": 1}),
    _case("growing", {"size": 200_000, "steps": 12}),
]

_SHARED_CASES = [
    *(
        _case(graph)
        for graph in [
            "nul",
            "nulmsg",
            "surrogate",
            "surrogatemsg",
            "bigint",
            "bigintdict",
            "nan",
            "infdict",
            "types",
            "unserial",
            "generator",
            "errsur",
            "errnul",
            "badstr",
            "cancelled",
            "selfcancel",
            "exiting",
            "exitingsync",
            "kbd",
            "secreterr",
            "excgroup",
            "customsync",
            "cmdparent",
            "usestore",
            "ctx",
            "factory_cfg",
            "factory_async",
            "factory_default",
            "factory_builder",
            "factory_raises",
            "factory_dep",
            "factory_acm0",
            "factory_acm",
            "factory_runtime",
            "factory_rtonly",
            "sendctx",
            "ownstore",
            "badargs",
            "nested",
            "fan",
            "twointerrupts",
        ]
    ),
    # Two tools of one node ask from a thread each, and LangGraph tells their answers apart by who asks first.
    _case("paralleltools", varies="messages"),
    _case("syncsleep", {"n": 1}),
    _case("blocking", {"n": 1}, varies="steps"),
    _case("asleep", {"n": 1}),
    _case("asleep", {"n": 0.3}, together=3),
    _case("asleep", {"n": 250}, cancelled=True),
    _case("swallow", {"n": 2}),
    _case("swallow", {"n": 20}, cancelled=True),
    _case("loop", {"n": 20, "value": 0.05}),
    _case("loop", {"n": 10_000}, varies="steps"),  # whoever takes a run up counts its steps anew
    _case("limited", {"n": 40, "value": 0.02}),
    _case("grow", {"n": 10, "value": 300_000}),
    _case("bigstep", {"n": 20, "data": "x" * 300_000}),
    _case("custom", {"n": 5}),
    _case("flood", {"n": 5_000, "value": 200}),
    _case("showcfg", varies="data"),
    _case("functional", {"n": 2}, {"n": 3}),
    _case("functional", {"n": 2, "ask": True}),
    _case("retrying", varies="text", chance=True),  # its tries are counted over all runs of a process
    _case("tools", _user("agen")),
    _case("tools", _user("boom")),
    _case("logging_", {"text": "a card"}),
    *(
        _case("twice", {"text": what}, {"text": "look"})
        for what in ("nan", "inf", "nandict", "big", "wei", "types", "tuplekey")
    ),
    _case("dns", varies="value"),
]

CASES = [*_OUR_CASES, *(_SHARED_CASES if SHARED else ())]


def project(folder: Path) -> Path:
    """A langgraph.json of all graphs that the cases ask, and of all that are shared."""
    graphs: dict[str, str] = {}
    for origin, names in (
        (OURS / "hostile.json", {"misbehaving", "exiting_plainly", "asking", "asking_twice", "steps"}),
        (OURS / "slow.json", {"waiting", "growing"}),
        *(((SHARED / "langgraph.json", None),) if SHARED else ()),
    ):
        for name, target in json.loads(origin.read_text())["graphs"].items():
            if names is None or name in names:
                graphs[name] = target.replace("./", f"{origin.parent}/", 1)
    file = folder / "langgraph.json"
    file.write_text(json.dumps({"dependencies": [str(OURS)], "graphs": graphs}))
    return file
