"""Data that stays where it is, and that nobody reaches any more."""

from collections.abc import Iterator, Mapping

from preview.change.diff import Change, PlanDiff, Status
from preview.recording.plan import Plan
from preview.recording.values import Difference

_DATABASE = "aws:rds/instance:Instance"
_CHECKPOINTER = "data.CHECKPOINTER"


def out_of_reach(diff: PlanDiff) -> Iterator[str]:
    """What agents no longer reach: by agents that go, other key prefixes, other checkpointers."""
    yield from _agents_that_go(diff.before, diff.after)
    for change in diff.changes:
        yield from _other_prefix(change)
        yield from _other_checkpointer(change, diff.after)


def _agents_that_go(before: Plan, after: Plan) -> Iterator[str]:
    databases = [database.name for database in before.of_type(_DATABASE)]
    gone = [agent for agent in before.agents if agent not in after.agents]
    new = [agent for agent in after.agents if agent not in before.agents]
    for agent in gone:
        where = f"the database {agent.replace('-', '_')} of {', '.join(databases)}"
        renamed = (
            f"; if {' or '.join(new)} is the same agent under another name, it begins with an empty database:"
            f" keep the name {agent}, and change the host alone, which may be any"
            if new
            else ""
        )
        yield (
            f"{agent} goes: its threads stay in {where}, and its keys in the cache under {agent}:, where no agent"
            f" reaches them. Move them with pg_dump and pg_restore, or drop that database once they are not"
            f" wanted{renamed}"
        )


def _other_prefix(change: Change) -> Iterator[str]:
    if change.resource.type == "aws:elasticache/user:User" and change.status is Status.UPDATED:
        for difference in _of(change, "accessString"):
            yield (
                f"{change.resource.name} sees other keys of the cache: what is under its former prefix"
                f" ({difference.before}) stays there and is out of reach"
            )


def _other_checkpointer(change: Change, after: Plan) -> Iterator[str]:
    named = change.resource.type == "kubernetes:core/v1:ConfigMap" and change.resource.name.endswith(
        "workload-config"
    )
    if named and change.status is Status.UPDATED:
        agent = after.agent(change.resource)
        for difference in _of(change, _CHECKPOINTER):
            yield (
                f"{agent} keeps checkpoints in {difference.after}: its threads in {difference.before} stay"
                " there and are out of reach until it is changed back"
            )


def _of(change: Change, path: str) -> list[Difference]:
    return [difference for difference in change.differences if difference.path == path]


def single_pods(plan: Plan) -> Mapping[str, bool]:
    """By agent, whether it may run as one pod."""
    scalers = plan.of_type("kubernetes:autoscaling/v2:HorizontalPodAutoscaler")
    return {
        plan.agent(scaler): int(scaler.inputs.get("spec", {}).get("minReplicas", 1)) < 2 for scaler in scalers
    }
