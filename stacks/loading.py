"""From a stack's configuration to ``Settings``, or to every problem of the file at once."""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from components.stores.rds_ca import regions
from stacks.agent_settings import Agent
from stacks.rules import RULES, ApiKeys, Problem
from stacks.settings import Settings
from stacks.vocabulary import Model, sounds_secret

_LONGEST_VALUE = 80
# Anything below an entry of secrets, except what such an entry is known to have in plain.
_MAY_HOLD_A_SECRET = re.compile(r"\.secrets\[\d+\]\.(?!(name|source)$)")
_STACK_NAME = re.compile(r"[a-z]([a-z0-9-]{0,22}[a-z0-9])?")


class SettingsError(Exception):
    """A stack file that cannot be used; its text lists every problem."""

    def __init__(self, stack_file: str, problems: list[Problem]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{stack_file} has {count} in langgraph-agents:settings"]
        lines += [f"\n  {problem.field}: {_shown(problem)}\n      {problem.remedy}" for problem in problems]
        super().__init__("\n".join(lines))


def load(raw: object, *, stack: str, region: str | None = None, api_keys: object = None) -> Settings:
    """Validate ``langgraph-agents:settings``.

    Args:
        raw: the object as Pulumi hands it over.
        stack: the stack's name, which also names the file in messages.
        region: ``aws:region``; None leaves it unchecked.
        api_keys: ``langgraph-agents:apiKeys``, an object of values by agent and name; only its keys are looked at.

    Raises:
        SettingsError: with all problems, those of fields and those between parts.
    """
    stack_file = f"Pulumi.{stack}.yaml"
    if not isinstance(raw, dict):
        remedy = "write an object; Pulumi.dev.yaml is an example, docs/configuration.md the reference"
        raise SettingsError(stack_file, [Problem("settings", raw, remedy)])
    merged = _with_defaults(raw)
    try:
        settings = Settings.model_validate(merged)
        problems: list[Problem] = []
    except ValidationError as error:
        problems = list(_field_problems(error, raw))
    if not _STACK_NAME.fullmatch(stack):
        remedy = "it begins the names of AWS resources: use at most 24 lower-case letters, digits and hyphens"
        problems.append(Problem("(the stack's name)", stack, remedy))
    if region is not None and region not in regions():
        problems.append(Problem("aws:region", region, f"use one of {', '.join(regions())}"))
    names = _names(api_keys)
    if names is None:
        remedy = "holds one object for each agent: `pulumi config set --secret --path apiKeys.<agent>.<NAME>`"
        problems.append(Problem("apiKeys", "(hidden)", remedy))
    valid = {**_valid_parts(merged), **({} if names is None else {"api_keys": names})}
    for rule in RULES:
        needed = inspect.signature(rule).parameters
        if all(name in valid for name in needed):
            problems += rule(**{name: valid[name] for name in needed})
    if problems:
        raise SettingsError(stack_file, problems)
    return settings


def _names(api_keys: object) -> ApiKeys | None:
    """The names that ``api_keys`` holds values for, by agent; None where it is not an object of objects."""
    if api_keys is None:
        return {}
    if not isinstance(api_keys, dict) or not all(isinstance(values, dict) for values in api_keys.values()):
        return None
    return {agent: sorted(values) for agent, values in api_keys.items()}


def _with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Lay each agent over the stack's defaults: objects merge, lists and values replace."""
    defaults, agents = raw.get("defaults"), raw.get("agents")
    if not isinstance(defaults, dict) or not isinstance(agents, list):
        return dict(raw)
    return {**raw, "agents": [_merge(defaults, agent) for agent in agents]}


def _merge(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: _merge(base.get(key), value) for key, value in over.items()}}


def _field_problems(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for detail in error.errors(include_url=False, include_context=False):
        path = list(detail["loc"])
        # A value that an agent has from the defaults is wrong there, once, and not in each agent.
        if (
            path[0] == "agents"
            and len(path) > 2
            and not _has(raw, path)
            and _has(raw, ["defaults", *path[2:]])
        ):
            path = ["defaults", *path[2:]]
        field = _dotted(path)
        if field in seen:
            continue
        seen.add(field)
        yield Problem(field, None if detail["type"] == "missing" else detail["input"], _remedy(detail, path))


def _remedy(detail: Any, path: list[int | str]) -> str:
    kind, message = detail["type"], str(detail["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        return "is missing: add it"
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        return (
            f"is not a setting here. Known: {', '.join(known)}"
            if known
            else "is not a setting here: remove it"
        )
    return message[0].lower() + message[1:]


def _known_keys(path: list[int | str]) -> list[str]:
    """The keys of the model at ``path``."""
    model: Any = Settings
    for step in path:
        if isinstance(step, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == step), None)
        if field is None:
            return []
        model = _model_in(field.annotation)
        if model is None:
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[Model] | None:
    if inspect.isclass(annotation) and issubclass(annotation, Model):
        return annotation
    return next((found for arg in getattr(annotation, "__args__", ()) if (found := _model_in(arg))), None)


def _has(data: Any, path: list[Any]) -> bool:
    for step in path:
        if (isinstance(step, int) and isinstance(data, list) and step < len(data)) or (
            isinstance(data, dict) and step in data
        ):
            data = data[step]
        else:
            return False
    return True


def _valid_parts(merged: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that are valid on their own, whatever the others are."""
    parts: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if name in {"agents", "defaults"}:
            continue
        value = merged.get(field.alias or name, field.default)
        try:
            parts[name] = TypeAdapter(field.rebuild_annotation()).validate_python(value)
        except ValidationError:
            continue
    agents: dict[int, Agent] = {}
    raw_agents = merged.get("agents")
    for index, raw in enumerate(raw_agents if isinstance(raw_agents, list) else []):
        try:
            agents[index] = Agent.model_validate(raw)
        except ValidationError:
            continue
    return {**parts, "agents": agents}


def _dotted(path: list[int | str]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "settings"


def _shown(problem: Problem) -> str:
    """The value as a line of text, without what may be a secret that was pasted into the wrong place."""
    value = problem.value
    if value is None:
        return "(not set)"
    if sounds_secret(problem.field) or _MAY_HOLD_A_SECRET.search(problem.field):
        return "(hidden)"
    if isinstance(value, dict):
        return f"{{{', '.join(map(str, value))}}}"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
