"""One property of a child resource can be set otherwise without a fork: by Pulumi's transformations."""

import json
import runpy
from collections.abc import Callable
from typing import Any

import pulumi

from preview.recording.recorder import Recording, record
from tests.conftest import ROOT, recorded
from tests.stacks.stack_files import settings_of

SUBNET = "aws:ec2/subnet:Subnet"
PROPERTY = "privateDnsHostnameTypeOnLaunch"


def of(program: Callable[[], None], config: dict[str, str] | None = None) -> Recording:
    return record(program, project="langgraph-agents", stack="dev", config=config or {}, secret_keys=[])


def inputs(recording: Recording) -> dict[str, Any]:
    return {urn: dict(resource.inputs) for urn, resource in recording.resources.items()}


def test_the_example_changes_the_one_property_of_its_subnets() -> None:
    def program() -> None:
        runpy.run_path(str(ROOT / "examples" / "customized" / "__main__.py"), run_name="__main__")

    made = of(program)
    subnets = made.of_type(SUBNET)
    assert len(subnets) == 6
    assert {subnet.inputs[PROPERTY] for subnet in subnets} == {"resource-name"}
    assert all(subnet.inputs["mapPublicIpOnLaunch"] is False for subnet in subnets)
    assert [
        urn for urn, given in inputs(made).items() if PROPERTY in given and f"{SUBNET}::" not in urn
    ] == []


def test_a_transformation_of_the_whole_stack_changes_what_it_is_for_and_nothing_else() -> None:
    def at_night(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.type_ != "aws:rds/instance:Instance":
            return None
        return pulumi.ResourceTransformationResult({**args.props, "backup_window": "23:00-23:30"}, args.opts)

    def program() -> None:
        pulumi.runtime.register_stack_transformation(at_night)
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    config = {"aws:region": "eu-central-1", "langgraph-agents:settings": json.dumps(settings_of("dev"))}
    before, after = inputs(recorded("dev")), inputs(of(program, config))
    assert before.keys() == after.keys()
    differing = [urn for urn in before if before[urn] != after[urn]]
    assert [urn.rpartition("::")[2] for urn in differing] == ["database-instance"]
    (urn,) = differing
    assert after[urn] == {**before[urn], "backupWindow": "23:00-23:30"}
