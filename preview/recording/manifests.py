"""The Kubernetes objects of a plan as plain YAML, one file an object, in the order in which they can be applied."""

import shutil
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from preview.recording.plan import Plan, PlannedResource, Secret

_HELM = "kubernetes:helm.sh/v3:Release"
# What other objects lie in, or are checked against, comes first where no dependency says so.
_FIRST = ("CustomResourceDefinition", "Namespace", "ResourceQuota", "ServiceAccount", "ConfigMap", "Secret")
_HIDDEN = "[secret]"


def objects(plan: Plan) -> list[tuple[str, dict[str, Any]]]:
    """The objects in apply order, each with its file name. A Helm release is no object, and is left out."""
    ordered = list(_in_order(plan))
    width = len(str(len(ordered)))
    return [
        (f"{number:0{width}}-{resource.kind.lower()}-{name}.yaml", manifest)
        for number, resource in enumerate(ordered, start=1)
        for manifest in [_manifest(resource)]
        for name in [str(manifest["metadata"]["name"]).replace(":", "-")]
    ]


def write(plan: Plan, folder: Path) -> int:
    """Write the objects to ``folder``, which is emptied first; returns how many there are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = objects(plan)
    for name, manifest in written:
        (folder / name).write_text(as_yaml(manifest))
    return len(written)


def as_yaml(value: Any) -> str:
    """Plain data as YAML that a person reads: in its own order, with text of several lines as a block."""
    return str(yaml.dump(value, Dumper=_DUMPER, sort_keys=False, width=110))


def _in_order(plan: Plan) -> Iterator[PlannedResource]:
    graph = {resource.urn: set(resource.dependencies) for resource in plan.resources.values()}
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    while sorter.is_active():
        wave = sorter.get_ready()
        found = [plan.resources[urn] for urn in wave if urn in plan.resources]
        yield from sorted((r for r in found if _is_object(r)), key=_precedence)
        sorter.done(*wave)


def _is_object(resource: PlannedResource) -> bool:
    return resource.package == "kubernetes" and resource.custom and resource.type != _HELM


def _precedence(resource: PlannedResource) -> tuple[int, str]:
    return (_FIRST.index(resource.kind) if resource.kind in _FIRST else len(_FIRST), resource.urn)


def _manifest(resource: PlannedResource) -> dict[str, Any]:
    shown = {**resource.inputs, "metadata": resource.outputs.get("metadata") or {}}
    if resource.type == "kubernetes:core/v1:Secret" and "data" in shown:
        # `data` has to be base64, which a hidden value is not.
        shown["stringData"] = {**(shown.get("stringData") or {}), **_hidden(shown.pop("data"))}
    first = [key for key in ("apiVersion", "kind", "metadata") if key in shown]
    return {key: _readable(shown[key]) for key in (*first, *sorted(shown.keys() - set(first)))}


def _hidden(data: Any) -> dict[str, str]:
    return dict.fromkeys(data, _HIDDEN) if isinstance(data, dict) else {}


def _readable(value: Any) -> Any:
    if isinstance(value, Secret):
        return _HIDDEN
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return value


# Written in C where PyYAML was built with it: ten times as fast.
_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    """Text of several lines as a block, so that a certificate or a script can be read."""


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_DUMPER: Any = _Dumper
