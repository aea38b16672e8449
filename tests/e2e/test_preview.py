"""The preview is complete: what it lists is what the real engine registers, resource by resource."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from preview.recording import manifests
from preview.recording.plan import Plan, PlannedResource, Secret
from preview.recording.program import make_plan
from preview.recording.structs import is_wire_secret
from preview.recording.values import differing
from tests.e2e.harness import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

# What is random in the sandbox, where passwords are real: versions of secrets, and what is made of them.
_RANDOM = re.compile(r"checksum/secrets|pulumi\.com/autonamed")


@pytest.fixture(scope="module")
def registered(product: Sandbox) -> dict[str, dict[str, Any]]:
    """The engine's own record of every resource, by URN."""
    product.up()
    record = json.loads(product.state.checkpoint("langgraph-agents").read_text())
    resources = record["checkpoint"]["latest"]["resources"]
    return {r["urn"]: r for r in resources if not _is_the_engines_own(r)}


@pytest.fixture(scope="module")
def planned(product: Sandbox) -> Plan:
    return make_plan("dev", product.project)


def test_both_know_the_same_resources(registered: Mapping[str, Any], planned: Plan) -> None:
    assert set(planned.resources) == set(registered)


def test_both_know_the_same_of_each_resource(registered: Mapping[str, Any], planned: Plan) -> None:
    differences = {
        urn: found
        for urn, resource in planned.resources.items()
        if (found := list(_differences(resource, registered[urn])))
    }
    assert not differences, "\n".join(f"{urn}: {found}" for urn, found in differences.items())


def test_the_manifests_are_what_the_api_server_accepts(
    registered: Mapping[str, Any], planned: Plan, product: Sandbox, tmp_path: Path
) -> None:
    count = manifests.write(planned, tmp_path)
    # Over what is deployed already, so that namespaces exist; dry, so that it stays as it is.
    apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", str(tmp_path)]
    told = product.kubectl(*apply, check=False)
    assert told.returncode == 0, told.stderr
    assert len(told.stdout.splitlines()) == count


def _is_the_engines_own(resource: Mapping[str, Any]) -> bool:
    """The stack, and the providers that the engine makes for packages for which a program makes none."""
    name = resource["urn"].rpartition("::")[2]
    type_: str = resource["type"]
    default = type_.startswith("pulumi:providers:") and name.startswith("default_")
    return default or type_ == "pulumi:pulumi:Stack"


def _differences(mine: PlannedResource, engines: Mapping[str, Any]) -> Any:
    stack = "pulumi:pulumi:Stack"
    parent = engines.get("parent", "")
    pairs = {
        "type": (mine.type, engines["type"]),
        "custom": (mine.custom, engines["custom"]),
        "parent": (mine.parent, "" if stack in parent else parent),
        "protect": (mine.protect, engines.get("protect", False)),
        "dependencies": (sorted(mine.dependencies), sorted(engines.get("dependencies") or ())),
        "provider": (_urn(mine.provider), _urn(engines.get("provider", ""))),
    }
    if mine.custom:
        pairs["inputs"] = (_comparable(mine.inputs), _comparable(engines.get("inputs") or {}))
    for what, (ours, theirs) in pairs.items():
        yield from differing(ours, theirs, what)


def _urn(provider: str) -> str:
    urn = provider.rpartition("::")[0]
    return "" if urn.rpartition("::")[2].startswith("default_") else urn


def _comparable(value: Any) -> Any:
    """Without what is secret or random, and without the names that objects without one are given."""
    if isinstance(value, Secret) or is_wire_secret(value):
        return "[secret]"
    if isinstance(value, Mapping):
        kept = {key: _comparable(item) for key, item in value.items() if not _RANDOM.search(key)}
        annotations = value.get("annotations")
        if isinstance(annotations, Mapping) and annotations.get("pulumi.com/autonamed") == "true":
            kept.pop("name")
        return {key: item for key, item in kept.items() if item not in ({}, None)}
    if isinstance(value, list):
        items = [_comparable(item) for item in value]
        # The engine takes a list for secret as a whole when something in it is.
        return "[secret]" if "[secret]" in str(items) else items
    return value
