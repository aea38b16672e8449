"""What people need who run it: figures, a record of who did what, and whose it is."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import (
    UNKNOWN,
    Resource,
    Severity,
    Stack,
    at,
    contains,
    is_true,
    items,
    resource_rule,
    stack_rule,
)
from policies.pods import DEPLOYMENT, STATEFUL_SET, Selectors, pods_of

_MONITORS = (
    "kubernetes:monitoring.coreos.com/v1:PodMonitor",
    "kubernetes:monitoring.coreos.com/v1:ServiceMonitor",
)
_PROVIDER = "pulumi:providers:aws"

_CONTROL_PLANE_LOGS = ("api", "audit", "authenticator")
#: Tags by which a resource and its cost are found.
REQUIRED_TAGS = ("project", "stack", "environment")


@stack_rule(
    id="monitoring",
    severity=Severity.HIGH,
    production_only=True,
    reason="Without figures the callers are the first to know",
    remedy="annotate the pods with prometheus.io/scrape and prometheus.io/port, or give them a PodMonitor; set"
    " database.performanceInsights",
    link="https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config",
)
def monitoring(stack: Stack) -> Iterator[tuple[Resource, str]]:
    monitors = Selectors(stack.of_type(*_MONITORS), "spec", "selector")
    for workload in stack.of_type(DEPLOYMENT, STATEFUL_SET):
        pods = pods_of(workload)
        scraped = is_true(pods.annotations.get("prometheus.io/scrape")) and pods.annotations.get(
            "prometheus.io/port"
        )
        if pods.spec and not scraped and not any(monitors.of(pods)):
            yield workload, "nobody collects its metrics"
    for database in stack.of_type("aws:rds/instance:Instance"):
        insights = is_true(database.inputs.get("performanceInsightsEnabled"))
        if not insights and database.inputs.get("databaseInsightsMode") is None:
            yield database, "does not tell what it spends its time on (performanceInsightsEnabled)"


@stack_rule(
    id="audit-logs",
    severity=Severity.MEDIUM,
    reason="What happened, and who did it, can only be found out from logs that were kept",
    remedy="enable api, audit and authenticator logs of the cluster, and export the database's",
    link="https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html",
)
def audit_logs(stack: Stack) -> Iterator[tuple[Resource, str]]:
    for cluster in stack.of_type("aws:eks/cluster:Cluster"):
        kept = cluster.inputs.get("enabledClusterLogTypes")
        missing = [log for log in _CONTROL_PLANE_LOGS if not contains(kept, log)]
        if missing:
            yield cluster, f"keeps no {', '.join(missing)} log (enabledClusterLogTypes)"
    for database in stack.of_type("aws:rds/instance:Instance"):
        if not contains(database.inputs.get("enabledCloudwatchLogsExports"), "postgresql"):
            yield database, "keeps its log to itself (enabledCloudwatchLogsExports)"
    for group in stack.of_type("aws:cloudwatch/logGroup:LogGroup"):
        if not group.inputs.get("retentionInDays"):
            yield group, "keeps logs for ever, and is paid for ever (retentionInDays)"


@stack_rule(
    id="flow-logs",
    severity=Severity.MEDIUM,
    production_only=True,
    reason="Nobody can say afterwards where a pod that was taken over connected to",
    remedy="set network.flowLogs",
    link="https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html",
)
def flow_logs(stack: Stack) -> Iterator[tuple[Resource, str]]:
    logs = stack.of_type("aws:ec2/flowLog:FlowLog")
    # All VPCs of a stack are made alike: which log belongs to which cannot be known before their ids are.
    recorded = any(log.inputs.get("trafficType") in ("ALL", "REJECT", UNKNOWN) for log in logs)
    for vpc in stack.of_type("aws:ec2/vpc:Vpc"):
        if not recorded:
            yield vpc, "keeps no record of its connections"


@stack_rule(
    id="tags",
    severity=Severity.LOW,
    reason="A resource that does not say whose it is stays after everybody has left, and nobody knows its cost",
    remedy=f"set {', '.join(REQUIRED_TAGS)}: the stack file's `tags` reach all resources by the provider's defaultTags;"
    " launch templates need tagSpecifications of their own",
    link="https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html",
)
def tags(stack: Stack) -> Iterator[tuple[Resource, str]]:
    providers = stack.of_type(_PROVIDER)
    for provider in providers:
        missing = _missing(_default_tags(provider))
        if missing:
            yield provider, f"its defaultTags lack {missing}"
    known = tuple(provider.urn for provider in providers)
    for resource in stack.resources:
        if resource.type.startswith("aws:") and not resource.provider.startswith(known):
            yield resource, "is made by a provider without defaultTags"
    for template in stack.of_type("aws:ec2/launchTemplate:LaunchTemplate"):
        specifications = template.inputs.get("tagSpecifications")
        tagged = {at(s, "resourceType"): at(s, "tags") for s in items(specifications)}
        for kind in ("instance", "volume"):
            missing = "" if specifications is UNKNOWN else _missing(tagged.get(kind))
            if missing:
                yield template, f"its tagSpecifications for {kind}s lack {missing}"


def _default_tags(provider: Resource) -> Any:
    defaults = provider.inputs.get("defaultTags")
    # Objects of a provider's configuration travel as JSON.
    if defaults is UNKNOWN:
        return UNKNOWN
    return at(json.loads(defaults) if isinstance(defaults, str) else defaults, "tags")


def _missing(tags: Any) -> str:
    if tags is UNKNOWN:
        return ""
    present = tags if isinstance(tags, Mapping) else {}
    return ", ".join(tag for tag in REQUIRED_TAGS if not present.get(tag))


@resource_rule(
    ("aws:ecr/repository:Repository",),
    id="image-repository",
    severity=Severity.MEDIUM,
    reason="A tag that moves under a running system cannot be traced, and a known hole goes unnoticed",
    remedy="set imageTagMutability to IMMUTABLE, or to IMMUTABLE_WITH_EXCLUSION with tags that are named in full, and "
    "imageScanningConfiguration.scanOnPush to true",
    link="https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html",
)
def image_repository(repository: Resource) -> Iterator[str]:
    mutability = repository.inputs.get("imageTagMutability")
    if mutability not in ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", UNKNOWN):
        yield "lets tags be moved (imageTagMutability)"
    excluded = [
        name
        for filter_ in repository.inputs.get("imageTagMutabilityExclusionFilters") or ()
        if "*" in (name := str(at(filter_, "filter")))
    ]
    if mutability == "IMMUTABLE_WITH_EXCLUSION" and excluded:
        yield f"lets tags like {', '.join(excluded)} be moved (imageTagMutabilityExclusionFilters)"
    if not is_true(at(repository.inputs, "imageScanningConfiguration", "scanOnPush")):
        yield "is not scanned for known vulnerabilities (imageScanningConfiguration)"
