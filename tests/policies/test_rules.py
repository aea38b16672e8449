"""Every rule on resources made by hand: one that keeps it, and those that break it in each way."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from policies import RULES, check
from policies.model import UNKNOWN
from tests.policies.plans import Made, MadePlan

DIGEST = f"registry/agent@sha256:{'0' * 64}"
LABELS = {"app.kubernetes.io/name": "support", "app.kubernetes.io/component": "server"}

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
RELEASE = "kubernetes:helm.sh/v3:Release"
DATABASE = "aws:rds/instance:Instance"
PROXY = "aws:rds/proxy:Proxy"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
ADDON = "aws:eks/addon:Addon"
CLUSTER = "aws:eks/cluster:Cluster"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
SECRET = "aws:secretsmanager/secret:Secret"
KEY = "aws:kms/key:Key"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
REPOSITORY = "aws:ecr/repository:Repository"
PROVIDER = "pulumi:providers:aws"


def container(**changes: Any) -> dict[str, Any]:
    """A container that no rule objects to."""
    good = {
        "name": "agent",
        "image": DIGEST,
        "livenessProbe": {"httpGet": {"path": "/health"}},
        "readinessProbe": {"httpGet": {"path": "/ready"}},
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"cpu": "1", "memory": "2Gi"},
        },
        "securityContext": {
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {**good, **changes}


def context(**changes: Any) -> dict[str, Any]:
    return {"securityContext": {**container()["securityContext"], **changes}}


def deployment(*containers: Mapping[str, Any], spec: Mapping[str, Any] | None = None, **changes: Any) -> Made:
    """A Deployment of these containers, with two replicas, unless ``changes`` say otherwise."""
    pod = {"containers": list(containers) or [container()], **(spec or {})}
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "9464"}
    good = {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS, "annotations": annotations}, "spec": pod},
    }
    return Made(
        DEPLOYMENT, {"metadata": {"name": "support", "namespace": "agents"}, "spec": {**good, **changes}}
    )


def node_group(nodes: Any, *types: str) -> Made:
    """A node group of at most ``nodes`` nodes in one zone."""
    return Made(
        NODE_GROUP,
        {
            "instanceTypes": list(types) or ["m7i.large", "r7i.large"],
            "scalingConfig": {"minSize": 1, "maxSize": nodes, "desiredSize": 1},
            "subnetIds": ["subnet-1"],
        },
        name="general",
    )


def node_pool(cpus: str) -> Made:
    """Karpenter's, with a limit."""
    return Made(
        "kubernetes:karpenter.sh/v1:NodePool",
        {"metadata": {"name": "on-demand"}, "spec": {"limits": {"cpu": cpus}}},
        name="karpenter-on-demand",
    )


def autoscaler(most: int) -> Made:
    target = {"kind": "Deployment", "name": "support"}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": most}
    return Made(
        HPA, {"metadata": {"name": "support", "namespace": "agents"}, "spec": spec}, name="support-hpa"
    )


def network_policy(name: str, **spec: Any) -> Made:
    return Made(NETWORK_POLICY, {"metadata": {"name": name, "namespace": "agents"}, "spec": spec}, name=name)


def policy(*statements: Mapping[str, Any], type_: str = ROLE_POLICY, field_: str = "policy") -> Made:
    return Made(type_, {field_: json.dumps({"Version": "2012-10-17", "Statement": list(statements)})})


def ingress(tls: Sequence[str] = ("a.example.com",), issuer: str = "letsencrypt-prod", **spec: Any) -> Made:
    good = {
        "ingressClassName": "traefik",
        "rules": [{"host": "a.example.com"}],
        "tls": [{"hosts": list(tls), "secretName": "a-tls"}],
    }
    annotations = {"cert-manager.io/cluster-issuer": issuer}
    return Made(INGRESS, {"metadata": {"annotations": annotations}, "spec": {**good, **spec}})


def alb(**annotations: str) -> Made:
    return Made(
        INGRESS,
        {
            "metadata": {
                "annotations": {f"alb.ingress.kubernetes.io/{k}": v for k, v in annotations.items()}
            },
            "spec": {
                "ingressClassName": "alb",
                "rules": [{"host": "a.example.com"}],
                "tls": [{"hosts": ["a.example.com"]}],
            },
        },
    )


def database(**changes: Any) -> Made:
    good = {
        "storageEncrypted": True,
        "kmsKeyId": "arn:aws:kms:eu-central-1:1:key/1",
        "parameterGroupName": "tls",
        "deletionProtection": True,
        "skipFinalSnapshot": False,
        "finalSnapshotIdentifier": "final",
        "backupRetentionPeriod": 7,
        "deleteAutomatedBackups": False,
        "multiAz": True,
        "performanceInsightsEnabled": True,
        "enabledCloudwatchLogsExports": ["postgresql"],
    }
    return Made(DATABASE, {**good, **changes}, protect=True)


def cache(**changes: Any) -> Made:
    good = {
        "atRestEncryptionEnabled": True,
        "kmsKeyId": "arn:aws:kms:eu-central-1:1:key/1",
        "transitEncryptionEnabled": True,
        "transitEncryptionMode": "required",
        "userGroupIds": ["users"],
        "multiAzEnabled": True,
        "automaticFailoverEnabled": True,
        "snapshotRetentionLimit": 1,
    }
    return Made(CACHE, {**good, **changes}, protect=True)


def cluster(**changes: Any) -> Made:
    good = {
        "vpcConfig": {
            "endpointPrivateAccess": True,
            "endpointPublicAccess": True,
            "publicAccessCidrs": ["203.0.113.0/24"],
            "subnetIds": ["a", "b"],
        },
        "encryptionConfig": {"resources": ["secrets"]},
        "enabledClusterLogTypes": ["api", "audit", "authenticator"],
        "deletionProtection": True,
    }
    return Made(CLUSTER, {**good, **changes}, protect=True)


def endpoint(**changes: Any) -> Made:
    return cluster(vpcConfig={**cluster().inputs["vpcConfig"], **changes})


def template(**changes: Any) -> Made:
    tags = {"project": "p", "stack": "s", "environment": "e"}
    good = {
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        "blockDeviceMappings": [{"ebs": {"encrypted": "true"}}],
        "tagSpecifications": [{"resourceType": kind, "tags": tags} for kind in ("instance", "volume")],
    }
    return Made(TEMPLATE, {**good, **changes}, provider=f"urn:pulumi:test::project::{PROVIDER}::it::id")


def provider(tags: Mapping[str, str]) -> Made:
    return Made(PROVIDER, {"defaultTags": json.dumps({"tags": tags})})


def parameters(**values: str) -> Made:
    listed = [{"name": name.replace("__", "."), "value": value} for name, value in values.items()]
    return Made("aws:rds/parameterGroup:ParameterGroup", {"name": "tls", "parameters": listed})


def opening(**rule: Any) -> Made:
    return Made("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"ipProtocol": "tcp", **rule})


FORCED = parameters(rds__force_ssl="1")
DENY_ALL = network_policy("deny", podSelector={}, policyTypes=["Ingress", "Egress"])
ALLOWED = network_policy(
    "server", podSelector={"matchLabels": LABELS}, ingress=[{"from": [{"podSelector": {}}]}]
)
HPA_OF_TWO = Made(
    HPA,
    {
        "metadata": {"namespace": "agents"},
        "spec": {"scaleTargetRef": {"name": "support"}, "minReplicas": 2},
    },
)


@dataclass(frozen=True)
class Case:
    """A rule, resources that keep it, and resources that break it with what the finding says."""

    rule: str
    good: Sequence[Sequence[Made]]
    bad: Sequence[tuple[Sequence[Made], str]] = field(default_factory=list)


CASES = [
    Case(
        "health-checks",
        [[deployment()], [deployment(spec={"initContainers": [{"name": "init"}]})]],
        [
            (
                [deployment(spec={"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]})],
                "proxy has no livenessProbe",
            ),
            ([deployment(container(livenessProbe=None))], "agent has no livenessProbe"),
            ([deployment(container(), container(readinessProbe={}))], "agent has no readinessProbe"),
        ],
    ),
    Case(
        "resource-limits",
        [[deployment()]],
        [
            (
                [deployment(container(resources={}))],
                "no requests.cpu, requests.memory, limits.cpu, limits.memory",
            ),
            ([deployment(spec={"initContainers": [{"name": "init"}]})], "container init has no requests.cpu"),
        ],
    ),
    Case(
        "image-by-digest",
        [[deployment()], [deployment(container(image=UNKNOWN))]],
        [([deployment(container(image="registry/agent:v1"))], "registry/agent:v1, which names no digest")],
    ),
    Case(
        "non-root",
        [[deployment()], [deployment(container(securityContext={}), spec=context())]],
        [
            ([deployment(container(securityContext={}))], "may run as root"),
            ([deployment(container(**context(runAsUser=0)))], "runs as user 0"),
            ([deployment(container(**context(runAsNonRoot=False)), spec=context())], "may run as root"),
        ],
    ),
    Case(
        "read-only-root",
        [[deployment()]],
        [([deployment(container(**context(readOnlyRootFilesystem=False)))], "can be written")],
    ),
    Case(
        "no-privilege",
        [[deployment()]],
        [
            ([deployment(container(**context(privileged=True)))], "is privileged"),
            ([deployment(container(**context(allowPrivilegeEscalation=None)))], "may gain privileges"),
            ([deployment(container(**context(capabilities={})))], "keeps capabilities"),
            (
                [deployment(container(**context(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})))],
                "adds the capabilities NET_ADMIN",
            ),
            ([deployment(container(**context(seccompProfile={"type": "Unconfined"})))], "no seccomp profile"),
            ([deployment(spec={"hostNetwork": True})], "node's own namespace (hostNetwork)"),
            (
                [deployment(spec={"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})],
                "volume v is a path",
            ),
        ],
    ),
    Case(
        "restricted-namespace",
        [
            [
                Made(
                    "kubernetes:core/v1:Namespace",
                    {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
                )
            ]
        ],
        [([Made("kubernetes:core/v1:Namespace", {"metadata": {"name": "agents"}})], "enforce is not set")],
    ),
    Case(
        "no-hard-coded-secrets",
        [[Made(CONFIG_MAP, {"data": {"MODEL": "openai:gpt-5-mini", "SECRETS_DIR": "/var/run/secrets"}})]],
        [
            ([Made(CONFIG_MAP, {"data": {"API_KEY": "x"}})], "data.API_KEY is set in plain text"),
            ([Made(CONFIG_MAP, {"data": {"URL": "postgresql://u:p4ss@db/x"}})], "a password in a URI"),
            (
                [deployment(container(env=[{"name": "TOKEN", "value": "x"}]))],
                "variable TOKEN of container agent",
            ),
        ],
    ),
    Case(
        "more-than-one-replica",
        [[deployment()], [deployment(replicas=None), HPA_OF_TWO], [Made(RELEASE, {"values": {}})]],
        [
            ([deployment(replicas=None)], "runs 1 pod"),
            ([deployment(replicas=1)], "runs 1 pod"),
            ([Made(RELEASE, {"values": {"deployment": {"replicas": 1}}})], "deployment.replicas is 1"),
        ],
    ),
    Case(
        "multi-az",
        [[database(), cache()]],
        [
            ([database(multiAz=False)], "no standby in another zone"),
            ([cache(automaticFailoverEnabled=False)], "automaticFailoverEnabled is off"),
            ([cluster(), Made("aws:ec2/natGateway:NatGateway", {})], "serves 2 zones with 1 NAT gateway"),
        ],
    ),
    Case(
        "stable-selectors",
        [[deployment()]],
        [
            (
                [deployment(selector={"matchLabels": {**LABELS, "version": "1"}})],
                "selects by version",
            ),
            (
                [deployment(selector={"matchLabels": {"app.kubernetes.io/name": "other"}})],
                "selects none of its own pods",
            ),
            (
                [
                    deployment(),
                    Made(
                        "kubernetes:core/v1:Service",
                        {
                            "metadata": {"namespace": "agents"},
                            "spec": {"selector": {"app.kubernetes.io/name": "x"}},
                        },
                    ),
                ],
                "selects no pod of the stack by app.kubernetes.io/name=x",
            ),
        ],
    ),
    Case(
        "pods-fit-nodes",
        [
            [node_group(1), deployment(replicas=1)],
            [node_group(1), node_pool("10"), deployment(replicas=15)],
            # Its size is not known, or nodes are made to fit.
            [node_group(1, "i4i.large"), deployment(replicas=99)],
            [deployment(replicas=99)],
            [node_group(UNKNOWN), deployment(replicas=99)],
        ],
        [
            (
                [node_group(1), deployment(replicas=3)],
                "have no room for 1 pods when all are at their most and being replaced: 1 of 1 of support"
                " (new revision) (500m CPU and 1024Mi each). They request 2000m CPU and 4096Mi together; there are at"
                " most 1 x m7i.large (1930m CPU, 6012Mi, 110 pods)",
            ),
            (
                [node_group(1), autoscaler(9), deployment(replicas=1)],
                "6 of 9 of support",
            ),
            (
                [node_group(1), node_pool("7"), deployment(replicas=15)],
                "is limited to 7 vCPUs, and pods request 9.5 when all are at their most and being replaced",
            ),
        ],
    ),
    Case(
        "network-policy",
        [[deployment(), DENY_ALL, ALLOWED]],
        [
            ([deployment(), ALLOWED], "namespace agents has no policy that denies by default"),
            ([deployment(), DENY_ALL], "no policy says what its pods may talk to"),
            ([network_policy("open", ingress=[{"ports": [{"port": 8000}]}])], "lets everybody in"),
        ],
    ),
    Case(
        "ingress-tls",
        [[ingress()], [alb(**{"certificate-arn": "arn", "ssl-redirect": "443"})]],
        [
            ([ingress(tls=())], "a.example.com is served without TLS"),
            ([ingress(rules=[{}])], "names no host"),
            ([alb(**{"certificate-arn": "arn"})], "no ssl-redirect"),
            ([alb(**{"ssl-redirect": "443"})], "no certificate-arn"),
        ],
    ),
    Case(
        "trusted-certificate",
        [[ingress()]],
        [([ingress(issuer="letsencrypt-staging")], "signed by letsencrypt-staging")],
    ),
    Case(
        "no-public-access",
        [
            [database(publiclyAccessible=False)],
            [opening(cidrIpv4="10.0.0.0/8", fromPort=5432, toPort=5432)],
            [opening(cidrIpv4="0.0.0.0/0", fromPort=443, toPort=443)],
        ],
        [
            ([database(publiclyAccessible=True)], "publiclyAccessible"),
            ([Made("aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": True})], "mapPublicIpOnLaunch"),
            (
                [template(networkInterfaces=[{"associatePublicIpAddress": "true"}])],
                "associatePublicIpAddress",
            ),
            ([opening(cidrIpv4="0.0.0.0/0", fromPort=5432, toPort=5432)], "0.0.0.0/0 in on port 5432"),
            ([opening(cidrIpv6="::/0", ipProtocol="-1")], "lets ::/0 in on every port"),
            (
                [
                    Made(
                        "aws:ec2/securityGroup:SecurityGroup",
                        {"ingress": [{"cidrBlocks": ["0.0.0.0/0"], "fromPort": 0, "toPort": 443}]},
                    )
                ],
                "ports 0 to 443",
            ),
        ],
    ),
    Case(
        "closed-cluster-endpoint",
        [[cluster()], [endpoint(endpointPublicAccess=False, publicAccessCidrs=None)]],
        [
            ([endpoint(publicAccessCidrs=["0.0.0.0/0"])], "its API server answers 0.0.0.0/0"),
            ([endpoint(publicAccessCidrs=None)], "its API server answers 0.0.0.0/0"),
            ([endpoint(endpointPrivateAccess=False)], "endpointPrivateAccess is off"),
        ],
    ),
    Case(
        "instance-metadata",
        [[template()]],
        [
            ([template(metadataOptions={"httpPutResponseHopLimit": 1})], "httpTokens is not required"),
            (
                [template(metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2})],
                "httpPutResponseHopLimit is not 1",
            ),
        ],
    ),
    Case(
        "iam-no-wildcards",
        [
            [policy({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::mine/*"})],
            [policy({"Effect": "Allow", "Action": ["ec2:DescribeSubnets"], "Resource": "*"})],
            [policy({"Effect": "Deny", "Action": "*", "Resource": "*"})],
            [Made(ROLE_POLICY, {"policy": UNKNOWN})],
        ],
        [
            (
                [policy({"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]})],
                "allows s3:* on every resource",
            ),
            ([policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})], "NotAction"),
            (
                [
                    Made(
                        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
                        {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
                    )
                ],
                "attaches AdministratorAccess",
            ),
        ],
    ),
    Case(
        "no-open-principals",
        [
            [
                policy(
                    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "kms:*"},
                    type_=KEY,
                )
            ],
            [
                policy(
                    {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Condition": {"x": "y"}},
                    type_=KEY,
                )
            ],
        ],
        [
            (
                [
                    policy(
                        {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "sts:AssumeRole"},
                        type_="aws:iam/role:Role",
                        field_="assumeRolePolicy",
                    )
                ],
                "lets everybody do sts:AssumeRole",
            )
        ],
    ),
    Case(
        "no-sqlite",
        [[Made(CONFIG_MAP, {"data": {"CHECKPOINTER": "postgres"}})]],
        [
            ([Made(CONFIG_MAP, {"data": {"CHECKPOINTER": "sqlite"}})], "CHECKPOINTER is sqlite"),
            ([Made(CONFIG_MAP, {"data": {"CHECKPOINTER": "memory"}})], "CHECKPOINTER is memory"),
            ([Made(CONFIG_MAP, {"data": {"STORE": "sqlite:///a"}})], "STORE names a SQLite file"),
            (
                [deployment(container(env=[{"name": "STORE", "value": "/data/threads.db"}]))],
                "STORE names a SQLite file",
            ),
        ],
    ),
    Case(
        "encrypted-at-rest",
        [
            [database(), cache(), cluster(), template()],
            [Made(SECRET, {"kmsKeyId": UNKNOWN})],
            [Made(REPOSITORY, {"encryptionConfigurations": [{"encryptionType": "KMS"}]})],
        ],
        [
            ([database(storageEncrypted=False)], "is not encrypted (storageEncrypted)"),
            ([database(kmsKeyId=None)], "a key of the stack's own (kmsKeyId)"),
            ([cache(atRestEncryptionEnabled=None)], "is not encrypted (atRestEncryptionEnabled)"),
            ([cluster(encryptionConfig=None)], "unencrypted in etcd"),
            ([template(blockDeviceMappings=[{"ebs": {}}])], "volumes that are not encrypted"),
            ([template(blockDeviceMappings=None)], "volumes that are not encrypted"),
            ([Made(SECRET, {})], "kmsKeyId"),
            ([Made(REPOSITORY, {})], "encryptionConfigurations"),
            ([Made("aws:cloudwatch/logGroup:LogGroup", {})], "kmsKeyId"),
        ],
    ),
    Case(
        "encrypted-in-transit",
        [
            [database(), FORCED],
            [database(parameterGroupName=UNKNOWN)],
            [Made(PROXY, {"requireTls": True})],
            [cache()],
        ],
        [
            ([database()], "rds.force_ssl"),
            ([Made(PROXY, {})], "takes connections without TLS (requireTls)"),
            ([database(), parameters(rds__force_ssl="0")], "rds.force_ssl"),
            ([cache(transitEncryptionEnabled=False)], "speaks without TLS"),
            ([cache(transitEncryptionMode="preferred")], "transitEncryptionMode is preferred"),
            ([cache(userGroupIds=[])], "asks for no password"),
        ],
    ),
    Case(
        "key-rotation",
        [[Made(KEY, {"enableKeyRotation": True})], [Made(KEY, {"customerMasterKeySpec": "RSA_2048"})]],
        [([Made(KEY, {})], "is never rotated")],
    ),
    Case(
        "deletion-protection",
        [[database(), cluster()], [Made(KEY, {"deletionWindowInDays": 30})]],
        [
            ([database(deletionProtection=False)], "deletionProtection is off"),
            ([cluster(deletionProtection=None)], "deletionProtection is off"),
            ([database(skipFinalSnapshot=True)], "leaves no snapshot behind"),
            ([Made(KEY, {"deletionWindowInDays": 7})], "after 7 days (deletionWindowInDays)"),
            ([Made(SECRET, {"recoveryWindowInDays": 0})], "after 0 days (recoveryWindowInDays)"),
            ([Made(REPOSITORY, {"forceDelete": True})], "forceDelete"),
        ],
    ),
    Case(
        "backups",
        [[database(), cache()]],
        [
            ([database(backupRetentionPeriod=1)], "by 1 days only"),
            ([database(deleteAutomatedBackups=None)], "loses its backups with itself"),
            ([cache(snapshotRetentionLimit=0)], "is never backed up"),
        ],
    ),
    Case(
        "protect",
        [[database(), cache(), cluster()]],
        [([Made("aws:ec2/vpc:Vpc", {})], "is not protected"), ([Made(SECRET, {})], "is not protected")],
    ),
    Case(
        "supported-versions",
        [
            [
                Made(CLUSTER, {"version": "1.99"}),
                Made(DATABASE, {"engine": "postgres", "engineVersion": "99"}),
            ],
            [Made(CLUSTER, {"version": UNKNOWN}), Made(CACHE, {"engine": "valkey", "engineVersion": "8.1"})],
        ],
        [
            (
                [Made(CLUSTER, {"version": "1.33"})],
                "Kubernetes 1.33, whose standard support ended on 2026-07-29",
            ),
            ([Made(CLUSTER, {"version": "1.29"})], "Kubernetes 1.29, whose standard support ended"),
            (
                [Made(DATABASE, {"engine": "postgres", "engineVersion": "17.4"})],
                "PostgreSQL 17.4, whose standard support ended on 2026-05-31",
            ),
            (
                [Made(CACHE, {"engine": "redis", "engineVersion": "5.0.6"})],
                "Redis OSS 5.0.6, whose standard support ended on 2026-01-31",
            ),
        ],
    ),
    Case(
        "addon-versions",
        [
            [
                Made(CLUSTER, {"version": "1.36"}),
                Made(ADDON, {"addonName": "kube-proxy", "addonVersion": "v1.33.0-eksbuild.2"}),
                Made(ADDON, {"addonName": "vpc-cni", "addonVersion": "v1.14.0-eksbuild.3"}, name="cni"),
            ],
            [Made(CLUSTER, {"version": "1.36"}), Made(ADDON, {"addonName": "kube-proxy"})],
        ],
        [
            (
                [
                    Made(CLUSTER, {"version": "1.36"}),
                    Made(ADDON, {"addonName": "kube-proxy", "addonVersion": "v1.32.0-eksbuild.2"}),
                ],
                "kube-proxy v1.32.0-eksbuild.2 in a cluster of Kubernetes 1.36, which takes 1.33 to 1.36",
            ),
            (
                [
                    Made(CLUSTER, {"version": "1.35"}),
                    Made(ADDON, {"addonName": "kube-proxy", "addonVersion": "v1.36.0-eksbuild.2"}),
                ],
                "which takes 1.32 to 1.35",
            ),
            (
                [Made(ADDON, {"addonName": "vpc-cni", "addonVersion": "v1.13.4-eksbuild.1"})],
                "network policies need 1.14.0 or newer",
            ),
        ],
    ),
    Case(
        "monitoring",
        [[deployment(), database()]],
        [
            (
                [deployment(template={"metadata": {"labels": LABELS}, "spec": {"containers": []}})],
                "nobody collects its metrics",
            ),
            ([database(performanceInsightsEnabled=False)], "performanceInsightsEnabled"),
        ],
    ),
    Case(
        "audit-logs",
        [[cluster(), database()], [Made("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 30})]],
        [
            ([cluster(enabledClusterLogTypes=["api"])], "keeps no audit, authenticator log"),
            ([database(enabledCloudwatchLogsExports=None)], "enabledCloudwatchLogsExports"),
            ([Made("aws:cloudwatch/logGroup:LogGroup", {})], "retentionInDays"),
        ],
    ),
    Case(
        "flow-logs",
        [
            [
                Made("aws:ec2/vpc:Vpc", {}),
                Made("aws:ec2/flowLog:FlowLog", {"vpcId": "v", "trafficType": "ALL"}),
            ]
        ],
        [([Made("aws:ec2/vpc:Vpc", {})], "no record of its connections")],
    ),
    Case(
        "tags",
        [[provider({"project": "p", "stack": "s", "environment": "e"}), template()]],
        [
            ([provider({"project": "p"})], "defaultTags lack stack, environment"),
            ([template()], "a provider without defaultTags"),
            (
                [template(tagSpecifications=[])],
                "tagSpecifications for instances lack project, stack, environment",
            ),
        ],
    ),
    Case(
        "image-repository",
        [
            [
                Made(
                    REPOSITORY,
                    {
                        "imageTagMutability": "IMMUTABLE",
                        "imageScanningConfiguration": {"scanOnPush": True},
                    },
                )
            ]
        ],
        [
            ([Made(REPOSITORY, {})], "imageTagMutability"),
            ([Made(REPOSITORY, {"imageTagMutability": "IMMUTABLE"})], "is not scanned"),
            (
                [
                    Made(
                        REPOSITORY,
                        {
                            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                            "imageTagMutabilityExclusionFilters": [{"filter": "dev-*"}],
                        },
                    )
                ],
                "lets tags like dev-* be moved",
            ),
        ],
    ),
]


def found(rule: str, resources: Sequence[Made], *, production: bool = True) -> list[str]:
    plan = MadePlan(tuple(resources), production=production)
    return [finding.message for finding in check(plan) if finding.rule == rule]


def test_every_rule_has_a_case_that_keeps_it_and_one_that_breaks_it() -> None:
    assert [case.rule for case in CASES] == [rule.id for rule in RULES]
    assert all(case.good and case.bad for case in CASES)


@pytest.mark.parametrize(
    ("rule", "resources"),
    [
        pytest.param(case.rule, good, id=f"{case.rule}-{i}")
        for case in CASES
        for i, good in enumerate(case.good)
    ],
)
def test_a_rule_leaves_alone_what_keeps_it(rule: str, resources: Sequence[Made]) -> None:
    assert found(rule, resources) == []


@pytest.mark.parametrize(
    ("rule", "resources", "message"),
    [
        pytest.param(case.rule, resources, message, id=f"{case.rule}-{i}")
        for case in CASES
        for i, (resources, message) in enumerate(case.bad)
    ],
)
def test_a_rule_finds_what_breaks_it_and_says_how(rule: str, resources: Sequence[Made], message: str) -> None:
    assert any(message in text for text in found(rule, resources)), found(rule, resources)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_production_rule_is_silent_elsewhere_and_the_others_are_not(case: Case) -> None:
    rule = next(rule for rule in RULES if rule.id == case.rule)
    resources, _ = case.bad[0]

    assert bool(found(case.rule, resources, production=False)) is not rule.production_only


def test_rules_explain_themselves() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.reason
        assert rule.remedy
        assert rule.link.startswith("https://")


def test_findings_name_the_resource_and_the_remedy_the_worst_first() -> None:
    plan = MadePlan((deployment(container(**context(privileged=True), image="a:b")), Made(KEY, {})))

    findings = check(plan)

    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, key=["critical", "high", "medium", "low"].index)
    [privileged] = [finding for finding in findings if finding.rule == "no-privilege"]
    assert privileged.resource == "it"
    assert privileged.urn == f"urn:pulumi:test::project::{DEPLOYMENT}::it"
    assert "drop all capabilities" in privileged.remedy


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_gives_what_is_not_known_yet_the_benefit_of_the_doubt(case: Case) -> None:
    """The engine hands resources over before their neighbours exist."""
    for resources in case.good:
        unknown = [
            replace(resource, inputs=dict.fromkeys(resource.inputs, UNKNOWN)) for resource in resources
        ]
        assert found(case.rule, unknown) == []
