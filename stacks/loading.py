"""From a stack's configuration to ``Settings``, or to every problem of the file at once."""

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from components.stores.rds_ca import regions
from stacks import agent_server_rules, aws_rules, capacity_rules, connection_rules, rules
from stacks.agent_settings import Agent
from stacks.aws_vocabulary import Cidr
from stacks.problems import Problem, SettingsError
from stacks.rules import ApiKeys
from stacks.settings import Settings
from stacks.wording import Written, field_problems

__all__ = ["SettingsError", "account_numbers", "load", "parsed"]

_RULES: tuple[rules.Rule, ...] = (
    *connection_rules.RULES,
    *rules.RULES,
    *agent_server_rules.RULES,
    *aws_rules.RULES,
    *capacity_rules.RULES,
)
_SETTINGS = "langgraph-agents:settings"
_ACCOUNT = re.compile(r"\d{12}")
_STACK_NAME = re.compile(r"[a-z]([a-z0-9-]{0,22}[a-z0-9])?")


def parsed(text: str | None) -> object:
    """A value of Pulumi's configuration: the data that it is in JSON, or the text itself where it is none."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def account_numbers(raw: object) -> tuple[str, ...] | None:
    """``aws:allowedAccountIds``; empty where it is not set, None where it is no list of account numbers."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        return None
    numbers = tuple(item for item in raw if isinstance(item, str) and _ACCOUNT.fullmatch(item))
    return numbers if len(numbers) == len(raw) else None


def load(
    raw: object,
    *,
    stack: str,
    region: str | None = None,
    api_keys: object = None,
    account_ids: object = None,
    source: Path | None = None,
) -> Settings:
    """Validate ``langgraph-agents:settings``.

    Args:
        raw: the object as Pulumi hands it over, parsed.
        stack: the stack's name, which also names the file in messages.
        region: ``aws:region``; None leaves it unchecked.
        api_keys: ``langgraph-agents:apiKeys``, an object of values by agent and name; only its keys are looked at.
        account_ids: ``aws:allowedAccountIds``, a list of account numbers; None where it is not set.
        source: the file that ``raw`` comes from, for the numbers of messages as they are written there.

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
        problems = list(field_problems(error, Settings, raw, _written(source)))
    if not _STACK_NAME.fullmatch(stack):
        remedy = "it begins the names of AWS resources: use at most 24 lower-case letters, digits and hyphens"
        problems.append(Problem("(the stack's name)", stack, remedy))
    if region is not None and region not in regions():
        problems.append(Problem("aws:region", region, f"use one of {', '.join(regions())}"))
    names = _names(api_keys)
    if names is None:
        remedy = "holds one object for each agent: `pulumi config set --secret --path apiKeys.<agent>.<NAME>`"
        problems.append(Problem("apiKeys", "(hidden)", remedy))
    accounts = account_numbers(account_ids)
    if accounts is None:
        remedy = 'list account numbers of twelve digits in quotes, such as ["123456789012"]'
        problems.append(Problem("aws:allowedAccountIds", account_ids, remedy))
    known = {"api_keys": names, "region": region, "account_ids": accounts}
    valid = {**_valid_parts(merged), **{name: value for name, value in known.items() if value is not None}}
    for rule in _RULES:
        needed = inspect.signature(rule).parameters
        if all(name in valid for name in needed):
            problems += rule(**{name: valid[name] for name in needed})
    if problems:
        raise SettingsError(stack_file, problems)
    return settings


def _written(source: Path | None) -> Written:
    """How numbers are written in the file: Pulumi hands over their values only."""
    if source is None:
        return lambda path, value: None
    from stacks.reading import StackFileError, read

    try:
        file = read(source)
    except StackFileError:
        return lambda path, value: None
    return lambda path, value: file.written(["config", _SETTINGS, *path], value)


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
    return {**raw, "agents": [_merge(_fitting(defaults, agent), agent) for agent in agents]}


def _fitting(defaults: Mapping[str, Any], agent: object) -> dict[str, Any]:
    """The defaults without the source of images that the agent does not have its own from."""
    given = agent if isinstance(agent, dict) else {}
    other = {"source": "image", "image": "source"}
    return {key: value for key, value in defaults.items() if other.get(key) not in given}


def _merge(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: _merge(base.get(key), value) for key, value in over.items()}}


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
    cluster = merged.get("cluster")
    cidrs = cluster.get("endpointPublicAccessCidrs") if isinstance(cluster, dict) else ()
    return {
        **parts,
        "agents": _valid_items(TypeAdapter(Agent), merged.get("agents")),
        "without_agents": merged.get("agents") == [],
        "public_cidrs": _valid_items(TypeAdapter(Cidr), cidrs),
    }


def _valid_items(item: TypeAdapter[Any], raw: object) -> dict[int, Any]:
    """The valid items of a list, by their place in it."""
    valid: dict[int, Any] = {}
    for index, value in enumerate(raw if isinstance(raw, list) else ()):
        try:
            valid[index] = item.validate_python(value)
        except ValidationError:
            continue
    return valid
