"""A replay in a few figures, for the page, a terminal and programs."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from simulate.assumptions import SENTENCES
from simulate.replay import AgentOutcome, Outcome
from simulate.stack import Scaling
from simulate.trace import Trace

_SHARES = {"p50": 0.5, "p95": 0.95}

_OF_AN_AGENT: Sequence[tuple[str, Callable[[AgentOutcome], str]]] = (
    ("runs", lambda a: f"{a.submitted:,}"),
    ("open at the end, timed out", lambda a: f"{a.open:,}, {a.timed_out:,}"),
    ("pods wanted", lambda a: f"{min(a.series.wanted)} to {max(a.series.wanted)}"),
    ("changes of their number", lambda a: f"{_changes(a.series.wanted)}"),
    ("hours of ready pods", lambda a: f"{a.pod_hours:,.1f}"),
    ("longest queue", lambda a: f"{max(a.series.waiting):,}"),
    ("seconds in the queue, 95 % at most", lambda a: f"{a.wait(0.95):,.1f}"),
    (
        "seconds from request to end, half and 95 %",
        lambda a: f"{a.latency(0.5):,.1f}, {a.latency(0.95):,.1f}",
    ),
)


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, list[str]]]:
    """A label, and a value for each outcome."""
    found = [
        (f"{agents[0].agent}: {label}", [value(agent) for agent in agents])
        for agents in zip(*(outcome.agents for outcome in outcomes), strict=True)
        for label, value in _OF_AN_AGENT
    ]
    found.append(("nodes", [f"{min(outcome.nodes)} to {max(outcome.nodes)}" for outcome in outcomes]))
    found.append(("most pods without a node", [f"{max(outcome.without_node)}" for outcome in outcomes]))
    found.append(("nodes, a day", [f"${outcome.nodes_daily:,.2f}" for outcome in outcomes]))
    return found


def as_json(scaling: Scaling, trace: Trace, outcomes: Sequence[Outcome], page: str) -> str:
    """Everything that the page shows, for programs. Series have a value for every look of the autoscaler."""
    document = {
        "stack": scaling.stack,
        "trace": trace.name,
        "seconds": trace.seconds,
        "page": page,
        "other_daily_usd": asdict(scaling.other_daily),
        "assumptions": [*SENTENCES, *scaling.notes],
        "outcomes": [_outcome(outcome) for outcome in outcomes],
    }
    return json.dumps(document, indent=2) + "\n"


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "scaler": outcome.name,
        "nodes_daily_usd": round(outcome.nodes_daily, 4),
        "seconds": outcome.seconds,
        "nodes": outcome.nodes,
        "pods_without_node": outcome.without_node,
        "agents": [
            {
                "agent": agent.agent,
                "submitted": agent.submitted,
                "ended": len(agent.ended),
                "timed_out": agent.timed_out,
                "open": agent.open,
                "pod_hours": round(agent.pod_hours, 3),
                "latency_seconds": {name: round(agent.latency(share), 3) for name, share in _SHARES.items()},
                "queue_seconds": {name: round(agent.wait(share), 3) for name, share in _SHARES.items()},
                "wanted": agent.series.wanted,
                "ready": agent.series.ready,
                "waiting": agent.series.waiting,
                "executing": agent.series.executing,
            }
            for agent in outcome.agents
        ],
    }


def _changes(wanted: Sequence[int]) -> int:
    return sum(before != after for before, after in itertools.pairwise(wanted))
