"""What a container has to be like: probed, bounded, pinned, and without power over its node."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import UNKNOWN, Resource, Severity, at, contains, is_true, items, resource_rule
from policies.pods import SERVERS, WORKLOADS, pods_of

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_STANDARDS = "https://kubernetes.io/docs/concepts/security/pod-security-standards/"


@resource_rule(
    SERVERS,
    id="health-checks",
    severity=Severity.HIGH,
    reason="Without probes traffic goes to pods that cannot answer, and a pod that hangs is never restarted",
    remedy="give the container a livenessProbe on /health and a readinessProbe on /ready",
    link="https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/",
)
def health_checks(workload: Resource) -> Iterator[str]:
    # Other init containers end before anybody asks.
    for container in pods_of(workload).servers():
        for probe in ("livenessProbe", "readinessProbe"):
            if not container.get(probe):
                yield f"container {container['name']} has no {probe}"


@resource_rule(
    WORKLOADS,
    id="resource-limits",
    severity=Severity.HIGH,
    reason="A container without requests lands on a full node, and one without limits takes the node down with it",
    remedy="set requests and limits of CPU and memory",
    link="https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
)
def resource_limits(workload: Resource) -> Iterator[str]:
    for container in pods_of(workload).containers():
        missing = [
            f"{kind}.{resource}"
            for kind in ("requests", "limits")
            for resource in ("cpu", "memory")
            if at(container, "resources", kind, resource) is None
        ]
        if missing:
            yield f"container {container['name']} has no {', '.join(missing)}"


@resource_rule(
    WORKLOADS,
    id="image-by-digest",
    severity=Severity.HIGH,
    reason="A tag can be moved: pods of one revision then run different code, and a roll-back brings nothing back",
    remedy="name the image by digest, repository@sha256:...; `docker buildx imagetools inspect` shows it",
    link="https://kubernetes.io/docs/concepts/containers/images/#image-names",
)
def image_by_digest(workload: Resource) -> Iterator[str]:
    for container in pods_of(workload).containers():
        image = container.get("image")
        if image is not UNKNOWN and not _DIGEST.search(str(image)):
            yield f"container {container['name']} runs {image}, which names no digest"


@resource_rule(
    WORKLOADS,
    id="non-root",
    severity=Severity.HIGH,
    reason="Root in the container is root on the node once something escapes",
    remedy="set securityContext.runAsNonRoot to true, and a runAsUser that is not 0",
    link=_STANDARDS,
)
def non_root(workload: Resource) -> Iterator[str]:
    pods = pods_of(workload)
    for container in pods.containers():
        if not is_true(pods.security(container, "runAsNonRoot")):
            yield f"container {container['name']} may run as root"
        elif pods.security(container, "runAsUser") == 0:
            yield f"container {container['name']} runs as user 0"


@resource_rule(
    WORKLOADS,
    id="read-only-root",
    severity=Severity.MEDIUM,
    reason="What can write to its own file system can be made to run something else",
    remedy="set securityContext.readOnlyRootFilesystem to true, and mount an emptyDir where it has to write",
    link="https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
)
def read_only_root(workload: Resource) -> Iterator[str]:
    for container in pods_of(workload).containers():
        if not is_true(at(container, "securityContext", "readOnlyRootFilesystem")):
            yield f"the root file system of container {container['name']} can be written"


@resource_rule(
    WORKLOADS,
    id="no-privilege",
    severity=Severity.CRITICAL,
    reason="A privileged pod is its node: it reads the secrets and the traffic of every other pod there",
    remedy="drop all capabilities, set allowPrivilegeEscalation to false and seccompProfile to RuntimeDefault,"
    " and use none of the host's namespaces or paths",
    link=_STANDARDS,
)
def no_privilege(workload: Resource) -> Iterator[str]:
    pods = pods_of(workload)
    for field in _HOST_NAMESPACES:
        if is_true(pods.spec.get(field)):
            yield f"the pod uses the node's own namespace ({field})"
    for volume in items(pods.spec.get("volumes")):
        if at(volume, "hostPath") is not None:
            yield f"volume {volume['name']} is a path of the node"
    for container in pods.containers():
        for problem in _powers(pods.security(container, "seccompProfile"), container):
            yield f"container {container['name']} {problem}"


def _powers(seccomp: Any, container: Mapping[str, Any]) -> Iterator[str]:
    context = container.get("securityContext")
    if is_true(at(context, "privileged")):
        yield "is privileged"
    if at(context, "allowPrivilegeEscalation") not in (False, UNKNOWN):
        yield "may gain privileges (allowPrivilegeEscalation)"
    if not contains(at(context, "capabilities", "drop"), "ALL"):
        yield "keeps capabilities"
    added = items(at(context, "capabilities", "add"))
    if added:
        yield f"adds the capabilities {', '.join(added)}"
    if at(seccomp, "type") not in ("RuntimeDefault", "Localhost", UNKNOWN):
        yield "has no seccomp profile"


@resource_rule(
    ("kubernetes:core/v1:Namespace",),
    id="restricted-namespace",
    severity=Severity.MEDIUM,
    reason="What is applied by hand, or by a chart, passes by all other rules; not the API server's own check",
    remedy="label the namespace pod-security.kubernetes.io/enforce: restricted",
    link="https://kubernetes.io/docs/concepts/security/pod-security-admission/",
)
def restricted_namespace(namespace: Resource) -> Iterator[str]:
    level = at(namespace.inputs, "metadata", "labels", "pod-security.kubernetes.io/enforce")
    if level not in ("restricted", UNKNOWN):
        yield f"pods of any kind are admitted (pod-security.kubernetes.io/enforce is {level or 'not set'})"
