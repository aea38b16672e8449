"""The repository's own stacks keep every rule, and each rule notices when one of their resources stops doing so."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from policies import RULES, check
from preview.recording.plan import Plan, PlannedResource
from tests.policies.plans import plan_of, removing, setting, with_resources, without

CONTAINER = "spec.template.spec.containers.0"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DATABASE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
ADDON = "aws:eks/addon:Addon"
CLUSTER = "aws:eks/cluster:Cluster"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
OPENING = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@dataclass(frozen=True)
class Break:
    """One property of a real resource, and the rule that has to notice when it changes."""

    rule: str
    type: str
    change: Callable[[dict[str, Any]], None]
    name: str | None = None


BREAKS = [
    Break("health-checks", DEPLOYMENT, removing(f"{CONTAINER}.livenessProbe")),
    Break("health-checks", DEPLOYMENT, removing(f"{CONTAINER}.readinessProbe")),
    Break("resource-limits", DEPLOYMENT, removing(f"{CONTAINER}.resources.limits.memory")),
    Break("resource-limits", "kubernetes:batch/v1:Job", removing(f"{CONTAINER}.resources")),
    Break("image-by-digest", DEPLOYMENT, setting(f"{CONTAINER}.image", "registry/agent:latest")),
    Break(
        "image-by-digest",
        "kubernetes:batch/v1:CronJob",
        setting("spec.jobTemplate.spec.template.spec.containers.0.image", "registry/agent:v1"),
    ),
    Break("non-root", DEPLOYMENT, removing("spec.template.spec.securityContext.runAsNonRoot")),
    Break("read-only-root", DEPLOYMENT, removing(f"{CONTAINER}.securityContext.readOnlyRootFilesystem")),
    Break("no-privilege", DEPLOYMENT, setting(f"{CONTAINER}.securityContext.privileged", True)),
    Break("no-privilege", DEPLOYMENT, removing(f"{CONTAINER}.securityContext.capabilities")),
    Break("no-privilege", DEPLOYMENT, removing("spec.template.spec.securityContext.seccompProfile")),
    Break("restricted-namespace", "kubernetes:core/v1:Namespace", removing("metadata.labels")),
    Break(
        "no-hard-coded-secrets",
        CONFIG_MAP,
        setting("data.ANALYTICS", "sk-proj-9fJ2kLmQ7xWvTz41bNcY8RdE"),
    ),
    Break(
        "no-hard-coded-secrets",
        DEPLOYMENT,
        setting(f"{CONTAINER}.env", [{"name": "OPENAI_API_KEY", "value": "later"}]),
    ),
    Break(
        "no-hard-coded-secrets",
        "kubernetes:helm.sh/v3:Release",
        setting("values.extra", "uV3xQ9wL7pRt2KzB8nYc5DfH"),
    ),
    Break("more-than-one-replica", HPA, setting("spec.minReplicas", 1)),
    Break(
        "more-than-one-replica",
        "kubernetes:helm.sh/v3:Release",
        setting("values.deployment.replicas", 1),
        name="traefik-release",
    ),
    Break("multi-az", DATABASE, setting("multiAz", False)),
    Break("multi-az", CACHE, setting("automaticFailoverEnabled", False)),
    Break("stable-selectors", DEPLOYMENT, setting("spec.selector.matchLabels.version", "1")),
    Break("stable-selectors", "kubernetes:core/v1:Service", setting("spec.selector", {"app.kubernetes.io/name": "x"})),
    Break("network-policy", NETWORK_POLICY, setting("spec.policyTypes", ["Ingress"]), name="namespace-default-deny"),
    Break("network-policy", NETWORK_POLICY, setting("spec.ingress.0.from", []), name="support-network-server"),
    Break(
        "network-policy",
        NETWORK_POLICY,
        setting("spec.podSelector", {"matchLabels": {"a": "b"}}),
        "support-network-server",
    ),
    Break("ingress-tls", INGRESS, removing("spec.tls")),
    Break(
        "trusted-certificate",
        INGRESS,
        setting("metadata.annotations.cert-manager~io/cluster-issuer", "letsencrypt-staging"),
    ),
    Break("no-public-access", DATABASE, setting("publiclyAccessible", True)),
    Break("no-public-access", "aws:ec2/subnet:Subnet", setting("mapPublicIpOnLaunch", True)),
    Break("no-public-access", OPENING, setting("cidrIpv4", "0.0.0.0/0"), name="database-from-clients"),
    Break("no-public-access", OPENING, setting("cidrIpv4", "0.0.0.0/0"), name="cache-from-clients"),
    Break("closed-cluster-endpoint", CLUSTER, setting("vpcConfig.publicAccessCidrs", ["0.0.0.0/0"])),
    Break("instance-metadata", TEMPLATE, setting("metadataOptions.httpTokens", "optional")),
    Break("instance-metadata", TEMPLATE, setting("metadataOptions.httpPutResponseHopLimit", 2)),
    Break(
        "iam-no-wildcards",
        "aws:iam/rolePolicy:RolePolicy",
        setting("policy", '{"Statement": {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}}'),
    ),
    Break(
        "no-open-principals",
        "aws:iam/role:Role",
        setting("assumeRolePolicy", '{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}}'),
    ),
    Break("no-sqlite", CONFIG_MAP, setting("data.CHECKPOINTER", "sqlite"), name="support-workload-config"),
    Break("encrypted-at-rest", DATABASE, setting("storageEncrypted", False)),
    Break("encrypted-at-rest", CACHE, setting("atRestEncryptionEnabled", False)),
    Break("encrypted-at-rest", CLUSTER, removing("encryptionConfig")),
    Break("encrypted-at-rest", TEMPLATE, setting("blockDeviceMappings.0.ebs.encrypted", "false")),
    Break("encrypted-at-rest", "aws:secretsmanager/secret:Secret", removing("kmsKeyId")),
    Break("encrypted-at-rest", "aws:cloudwatch/logGroup:LogGroup", removing("kmsKeyId")),
    Break("encrypted-at-rest", "aws:ecr/repository:Repository", removing("encryptionConfigurations")),
    Break("encrypted-in-transit", "aws:rds/parameterGroup:ParameterGroup", setting("parameters.0.value", "0")),
    Break("encrypted-in-transit", CACHE, setting("transitEncryptionEnabled", False)),
    Break("encrypted-in-transit", CACHE, removing("userGroupIds")),
    Break("key-rotation", "aws:kms/key:Key", setting("enableKeyRotation", False)),
    Break("deletion-protection", DATABASE, setting("deletionProtection", False)),
    Break("deletion-protection", DATABASE, setting("skipFinalSnapshot", True)),
    Break("deletion-protection", CLUSTER, setting("deletionProtection", False)),
    Break("deletion-protection", "aws:kms/key:Key", setting("deletionWindowInDays", 7)),
    Break("backups", DATABASE, setting("backupRetentionPeriod", 1)),
    Break("backups", CACHE, setting("snapshotRetentionLimit", 0)),
    Break("pods-fit-nodes", "aws:eks/nodeGroup:NodeGroup", setting("scalingConfig.maxSize", 3)),
    Break("supported-versions", CLUSTER, setting("version", "1.33")),
    Break("supported-versions", DATABASE, setting("engineVersion", "17.4")),
    Break("addon-versions", ADDON, setting("addonVersion", "v1.13.0-eksbuild.1"), name="cluster-vpc-cni"),
    Break("monitoring", DEPLOYMENT, removing("spec.template.metadata.annotations.prometheus~io/scrape")),
    Break("monitoring", DATABASE, setting("performanceInsightsEnabled", False)),
    Break("audit-logs", CLUSTER, setting("enabledClusterLogTypes", [])),
    Break("audit-logs", "aws:cloudwatch/logGroup:LogGroup", removing("retentionInDays")),
    Break("flow-logs", "aws:ec2/flowLog:FlowLog", setting("trafficType", "ACCEPT")),
    Break("tags", "pulumi:providers:aws", setting("defaultTags", '{"tags": {"project": "langgraph-agents"}}')),
    Break("tags", TEMPLATE, removing("tagSpecifications")),
    Break("image-repository", "aws:ecr/repository:Repository", setting("imageTagMutability", "MUTABLE")),
]  # fmt: skip

# What a rule says of an option of the resource, or of a resource that is missing, no property breaks.
WITHOUT_A_PROPERTY = {"protect"}


def rules_of(plan: Plan) -> set[str]:
    return {finding.rule for finding in check(plan)}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_stacks_of_this_repository_keep_every_rule(stack: str) -> None:
    assert check(plan_of(stack)) == []


def test_every_rule_is_broken_on_a_real_resource() -> None:
    assert {case.rule for case in BREAKS} | WITHOUT_A_PROPERTY == {rule.id for rule in RULES}


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case.rule}-{case.type.rsplit(':')[-1]}")
def test_a_rule_notices_when_the_property_of_a_real_resource_is_broken(case: Break) -> None:
    plan = plan_of("prod")
    resource = next(r for r in plan.of_type(case.type) if case.name in (None, r.name))
    inputs = mutable(resource.inputs)
    case.change(inputs)

    findings = check(with_resources(plan, [replace(resource, inputs=inputs)]))

    assert case.rule in {finding.rule for finding in findings}
    assert {finding.resource for finding in findings if finding.rule == case.rule} & related(plan, resource)


@pytest.mark.parametrize(
    "type_", [DATABASE, CACHE, CLUSTER, "aws:ec2/vpc:Vpc", "aws:kms/key:Key", "aws:ecr/repository:Repository"]
)
def test_a_stateful_resource_without_protection_is_noticed(type_: str) -> None:
    plan = plan_of("prod")
    bare = [replace(resource, protect=False) for resource in plan.of_type(type_)]

    findings = check(with_resources(plan, bare))

    assert {(f.rule, f.resource) for f in findings} == {("protect", resource.name) for resource in bare}


@pytest.mark.parametrize(
    ("type_", "rule"),
    [
        (NETWORK_POLICY, "network-policy"),
        (HPA, "more-than-one-replica"),
        ("aws:ec2/flowLog:FlowLog", "flow-logs"),
        ("aws:rds/parameterGroup:ParameterGroup", "encrypted-in-transit"),
    ],
)
def test_a_rule_notices_that_a_resource_is_missing(type_: str, rule: str) -> None:
    assert rule in rules_of(without(plan_of("prod"), type_))


def test_the_development_stack_would_not_pass_as_production() -> None:
    """Otherwise the rules for production would ask for nothing."""
    found = rules_of(replace(plan_of("dev"), production=True))

    assert {
        "more-than-one-replica",
        "multi-az",
        "protect",
        "deletion-protection",
        "trusted-certificate",
    } <= found


def mutable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: mutable(item) for key, item in value.items()}
    return [mutable(item) for item in value] if isinstance(value, list) else value


def related(plan: Plan, resource: PlannedResource) -> set[str]:
    """The resources that a rule may name for a property of this one: itself, or one that is judged by it."""
    judged_by = {
        HPA: DEPLOYMENT,
        "aws:rds/parameterGroup:ParameterGroup": DATABASE,
        "aws:ec2/flowLog:FlowLog": "aws:ec2/vpc:Vpc",
        NETWORK_POLICY: DEPLOYMENT,
    }
    others = {other.name for other in plan.of_type(judged_by.get(resource.type, ""))}
    return {resource.name} | others
