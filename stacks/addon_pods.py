"""What the pods of EKS add-ons request of the nodes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class AddonPods(NamedTuple):
    """Equal pods of an add-on."""

    name: str
    cpu_millis: int
    memory_mib: int
    pods: int | None
    """None for one on each node."""


#: By add-on. From the add-ons' own manifests and the charts that they are made of, November 2026; what requests nothing
#: still counts as a pod.
ADDON_PODS: Mapping[str, Sequence[AddonPods]] = {
    "vpc-cni": (AddonPods("aws-node", 50, 0, None),),
    "kube-proxy": (AddonPods("kube-proxy", 100, 0, None),),
    "eks-pod-identity-agent": (AddonPods("eks-pod-identity-agent", 0, 0, None),),
    "aws-secrets-store-csi-driver-provider": (
        AddonPods("secrets-store-csi-driver", 70, 140, None),
        AddonPods("secrets-store-csi-driver-provider-aws", 50, 100, None),
    ),
    "coredns": (AddonPods("coredns", 100, 70, 2),),
    "metrics-server": (AddonPods("metrics-server", 100, 200, 2),),
    "cert-manager": (
        AddonPods("cert-manager", 0, 0, 1),
        AddonPods("cert-manager-cainjector", 0, 0, 1),
        AddonPods("cert-manager-webhook", 0, 0, 1),
    ),
    "external-dns": (AddonPods("external-dns", 0, 0, 1),),
}
#: Millicores and MiB that every node gives to what runs once on each.
ON_EVERY_NODE = (
    sum(pods.cpu_millis for addon in ADDON_PODS.values() for pods in addon if pods.pods is None),
    sum(pods.memory_mib for addon in ADDON_PODS.values() for pods in addon if pods.pods is None),
)
