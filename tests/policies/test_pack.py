"""The policy pack at its protocol: started as the engine starts it, and asked over gRPC as the engine asks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policies import RULES
from preview.recording.plan import Plan, PlannedResource, Secret
from tests.policies.plans import ROOT, broken, plan_of, setting
from tests.stacks.stack_files import settings_of

KEY, DEPLOYMENT = "aws:kms/key:Key", "kubernetes:apps/v1:Deployment"
ON_MESSAGES_OF_ANY_SIZE = [("grpc.max_send_message_length", -1)]

Pack = Any


@contextmanager
def started(settings: Mapping[str, Any]) -> Iterator[Pack]:
    environment = {
        **os.environ,
        "PULUMI_CONFIG": json.dumps({"langgraph-agents:settings": json.dumps(settings)}),
        "PULUMI_PROJECT": "langgraph-agents",
        "PULUMI_STACK": "prod",
        "PULUMI_DRY_RUN": "true",
    }
    # What Pulumi's own `pulumi-analyzer-policy-python` runs, from another folder than the project's.
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policies")],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=ON_MESSAGES_OF_ANY_SIZE) as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def pack() -> Iterator[Pack]:
    with started(settings_of("prod")) as stub:
        yield stub


@pytest.fixture(scope="module")
def development_pack() -> Iterator[Pack]:
    with started(settings_of("dev")) as stub:
        yield stub


def plain(value: Any, replacing: Callable[[Any], Any] = lambda value: value) -> Any:
    """Properties as the engine sends them; it tells the pack secrets, too."""
    if isinstance(value, Secret):
        return "a-secret"
    if isinstance(value, Mapping):
        return {key: plain(item, replacing) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, replacing) for item in value]
    return replacing(value)


def message(plan: Plan, resource: PlannedResource, kind: Any, unknown: frozenset[str] = frozenset()) -> Any:
    properties = struct_pb2.Struct()
    properties.update(
        plain(resource.inputs, lambda value: UNKNOWN_STRING_VALUE if value in unknown else value)
    )
    request = kind(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        properties=properties,
        options=proto.AnalyzerResourceOptions(protect=resource.protect, parent=resource.parent),
    )
    provider = plan.resources.get(resource.provider.rpartition("::")[0])
    if provider is not None:
        request.provider.CopyFrom(
            proto.AnalyzerProviderResource(urn=provider.urn, type=provider.type, name=provider.name)
        )
    return request


def violations(pack: Pack, plan: Plan, resources: Iterable[PlannedResource]) -> set[tuple[str, str]]:
    """Policy and resource of everything that the pack says of ``resources`` alone."""
    found = set()
    for resource in resources:
        response = pack.Analyze(message(plan, resource, proto.AnalyzeRequest))
        found |= {(d.policyName, resource.name) for d in response.diagnostics}
    return found


def stack_diagnostics(pack: Pack, plan: Plan) -> list[Any]:
    resources = [message(plan, resource, proto.AnalyzerResource) for resource in plan.resources.values()]
    return list(pack.AnalyzeStack(proto.AnalyzeStackRequest(resources=resources)).diagnostics)


def test_the_pack_brings_every_rule_and_all_are_mandatory(pack: Pack) -> None:
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())

    assert info.name == "langgraph-agents"
    assert {policy.name for policy in info.policies} == {rule.id for rule in RULES} | {"policy-exceptions"}
    assert {policy.enforcementLevel for policy in info.policies} == {analyzer_pb2.MANDATORY}
    described = {policy.name: policy for policy in info.policies}
    for rule in RULES:
        policy = described[rule.id]
        assert (policy.description, policy.remediation_steps, policy.url) == (
            rule.reason,
            rule.remedy,
            rule.link,
        )
        assert policy.severity == analyzer_pb2.PolicySeverity.Value(
            f"POLICY_SEVERITY_{rule.severity.upper()}"
        )


def test_the_stacks_pass(pack: Pack, development_pack: Pack) -> None:
    for stub, stack in ((pack, "prod"), (development_pack, "dev")):
        plan = plan_of(stack)
        assert violations(stub, plan, plan.resources.values()) == set()
        assert stack_diagnostics(stub, plan) == []


def test_a_broken_resource_is_refused_with_the_remedy(pack: Pack) -> None:
    plan = broken(
        plan_of("prod"), DEPLOYMENT, setting("spec.template.spec.containers.0.image", "agent:latest")
    )
    [resource] = [r for r in plan.of_type(DEPLOYMENT) if r is not plan_of("prod").resources[r.urn]]

    [diagnostic] = pack.Analyze(message(plan, resource, proto.AnalyzeRequest)).diagnostics

    assert diagnostic.policyName == "image-by-digest"
    assert diagnostic.urn == resource.urn
    assert "agent:latest, which names no digest: name the image by digest" in diagnostic.message


def test_a_broken_stack_is_refused(pack: Pack) -> None:
    plan = broken(
        plan_of("prod"), "aws:rds/parameterGroup:ParameterGroup", setting("parameters.0.value", "0")
    )

    [diagnostic] = stack_diagnostics(pack, plan)

    assert diagnostic.policyName == "encrypted-in-transit"
    assert diagnostic.urn == plan.named("database-instance").urn


def test_rules_for_production_are_silent_in_development(pack: Pack, development_pack: Pack) -> None:
    plan = plan_of("dev")
    keys = plan.of_type(KEY)

    assert {rule for rule, _ in violations(pack, plan, keys)} == {"protect", "deletion-protection"}
    assert violations(development_pack, plan, keys) == set()


def test_a_boolean_in_quotes_is_refused_and_never_taken_for_true() -> None:
    plan = plan_of("dev")
    with started({**settings_of("dev"), "production": "no"}) as stub, pytest.raises(grpc.RpcError) as caught:
        violations(stub, plan, plan.of_type(KEY))
    assert "write true or false, without quotes" in str(caught.value)


def test_an_unprotected_resource_is_noticed_by_its_option(pack: Pack) -> None:
    plan = plan_of("dev")
    [database] = plan.of_type("aws:rds/instance:Instance")

    assert ("protect", database.name) in violations(pack, plan, [database])


def test_what_the_engine_does_not_know_yet_breaks_no_rule(pack: Pack) -> None:
    """Every id, ARN, endpoint and document of the plan unknown, as on a first `pulumi preview`."""
    plan = plan_of("prod")
    unknown = frozenset(
        value
        for resource in plan.resources.values()
        for key, value in resource.outputs.items()
        if isinstance(value, str) and key not in resource.inputs and len(value) > 8
    ) | {resource.id for resource in plan.resources.values() if resource.id and resource.package == "aws"}

    for resource in plan.resources.values():
        response = pack.Analyze(message(plan, resource, proto.AnalyzeRequest, unknown))
        assert [d.message for d in response.diagnostics] == []
    resources = [message(plan, r, proto.AnalyzerResource, unknown) for r in plan.resources.values()]
    response = pack.AnalyzeStack(proto.AnalyzeStackRequest(resources=resources))
    assert [d.message for d in response.diagnostics] == []


def test_exceptions_of_the_stack_file_count_and_end() -> None:
    plan = broken(plan_of("prod"), "aws:rds/instance:Instance", setting("backupRetentionPeriod", 1))
    [database] = plan.of_type("aws:rds/instance:Instance")
    good = exception("backups", "database-instance", "2999-01-01")
    ended = exception("multi-az", "cache-group", "2020-01-01")

    with started({**settings_of("prod"), "policyExceptions": [good, ended]}) as stub:
        assert violations(stub, plan, [database]) == set()
        [diagnostic] = stack_diagnostics(stub, plan)

    assert diagnostic.policyName == "policy-exceptions"
    assert "multi-az ended on 2020-01-01" in diagnostic.message


def test_an_exception_that_excuses_nothing_there_is_fails() -> None:
    with started(
        {**settings_of("prod"), "policyExceptions": [exception("backup", "x", "2999-01-01")]}
    ) as stub:
        [diagnostic] = stack_diagnostics(stub, plan_of("prod"))

    assert "backup is no rule" in diagnostic.message
    assert "the stack has no x" in diagnostic.message


def exception(rule: str, resource: str, expires: str) -> dict[str, str]:
    return {"rule": rule, "resource": resource, "reason": "for this test", "expires": expires}
