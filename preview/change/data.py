"""Data that stays where it is, and that nobody reaches any more."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.pods import AUTOSCALERS, bounds_of
from preview.change.diff import Change, PlanDiff, Status
from preview.exposure.workloads import workloads
from preview.recording.plan import Plan, PlannedResource
from preview.recording.values import ABSENT, Difference

_DATABASE = "aws:rds/instance:Instance"
_DATABASE_OF_AGENT = "langgraph-agents:components:AgentDatabase"
_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
_PREFIX = "CACHE_KEY_PREFIX"
_CRON_JOB = "kubernetes:batch/v1:CronJob"
_CLASS = "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"
_KEYS = "API_KEYS"
_CHECKPOINTER = "data.CHECKPOINTER"
_HISTORY = "data.CHECKPOINT_HISTORY"
_STORES = (
    ("database_endpoint", "what is in the database", ". Move it with pg_dump and pg_restore"),
    ("cache_endpoint", "what is in the cache", ""),
)
_COMMAND = "spec.jobTemplate.spec.template.spec.containers[0].command"


def out_of_reach(diff: PlanDiff) -> Iterator[str]:
    """What agents no longer reach: by agents that go, other key prefixes, other checkpointers."""
    for left in _left_behind(diff):
        goes = "goes" if left.agent not in diff.after.agents else "begins with an empty database"
        yield (
            f"{left.agent} {goes}: {left.what}, where no agent reaches them. Move them with pg_dump and pg_restore, or"
            " drop that database once they are not wanted"
        )
    yield from _other_stores(diff.before, diff.after)
    for change in diff.changes:
        yield from _other_prefix(change)
        yield from _other_checkpointer(change, diff.after)


def lost_by_name(diff: PlanDiff) -> Iterator[str]:
    """Agents that begin with nothing beside data that is left behind: by all appearances the same, renamed."""
    after = diff.after
    empty = [after.agent(own) for own in after.of_type(_DATABASE_OF_AGENT) if diff.former[own.urn] is None]
    for left in _left_behind(diff):
        if left.agent in empty:
            yield (
                f"{left.agent} begins with an empty database, because what it has is looked for under another name:"
                f" every thread of it is out of reach ({left.what}). {_KEPT.format(first=left.first, new=left.agent)}"
            )
        elif empty:
            new = " or ".join(empty)
            yield (
                f"{left.agent} goes, and {new} begins with an empty database: if that is {left.agent} under another"
                f" name, every thread of {left.agent} is out of reach ({left.what})."
                f" {_KEPT.format(first=left.first, new=new)}. If they have nothing to do with each other, remove"
                f" {left.agent} in a deployment of its own"
            )


def renamed(diff: PlanDiff) -> Iterator[str]:
    """Agents that keep their data under another name."""
    after = diff.after
    for own in after.of_type(_DATABASE_OF_AGENT):
        was = diff.before.resources.get(diff.former[own.urn] or "")
        old, new = diff.before.agent(was) if was else "", after.agent(own)
        if old and old != new:
            yield (
                f"{old} is called {new}: its database, login, keys, secrets, roles and Ingress stay, under"
                f" {_first_name(own)}; its Deployment and Service are made anew beside the old ones, which go when the"
                " new pods have taken over"
            )


_KEPT = "Set `renamedFrom: {first}` on {new}, which keeps database, keys, secrets and identity"


@dataclass(frozen=True)
class _LeftBehind:
    """What an agent had, and has no longer."""

    agent: str
    first: str
    """The name that its data has."""
    what: str


def _left_behind(diff: PlanDiff) -> Iterator[_LeftBehind]:
    before = diff.before
    kept = set(diff.former.values())
    instances = ", ".join(database.name for database in before.of_type(_DATABASE)) or "RDS"
    for own in before.of_type(_DATABASE_OF_AGENT):
        if own.urn in kept:
            continue
        agent, first = before.agent(own), _first_name(own)
        yield _LeftBehind(
            agent,
            first,
            f"its threads stay in the database {first.replace('-', '_')} of {instances}, and its keys in the cache"
            f" under {_prefix(before, agent) or f'{first}:'}",
        )


def _first_name(database: PlannedResource) -> str:
    return database.name.removesuffix("-database")


def _prefix(plan: Plan, agent: str) -> str:
    for config in plan.of_type(_CONFIG_MAP):
        if plan.agent(config) == agent and _PREFIX in (data := config.inputs.get("data") or {}):
            return str(data[_PREFIX])
    return ""


def _other_stores(before: Plan, after: Plan) -> Iterator[str]:
    """A database or a cache of another address, as the stack's outputs have it."""
    stay = ", ".join(agent for agent in after.agents if agent in before.agents)
    for output, lies, how in _STORES:
        old, new = before.outputs.get(output), after.outputs.get(output)
        if stay and old and new and old != new:
            yield f"{stay}: {lies} stays in {old} and is out of reach, for {new} is asked instead{how}"


def _other_prefix(change: Change) -> Iterator[str]:
    if change.resource.type == "aws:elasticache/user:User" and change.status is Status.UPDATED:
        for difference in _of(change, "accessString"):
            yield (
                f"{change.resource.name} sees other keys of the cache: what is under its former prefix"
                f" ({difference.before}) stays there and is out of reach"
            )


def _other_checkpointer(change: Change, after: Plan) -> Iterator[str]:
    if _is_read_by_pods(change) and change.status is Status.UPDATED:
        agent = after.agent(change.resource)
        for difference in _of(change, _CHECKPOINTER):
            if difference.before is ABSENT or difference.after is ABSENT:
                # Only the agent service is told.
                new, old = "LangGraph's Agent Server", "the agent service"
                if difference.before is ABSENT:
                    new, old = old, new
                yield (
                    f"{agent} is served by {new}: its threads stay in the tables of {old}, and are out of reach"
                    " until it is changed back"
                )
                continue
            yield (
                f"{agent} keeps checkpoints in {difference.after}: its threads in {difference.before} stay"
                " there and are out of reach until it is changed back"
            )


def _is_read_by_pods(change: Change) -> bool:
    return change.resource.type == _CONFIG_MAP and change.resource.name.endswith("workload-config")


def deleted_sooner(change: Change) -> Iterator[str]:
    """Threads that an agent's shorter retention deletes, and the history of those that stay."""
    if change.status is not Status.UPDATED:
        return
    if _is_read_by_pods(change):
        for difference in _of(change, _HISTORY):
            if difference.after == "keep_latest":
                yield (
                    f"{change.resource.name}, checkpointHistory: after its next run a thread has its latest checkpoint"
                    " alone, and the earlier ones are deleted"
                )
    if change.resource.type != _CRON_JOB:
        return
    for difference in change.differences:
        before, after = _days(difference.before), _days(difference.after)
        if difference.path.startswith(_COMMAND) and before and after and after < before:
            yield (
                f"{change.resource.name}, idleDays: at its next run threads are deleted that were idle for more than"
                f" {after} days, {before} until now"
            )


def _days(argument: object) -> int:
    """Of the retention's command, such as ``30d``; 0 of another argument."""
    found = re.fullmatch(r"(\d+)d", str(argument))
    return int(found[1]) if found else 0


def new_keys(diff: PlanDiff) -> Iterator[str]:
    """Agents whose callers need other keys than they have."""
    for change in diff.changes:
        if change.resource.type != _CLASS or change.before is None or change.after is None:
            continue
        old, new = (_entry_of_keys(resource.inputs) for resource in (change.before, change.after))
        if old and new and old != new:
            agent = diff.after.agent(change.after)
            yield f"{agent} reads API_KEYS from another entry: callers that send a key that is not in it are refused"


def is_mounted(entry: PlannedResource, service_account: PlannedResource, plan: Plan) -> bool:
    """Whether pods that run as ``service_account`` mount an entry of Secrets Manager."""
    account = (service_account.inputs.get("metadata") or {}).get("name")
    names = {
        (volume.get("csi") or {}).get("volumeAttributes", {}).get("secretProviderClass")
        for workload in workloads(plan)
        if workload.service_account == account
        for volume in workload.spec.get("volumes") or ()
    }
    classes = (r.inputs for r in plan.of_type(_CLASS) if r.inputs.get("metadata", {}).get("name") in names)
    return entry.id in {mounted for inputs in classes for mounted in _mounted(inputs).values()}


def _entry_of_keys(inputs: Mapping[str, Any]) -> str:
    return _mounted(inputs).get(_KEYS, "")


def _mounted(inputs: Mapping[str, Any]) -> dict[str, str]:
    """The entries that a SecretProviderClass mounts, by file."""
    try:
        objects = json.loads(inputs["spec"]["parameters"]["objects"])
        return {str(entry["objectAlias"]): str(entry["objectName"]) for entry in objects}
    except (KeyError, TypeError, ValueError):
        return {}


def _of(change: Change, path: str) -> list[Difference]:
    return [difference for difference in change.differences if difference.path == path]


def single_pods(plan: Plan) -> Mapping[str, bool]:
    """By agent, whether it may run as one pod."""
    found: dict[str, bool] = {}
    for type_ in AUTOSCALERS:
        for scaler in plan.of_type(type_):
            agent = plan.agent(scaler)
            found[agent] = found.get(agent, False) or int(bounds_of(scaler)[0]) < 2
    return found
