"""Where pods are described, whatever kind of object runs them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.model import Resource, at, items, mapping

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
JOB = "kubernetes:batch/v1:Job"
CRON_JOB = "kubernetes:batch/v1:CronJob"
POD = "kubernetes:core/v1:Pod"

_SCALED_OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject"
#: What says how many pods a Deployment has: Kubernetes' own, and KEDA's.
AUTOSCALERS = ("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", _SCALED_OBJECT)

_APPLICATION = "app.kubernetes.io/name"

#: What serves until it is stopped, in contrast to what runs to its end.
SERVERS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)

_TEMPLATE: Mapping[str, tuple[str, ...]] = {
    DEPLOYMENT: ("spec", "template"),
    STATEFUL_SET: ("spec", "template"),
    DAEMON_SET: ("spec", "template"),
    JOB: ("spec", "template"),
    CRON_JOB: ("spec", "jobTemplate", "spec", "template"),
    POD: (),
}
WORKLOADS = tuple(_TEMPLATE)


@dataclass(frozen=True)
class Pods:
    """The pods that a workload runs."""

    spec: Mapping[str, Any]
    labels: Mapping[str, Any]
    annotations: Mapping[str, Any]
    namespace: Any
    """A name, or UNKNOWN."""

    def containers(self) -> Iterator[Mapping[str, Any]]:
        """All of them: init containers run with the same privileges."""
        for field in ("initContainers", "containers"):
            yield from items(self.spec.get(field))

    def servers(self) -> Iterator[Mapping[str, Any]]:
        """Those that run until the pod is stopped: sidecars are init containers that restart always."""
        yield from items(self.spec.get("containers"))
        for container in items(self.spec.get("initContainers")):
            if is_sidecar(container):
                yield container

    def security(self, container: Mapping[str, Any], field: str) -> Any:
        """A field of the security context: the container's own, or else the pod's."""
        own = at(container, "securityContext", field)
        return own if own is not None else at(self.spec, "securityContext", field)


def target_of(scaler: Resource) -> tuple[Any, Any]:
    """The namespace and the name of what an autoscaler scales."""
    return namespace_of(scaler), at(scaler.inputs, "spec", "scaleTargetRef", "name")


def bounds_of(scaler: Resource) -> tuple[Any, Any]:
    """The fewest and the most pods that an autoscaler sets; their own defaults where it says nothing."""
    names = (
        ("minReplicaCount", "maxReplicaCount")
        if scaler.type == _SCALED_OBJECT
        else ("minReplicas", "maxReplicas")
    )
    least, most = (at(scaler.inputs, "spec", name) for name in names)
    if scaler.type == _SCALED_OBJECT:
        return 0 if least is None else least, 100 if most is None else most
    return 1 if least is None else least, most


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Whether an init container goes on running beside the others."""
    return container.get("restartPolicy") == "Always"


def pods_of(workload: Resource) -> Pods:
    """The pods of a resource of one of ``WORKLOADS``."""
    template = at(workload.inputs, *_TEMPLATE[workload.type])
    return Pods(
        spec=mapping(at(template, "spec")),
        labels=mapping(at(template, "metadata", "labels")),
        annotations=mapping(at(template, "metadata", "annotations")),
        namespace=namespace_of(workload),
    )


def namespace_of(resource: Resource) -> Any:
    """The namespace of an object; ``default`` where it names none."""
    namespace = at(resource.inputs, "metadata", "namespace")
    return "default" if namespace is None else namespace


def selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Whether a LabelSelector selects what has ``labels``; an empty one selects everything."""
    wanted = mapping(at(selector, "matchLabels"))
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(requirement, labels) for requirement in items(at(selector, "matchExpressions")))


class Selectors:
    """Who selects given pods, out of many: found by the label that names the application, not one after the other."""

    def __init__(self, resources: Iterable[Resource], *path: str) -> None:
        """
        Args:
            path: where ``resources`` keep their LabelSelector.
        """
        self._by_application: dict[tuple[Any, Any], list[tuple[Any, Resource]]] = {}
        for resource in resources:
            selector = at(resource.inputs, *path)
            key = (namespace_of(resource), at(selector, "matchLabels", _APPLICATION))
            self._by_application.setdefault(key, []).append((selector, resource))

    def of(self, pods: "Pods") -> Iterator[Resource]:
        """The resources that select ``pods``."""
        for application in {None, pods.labels.get(_APPLICATION)}:
            for selector, resource in self._by_application.get((pods.namespace, application), ()):
                if selects(selector, pods.labels):
                    yield resource


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    present, value = requirement["key"] in labels, labels.get(requirement["key"])
    values = items(requirement.get("values"))
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return present
        case _:
            return not present
