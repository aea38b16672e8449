"""Karpenter: it starts instances for waiting pods, of whichever type fits best, and ends those that few pods use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.cluster.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.cluster.interruption_queue import InterruptionQueue, InterruptionQueueArgs
from components.cluster.karpenter_policy import karpenter_policy
from components.cluster.node_groups import ARCH_LABEL, ARCH_VALUES, Architecture
from components.naming import IAM_ROLE_NAME, safe_name

CHART_VERSION = "1.14.1"
NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "karpenter"
#: The taint of Spot nodes, which pods have to tolerate; the key is the label that Karpenter puts on every node, too.
CAPACITY_TYPE = "karpenter.sh/capacity-type"

_CHARTS = "oci://public.ecr.aws/karpenter"
_NODE_CLASS = "default"
# As many pods as nodes with prefixes of addresses have room for; Karpenter would reckon without prefixes.
_MOST_PODS = 110


@dataclass(frozen=True, kw_only=True)
class KarpenterArgs:
    """What it may start, and where.

    Attributes:
        cluster_name: the cluster.
        cluster_arn: its ARN.
        cluster_label: its name as plain text.
        region: its region.
        subnet_ids: where nodes stand: the private subnets.
        security_group_ids: of every node and pod.
        node_role_name: the role of the nodes; the cluster knows it already, for its node groups have it.
        node_role_arn: its ARN.
        architecture: of the nodes.
        disk_size_gib: of a node's root volume.
        cpu_limit: vCPUs that all of its nodes have at most, on demand and Spot each: a bound of the bill.
        spot: whether there are Spot nodes, for pods that tolerate the taint ``CAPACITY_TYPE``.
        replicas: of Karpenter itself; they run on the node groups.
        labels: of the objects.
        tags: of instances and volumes.
        run_after: leaves that it waits for: nodes to run on.
    """

    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    cluster_label: str
    region: str
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    node_role_name: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    architecture: Architecture
    disk_size_gib: int
    cpu_limit: int
    spot: bool
    replicas: int
    labels: Mapping[str, str]
    tags: Mapping[str, str]
    run_after: tuple[pulumi.Resource, ...] = ()

    def __post_init__(self) -> None:
        if self.cpu_limit < 2:
            raise ValueError(f"cpu_limit is {self.cpu_limit}: the smallest node has 2 vCPUs")


class Karpenter(pulumi.ComponentResource):
    """The controller, its identity, its queue, and what it may start: a NodePool for each way to pay."""

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("langgraph-agents:components:Karpenter", name, None, opts)
        self._name, self._args = name, args
        child = pulumi.ResourceOptions(parent=self)
        queue = InterruptionQueue(
            f"{name}-interruptions",
            InterruptionQueueArgs(queue_name=safe_name(args.cluster_label, "interruptions", limit=50)),
            child,
        )
        profile = aws.iam.InstanceProfile(
            f"{name}-instance-profile",
            name=safe_name(args.cluster_label, "karpenter-nodes", limit=IAM_ROLE_NAME),
            role=args.node_role_name,
            opts=child,
        )
        identity = WorkloadIdentity(
            f"{name}-identity",
            WorkloadIdentityArgs(
                role_name=safe_name(args.cluster_label, "karpenter", limit=IAM_ROLE_NAME),
                cluster_name=args.cluster_name,
                cluster_arn=args.cluster_arn,
                namespace=NAMESPACE,
                service_account=SERVICE_ACCOUNT,
                region=args.region,
                statements=karpenter_policy(
                    cluster_label=args.cluster_label,
                    cluster_arn=args.cluster_arn,
                    region=args.region,
                    node_role_arn=args.node_role_arn,
                    instance_profile_arn=profile.arn,
                    queue_arn=queue.arn,
                ),
            ),
            child,
        )
        release = self._release(queue, identity)
        node_class = self._node_class(profile, release)
        self._node_pool("on-demand", node_class)
        if args.spot:
            self._node_pool("spot", node_class)
        self.register_outputs({})

    def _release(self, queue: InterruptionQueue, identity: WorkloadIdentity) -> k8s.helm.v3.Release:
        args = self._args
        # A chart of their own: Helm never upgrades the definitions that stand in another chart's crds/.
        definitions = k8s.helm.v3.Release(
            f"{self._name}-crds",
            name="karpenter-crd",
            namespace=NAMESPACE,
            chart=f"{_CHARTS}/karpenter-crd",
            version=CHART_VERSION,
            atomic=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.run_after)),
        )
        return k8s.helm.v3.Release(
            f"{self._name}-release",
            name="karpenter",
            namespace=NAMESPACE,
            chart=f"{_CHARTS}/karpenter",
            version=CHART_VERSION,
            skip_crds=True,
            atomic=True,
            values={
                "replicas": args.replicas,
                "serviceAccount": {"create": True, "name": SERVICE_ACCOUNT},
                "settings": {
                    "clusterName": args.cluster_label,
                    "eksControlPlane": True,
                    "interruptionQueue": queue.name,
                },
                # It has to come up where CoreDNS waits for the node that it is to start.
                "dnsPolicy": "Default",
                "controller": {
                    "resources": {
                        "requests": {"cpu": "500m", "memory": "1Gi"},
                        "limits": {"memory": "1Gi"},
                    }
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                # Credentials are injected when a pod is made, and without the queue's policy it hears of nothing.
                depends_on=[definitions, identity.association, *queue.ready],
            ),
        )

    def _node_class(
        self, profile: aws.iam.InstanceProfile, release: pulumi.Resource
    ) -> k8s.apiextensions.CustomResource:
        args = self._args
        return k8s.apiextensions.CustomResource(
            f"{self._name}-node-class",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata={"name": _NODE_CLASS, "labels": dict(args.labels)},
            spec={
                # Security fixes come as new images: nodes of older ones are replaced, one at a time.
                "amiSelectorTerms": [{"alias": "al2023@latest"}],
                "instanceProfile": profile.name,
                "subnetSelectorTerms": [{"id": id_} for id_ in args.subnet_ids],
                "securityGroupSelectorTerms": [{"id": id_} for id_ in args.security_group_ids],
                "kubelet": {"maxPods": _MOST_PODS},
                "metadataOptions": {
                    "httpEndpoint": "enabled",
                    "httpTokens": "required",
                    # One hop ends at the node itself: no pod can take the node's role from the metadata service.
                    "httpPutResponseHopLimit": 1,
                },
                "blockDeviceMappings": [
                    {
                        "deviceName": "/dev/xvda",
                        "ebs": {
                            "volumeType": "gp3",
                            "volumeSize": f"{args.disk_size_gib}Gi",
                            "encrypted": True,
                            "deleteOnTermination": True,
                        },
                    }
                ],
                "tags": {**args.tags, "Name": f"{args.cluster_label}-karpenter"},
            },
            # The controller takes away what it started when the class goes, so it has to be there until then.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[release]),
        )

    def _node_pool(self, capacity_type: str, node_class: k8s.apiextensions.CustomResource) -> None:
        args = self._args
        node: dict[str, Any] = {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": _NODE_CLASS},
            "requirements": [
                _in(ARCH_LABEL, ARCH_VALUES[args.architecture]),
                _in("kubernetes.io/os", "linux"),
                _in(CAPACITY_TYPE, capacity_type),
                _in("karpenter.k8s.aws/instance-category", "c", "m", "r"),
                {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["5"]},
                # Below 2 vCPUs what runs on every node takes most of it.
                {"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["1"]},
            ],
            # As EKS Auto Mode does: no node grows older than two weeks, and a drain that takes a day is ended.
            "expireAfter": "336h",
            "terminationGracePeriod": "24h",
        }
        if capacity_type == "spot":
            node["taints"] = [{"key": CAPACITY_TYPE, "value": capacity_type, "effect": "NoSchedule"}]
        k8s.apiextensions.CustomResource(
            f"{self._name}-{capacity_type}",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata={"name": capacity_type, "labels": dict(args.labels)},
            spec={
                "template": {"spec": node},
                "limits": {"cpu": str(args.cpu_limit)},
                "disruption": {
                    "consolidationPolicy": "WhenEmptyOrUnderutilized",
                    # Load that comes back within minutes finds its nodes.
                    "consolidateAfter": "5m",
                    # PodDisruptionBudgets hold back the pods of an agent, this the nodes of the cluster.
                    "budgets": [{"nodes": "1"}],
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[node_class]),
        )


def _in(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}
