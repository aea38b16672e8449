"""Which changes make a new resource instead of changing the one there is."""

from collections.abc import Mapping
from typing import Any

from preview.recording.values import differing, is_at_or_below
from sandbox import emulated

# By type; what pulumi-kubernetes calls forceNewProperties, or the API server immutable:
# https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/diff.go
_KUBERNETES: Mapping[str, tuple[str, ...]] = {
    "kubernetes:apps/v1:DaemonSet": ("spec.selector",),
    "kubernetes:apps/v1:Deployment": ("spec.selector",),
    "kubernetes:apps/v1:ReplicaSet": ("spec.selector",),
    "kubernetes:apps/v1:StatefulSet": (
        "spec.podManagementPolicy",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "kubernetes:batch/v1:Job": ("spec.completionMode", "spec.completions", "spec.selector", "spec.template"),
    "kubernetes:core/v1:PersistentVolumeClaim": (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeMode",
        "spec.volumeName",
    ),
    "kubernetes:core/v1:Pod": ("spec.containers", "spec.initContainers", "spec.nodeName", "spec.volumes"),
    "kubernetes:core/v1:Secret": ("data", "stringData", "type"),
    "kubernetes:core/v1:Service": ("spec.clusterIP",),
    "kubernetes:networking.k8s.io/v1:IngressClass": ("spec.controller",),
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": ("roleRef",),
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": ("roleRef",),
    "kubernetes:scheduling.k8s.io/v1:PriorityClass": ("value",),
    "kubernetes:storage.k8s.io/v1:StorageClass": (
        "parameters",
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
    ),
}
_OBJECT_IDENTITY = ("kind", "metadata.name", "metadata.namespace")
_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
_PROVIDERS: Mapping[str, tuple[str, ...]] = {"pulumi:providers:kubernetes": ("clusterIdentifier",)}


def immutable(type_: str, provider: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The properties of a type that cannot be changed in place; a path stands for all that is within it.

    Args:
        provider: the inputs of the resource's provider, which may allow more.

    Raises:
        emulated.UnknownType: nothing is known of the type.
    """
    if type_.startswith("pulumi:providers:"):
        return _PROVIDERS.get(type_, ())
    if not type_.startswith("kubernetes:") or type_ == "kubernetes:helm.sh/v3:Release":
        return tuple(emulated.replaced_by(type_))
    if type_ == _CONFIG_MAP and str((provider or {}).get("enableConfigMapMutable")).lower() != "true":
        return (*_OBJECT_IDENTITY, "binaryData", "data")
    return (*_OBJECT_IDENTITY, *_KUBERNETES.get(type_, ()))


def replacing(
    type_: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    provider: Mapping[str, Any] | None = None,
    ignored: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> list[str]:
    """The changed properties that make a new resource, as paths.

    Args:
        ignored: the resource's ``ignoreChanges``.
        also: its ``replaceOnChanges``.
    """
    tops = (*immutable(type_, provider), *also)
    changed = [difference.path for difference in differing(before, after)]
    return [
        path
        for path in changed
        if not any(is_at_or_below(path, top) for top in ignored)
        and any(top == "*" or is_at_or_below(path, top) for top in tops)
    ]
