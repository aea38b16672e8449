"""What all agents of a stack share of its database, where AWS's proxy stands before it."""

from collections.abc import Iterator

from policies.model import at, items
from preview.change.diff import PlanDiff, Status
from preview.recording.plan import Plan

_CONNECTIONS = "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup"
_PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"


def notes(diff: PlanDiff) -> Iterator[str]:
    """How much a proxy that comes or changes may open, and that nobody has a part of it."""
    for change in diff.changes:
        if change.after is None or change.after.type != _CONNECTIONS or change.status is Status.MOVED:
            continue
        percent = at(change.after.inputs, "connectionPoolConfig", "maxConnectionsPercent")
        yield (
            f"{change.after.name} has {percent} % of the database's connections{_number(percent, diff.after)}, one"
            " budget for all agents: none has a part of its own, and a burst of one may keep others waiting"
        )


def _number(percent: object, plan: Plan) -> str:
    """How many that is, of the database that says how many it takes."""
    taken = [
        int(parameter["value"])
        for group in plan.of_type(_PARAMETERS)
        for parameter in items(group.inputs.get("parameters"))
        if parameter.get("name") == "max_connections"
    ]
    if len(taken) != 1 or not isinstance(percent, int):
        return ""
    return f" ({taken[0] * percent // 100} of {taken[0]})"
