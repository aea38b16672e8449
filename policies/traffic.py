"""Who can talk to what: TLS for everyone, and nothing open that nobody asked for."""

import ipaddress
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
    mapping,
    resource_rule,
    stack_rule,
)
from policies.pods import WORKLOADS, Selectors, namespace_of, pods_of

_NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"

# What may face the internet: HTTPS, and HTTP that redirects there.
_WEB_PORTS = {80, 443}
# A network of this size or larger is the world, not somebody's office.
_OPEN_PREFIX = 8
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


@stack_rule(
    id="network-policy",
    severity=Severity.HIGH,
    reason="Without a NetworkPolicy every pod of the cluster can call every other, and anything on the internet",
    remedy="add a policy to the namespace that selects all pods and allows nothing, and one for each workload with"
    " the peers that it needs",
    link="https://kubernetes.io/docs/concepts/services-networking/network-policies/",
)
def network_policy(stack: Stack) -> Iterator[tuple[Resource, str]]:
    policies = stack.of_type(_NETWORK_POLICY)
    closed = {namespace_of(policy) for policy in policies if _denies_all(policy)}
    own = Selectors((policy for policy in policies if not _denies_all(policy)), "spec", "podSelector")
    for policy in policies:
        for rule in items(at(policy.inputs, "spec", "ingress")):
            if not rule.get("from"):
                yield policy, "lets everybody in: a rule of its ingress names no peer in `from`"
    for workload in stack.of_type(*WORKLOADS):
        pods = pods_of(workload)
        if pods.namespace is UNKNOWN:
            continue
        if pods.namespace not in closed:
            yield workload, f"namespace {pods.namespace} has no policy that denies by default"
        elif not any(own.of(pods)):
            yield workload, "no policy says what its pods may talk to"


def _denies_all(policy: Resource) -> bool:
    spec = at(policy.inputs, "spec")
    return (
        not at(spec, "podSelector")
        and all(contains(at(spec, "policyTypes"), type_) for type_ in ("Ingress", "Egress"))
        and not at(spec, "ingress")
        and not at(spec, "egress")
    )


@resource_rule(
    (_INGRESS,),
    id="ingress-tls",
    severity=Severity.CRITICAL,
    reason="API keys and conversations would cross the internet in plain text",
    remedy="list every host under spec.tls, with a certificate by cert-manager, or by ACM for an ALB",
    link="https://kubernetes.io/docs/concepts/services-networking/ingress/#tls",
)
def ingress_tls(ingress: Resource) -> Iterator[str]:
    tls = at(ingress.inputs, "spec", "tls")
    covered = {host for entry in items(tls) for host in items(entry.get("hosts"))}
    for rule in items(at(ingress.inputs, "spec", "rules")):
        host = rule.get("host")
        if host is None:
            yield "a rule names no host, and so takes requests for any"
        elif tls is not UNKNOWN and host is not UNKNOWN and host not in covered:
            yield f"host {host} is served without TLS"
    annotations = at(ingress.inputs, "metadata", "annotations")
    if at(ingress.inputs, "spec", "ingressClassName") == "alb":
        for annotation in ("certificate-arn", "ssl-redirect"):
            if not at(annotations, f"alb.ingress.kubernetes.io/{annotation}"):
                yield f"the load balancer has no {annotation}"
    elif annotations is not UNKNOWN and not any(
        k.startswith("cert-manager.io/") for k in mapping(annotations)
    ):
        for entry in items(tls):
            if not entry.get("secretName"):
                yield "names neither an issuer nor a certificate"


@resource_rule(
    (_INGRESS,),
    id="trusted-certificate",
    severity=Severity.MEDIUM,
    production_only=True,
    reason="Nobody trusts the staging authority of Let's Encrypt: every client fails, or is told to check nothing",
    remedy="set ingress.issuer to letsencrypt-prod",
    link="https://letsencrypt.org/docs/staging-environment/",
)
def trusted_certificate(ingress: Resource) -> Iterator[str]:
    for key, issuer in mapping(at(ingress.inputs, "metadata", "annotations")).items():
        if key.startswith("cert-manager.io/") and isinstance(issuer, str) and "staging" in issuer:
            yield f"its certificate is signed by {issuer}"


@resource_rule(
    (
        "aws:rds/instance:Instance",
        "aws:rds/clusterInstance:ClusterInstance",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    ),
    id="no-public-access",
    severity=Severity.CRITICAL,
    reason="Whatever has a public address is being tried within minutes; databases, caches and nodes need none",
    remedy="keep publiclyAccessible and public addresses off, and let security groups in instead of 0.0.0.0/0",
    link="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html",
)
def no_public_access(resource: Resource) -> Iterator[str]:
    inputs = resource.inputs
    if inputs.get("publiclyAccessible") is True:
        yield "has a public address (publiclyAccessible)"
    if inputs.get("mapPublicIpOnLaunch") is True:
        yield "gives whatever starts in it a public address (mapPublicIpOnLaunch)"
    if any(
        n.get("associatePublicIpAddress") in (True, "true") for n in items(inputs.get("networkInterfaces"))
    ):
        yield "gives instances public addresses (associatePublicIpAddress)"
    if resource.type == "aws:ec2/securityGroupRule:SecurityGroupRule" and inputs.get("type") != "ingress":
        return
    rules = items(inputs.get("ingress")) or [inputs]
    for rule in rules:
        for cidr in _open_cidrs(rule):
            if not _is_web(rule):
                yield f"lets {cidr} in on {_ports(rule)}"


def _open_cidrs(rule: Mapping[str, Any]) -> Iterator[str]:
    single = [rule.get("cidrIpv4"), rule.get("cidrIpv6")]
    for cidr in [*single, *items(rule.get("cidrBlocks")), *items(rule.get("ipv6CidrBlocks"))]:
        if isinstance(cidr, str) and _is_open(cidr, _OPEN_PREFIX):
            yield cidr


def _is_open(cidr: str, prefix: int) -> bool:
    network = ipaddress.ip_network(cidr, strict=False)
    if isinstance(network, ipaddress.IPv4Network) and any(network.subnet_of(p) for p in _PRIVATE):
        return False
    return network.prefixlen <= prefix


def _is_web(rule: Mapping[str, Any]) -> bool:
    return rule.get("fromPort") == rule.get("toPort") and rule.get("fromPort") in _WEB_PORTS


def _ports(rule: Mapping[str, Any]) -> str:
    first, last = rule.get("fromPort"), rule.get("toPort")
    if first is None or first == -1 or str(rule.get("ipProtocol", rule.get("protocol"))) == "-1":
        return "every port"
    return f"port {first}" if first == last else f"ports {first} to {last}"


@resource_rule(
    ("aws:eks/cluster:Cluster",),
    id="closed-cluster-endpoint",
    severity=Severity.CRITICAL,
    reason="An API server that the world reaches is one stolen token, or one bug, away from being somebody else's",
    remedy="name your own networks in cluster.endpointPublicAccessCidrs, or leave the list empty",
    link="https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html",
)
def closed_cluster_endpoint(cluster: Resource) -> Iterator[str]:
    network = cluster.inputs.get("vpcConfig")
    # EKS opens the endpoint to everybody where nothing is said.
    cidrs = at(network, "publicAccessCidrs")
    if at(network, "endpointPublicAccess") not in (False, UNKNOWN) and cidrs is not UNKNOWN:
        for cidr in items(cidrs) or ["0.0.0.0/0"]:
            if isinstance(cidr, str) and _is_open(cidr, _OPEN_PREFIX):
                yield f"its API server answers {cidr}"
    if not is_true(at(network, "endpointPrivateAccess")):
        yield "nodes reach the API server over the internet (endpointPrivateAccess is off)"


@resource_rule(
    ("aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/instance:Instance"),
    id="instance-metadata",
    severity=Severity.HIGH,
    reason="A pod that can ask the metadata service has the node's role, and every image in the registry",
    remedy="set metadataOptions: httpTokens required, httpPutResponseHopLimit 1",
    link="https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html",
)
def instance_metadata(resource: Resource) -> Iterator[str]:
    options = resource.inputs.get("metadataOptions")
    if at(options, "httpTokens") not in ("required", UNKNOWN):
        yield "answers requests without a session token (httpTokens is not required)"
    if at(options, "httpPutResponseHopLimit") not in (1, UNKNOWN):
        yield "answers pods (httpPutResponseHopLimit is not 1)"
