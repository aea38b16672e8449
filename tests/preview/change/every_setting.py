"""Reads ``every_setting.yaml``, and runs its changes through the preview."""

import copy
import functools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from preview.recording.plan import Plan
from preview.recording.program import make_plan
from preview.report.machine import review_as_json
from preview.report.review import review
from stacks.reference import reference
from tests.preview.projects import ROOT, Settings, project

_TABLE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())


@dataclass(frozen=True)
class Row:
    """A change of a stack file, and what is documented of it."""

    name: str
    base: str
    set: Mapping[str, Any]
    """Settings by their path; null takes one away."""
    config: Mapping[str, Any]
    """What stands beside ``langgraph-agents:settings``."""
    truth: Mapping[str, Any]
    """What the preview has to say; `every_setting.yaml` explains the keys."""


def rows() -> list[Row]:
    """All of the table."""
    return [
        Row(row["name"], row["base"], row.get("set", {}), row.get("config", {}), row)
        for row in _TABLE["changes"]
    ]


def reported(row: Row) -> dict[str, Any]:
    """What the preview's JSON says of a row's change: the part that compares.

    Raises:
        InputError: the settings are refused.
    """
    before = _base_plan(row.base)
    with tempfile.TemporaryDirectory() as folder:
        changed = _project(Path(folder), row.base, row.set, row.config)
        after = make_plan(before.stack, changed, before)
        told = json.loads(review_as_json(review(after, changed, before, row.base), {}))
    comparison: dict[str, Any] = told["comparison"]
    return comparison


def does(comparison: Mapping[str, Any]) -> dict[str, str]:
    """By resource, what happens to it: its status where it comes, goes or moves, else what its changes do."""
    found: dict[str, str] = {}
    for change in comparison["changes"]:
        if change["status"] in ("created", "deleted", "moved"):
            found[change["name"]] = change["status"]
            continue
        said = set(map(_effect, change["effects"])) - {"in place"}
        said |= {"replaced"} if change["status"] == "replaced" else set()
        found[change["name"]] = " + ".join(sorted(said)) or "in place"
    return found


def _effect(effect: Mapping[str, Any]) -> str:
    minutes = f" {effect['minutes']} min" if effect["minutes"] else ""
    return f"{effect['does']}{minutes}{' in the window' if effect['when'] == 'window' else ''}"


def untrue(row: Row, comparison: Mapping[str, Any]) -> Iterator[str]:
    """Where what the preview says is not what the row says."""
    impact, truth = comparison["impact"], row.truth
    if "does" in truth:
        yield from _resources(truth["does"], does(comparison))
    said = {
        "restarts": [restart["agent"] for restart in impact["restarts"]],
        "fails": impact["failures"],
        "reach": impact["out_of_reach"],
        "one way": impact["one_way"],
        "not known": impact["unknown"],
    }
    for word, sentences in said.items():
        if sorted(sentences) != sorted(truth.get(word, [])):
            yield f"{word}: {sentences}, and the row says {truth.get(word, [])}"
    mistakes, told = truth.get("mistake", []), impact["errors"]
    if len(told) != len(mistakes) or not all(map(str.startswith, told, mistakes)):
        yield f"mistake: {told}, and the row says {mistakes}"
    wanted, refused = truth.get("refused", {}), {each["what"]: each["instead"] for each in impact["refused"]}
    for what in wanted.keys() | refused.keys():
        begins, instead = wanted.get(what), refused.get(what)
        if begins is None or instead is None or not instead.startswith(begins):
            yield f"refused, {what}: {instead}, and the row says {begins}"


def _resources(wanted: Mapping[str, Sequence[str]], said: Mapping[str, str]) -> Iterator[str]:
    """The first pattern that fits a resource counts."""
    patterns = {pattern: what for what, names in wanted.items() for pattern in names}
    matched = set()
    for name, what in said.items():
        pattern = next((pattern for pattern in patterns if fnmatch(name, pattern)), "")
        matched.add(pattern)
        if patterns.get(pattern) != what:
            yield f"{name}: {what}, and the row says {patterns.get(pattern, 'nothing')}"
    yield from (f"{pattern}: nothing changes" for pattern in patterns if pattern not in matched)


def settings_of_the_reference() -> set[str]:
    """The settings of docs/configuration.md that hold no others, such as ``cluster.nodeGroups[].diskSize``."""
    every, section = set(), ""
    for line in reference().splitlines():
        if heading := re.fullmatch(r"## `(.+)`", line):
            section = "" if ":" in heading[1] else f"{heading[1]}."
        elif row := re.match(r"\| `(\w+)` \|.*\| ([^|]+) \| [^|]+ \|$", line):
            every |= {f"{section}{row[1]}"} if row[2] not in ("object", "list of object") else set()
    return every


def settings_of(row: Row) -> set[str]:
    """The settings of the reference that a row changes; an agent's own are those of ``defaults``."""
    found = set()
    for path, value in row.set.items():
        for leaf in _leaves(re.sub(r"\.\d+", "[]", path), value):
            below = leaf.removeprefix("agents[].")
            found |= {leaf, f"defaults.{below}"} if below != leaf else {leaf}
    return found


def _leaves(path: str, value: Any) -> Iterator[str]:
    yield path
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping):
                yield from _leaves(f"{path}[]", inner)


def forget() -> None:
    """The plans of the bases, which are large."""
    _base_plan.cache_clear()


@functools.cache
def _base_plan(name: str) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        base = _TABLE["bases"][name]
        return make_plan(base["stack"], _project(Path(folder), name))


def _project(
    folder: Path, base: str, more: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None
) -> Path:
    described = _TABLE["bases"][base]
    settings = copy.deepcopy({**described.get("set", {}), **(more or {})})

    def change(whole: Settings) -> None:
        for path, value in settings.items():
            _set(whole, path, value)

    made = project(folder, described["stack"], change)
    file = made / f"Pulumi.{described['stack']}.yaml"
    content = yaml.safe_load(file.read_text())
    content["config"].update(config or {})
    file.write_text(yaml.safe_dump(content))
    # What images are built of.
    for part in ("components", "examples"):
        (made / part).symlink_to(ROOT / part)
    return made


def _set(settings: Settings, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    at: Any = settings
    for step in parents:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if isinstance(at, list):
        at[int(last) :] = [] if value is None else [value]
    elif value is None:
        at.pop(last, None)
    else:
        at[last] = value
