"""When an object of the Kubernetes API has become what its manifest asks for.

The rules are those of the official provider for the kinds that the stacks use; every other kind is ready at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sandbox.cluster.api import Api, Object


class Phase(Enum):
    READY = auto()
    WAITING = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Verdict:
    """How far an object is, and what it waits for or failed by."""

    phase: Phase
    reason: str = ""


READY = Verdict(Phase.READY)

# Waiting for a pod in such a state is in vain here: no registry gets an image that was not built, and a container that
# ended so often ends again.
_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
_CRASHES = 3


def judge(live: Object, api: Api) -> Verdict:
    """Judge an object as the server returned it; `api` is asked for the objects that belong to it."""
    rule = _RULES.get(live["kind"])
    return rule(live, api) if rule else READY


def explain(live: Object, api: Api) -> str:
    """Why an object's pods do not run, in the words of the scheduler; empty when nothing is known."""
    selector = live.get("spec", {}).get("selector")
    labels = selector.get("matchLabels") if isinstance(selector, Mapping) else None
    if not labels:
        return ""
    for pod in api.list("v1", "Pod", live["metadata"]["namespace"], labels):
        scheduled = _condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            return f"pod {pod['metadata']['name']}: {scheduled.get('message', '')}"
    return ""


def _waiting(reason: str) -> Verdict:
    return Verdict(Phase.WAITING, reason)


def _failed(reason: str) -> Verdict:
    return Verdict(Phase.FAILED, reason)


def _condition(live: Object, name: str) -> Mapping[str, Any]:
    conditions = live.get("status", {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == name), {})


def _deployment(live: Object, api: Api) -> Verdict:
    wanted, status = live["spec"].get("replicas", 1), live.get("status", {})
    failure = _condition(live, "ReplicaFailure")
    # The other refusals of a pod pass: a service account or a quota that is a moment behind.
    if failure.get("status") == "True" and "violates PodSecurity" in failure.get("message", ""):
        return _failed(failure["message"])
    if _condition(live, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return _failed(_condition(live, "Progressing").get("message", "the progress deadline is exceeded"))
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return _waiting("the controller has not seen the change yet")
    updated, available, total = (
        status.get(k, 0) for k in ("updatedReplicas", "availableReplicas", "replicas")
    )
    if updated >= wanted and available >= wanted and total <= updated:
        return READY
    # A bad new pod stands beside an old one that is available still.
    if broken := _broken(live, api):
        return _failed(broken)
    if updated < wanted or available < wanted:
        return _waiting(
            f"{available} of {wanted} replicas available, {updated} updated. {failure.get('message', '')}"
        )
    return _waiting(f"{total - updated} old replicas are ending")


def _broken(live: Object, api: Api, *, by_crashes: bool = True) -> str:
    """Why a pod of an object will never be ready, in the kubelet's words; empty when each may."""
    labels = live["spec"].get("selector", {}).get("matchLabels")
    for pod in api.list("v1", "Pod", live["metadata"]["namespace"], labels) if labels else ():
        for container in pod.get("status", {}).get("containerStatuses") or ():
            waiting = container.get("state", {}).get("waiting") or {}
            reason = waiting.get("reason", "")
            crashed = (
                by_crashes and reason == "CrashLoopBackOff" and container.get("restartCount", 0) >= _CRASHES
            )
            if reason not in _NO_IMAGE and not crashed:
                continue
            ended = container.get("lastState", {}).get("terminated") or {}
            last = f"; it ended by {ended['reason']} ({ended['exitCode']})" if ended else ""
            name = pod["metadata"]["name"]
            return f"pod {name}: {reason}: {waiting.get('message', '')}{last}; see `kubectl logs {name} --previous`"
    return ""


def _stateful_set(live: Object, api: Api) -> Verdict:
    wanted, status = live["spec"].get("replicas", 1), live.get("status", {})
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    seen = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    if seen and ready >= wanted and updated >= wanted:
        return READY
    return _waiting(f"{ready} of {wanted} replicas ready, {updated} updated")


def _daemon_set(live: Object, api: Api) -> Verdict:
    status = live.get("status", {})
    wanted, available = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    seen = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    if seen and available >= wanted and status.get("updatedNumberScheduled", 0) >= wanted:
        return READY
    return _waiting(f"{available} of {wanted} pods available")


def _job(live: Object, api: Api) -> Verdict:
    failed = _condition(live, "Failed")
    if failed.get("status") == "True":
        return _failed(f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}")
    if live["spec"].get("suspend") or _condition(live, "Complete").get("status") == "True":
        return READY
    # Whether a container that ended is worth another try is for the Job's own backoffLimit to say.
    if missing := _broken(live, api, by_crashes=False):
        return _failed(missing)
    status = live.get("status", {})
    return _waiting(
        f"{status.get('succeeded', 0)} of {live['spec'].get('completions', 1)} pods have completed"
    )


def _pod(live: Object, api: Api) -> Verdict:
    phase = live.get("status", {}).get("phase", "Pending")
    if phase == "Failed":
        return _failed(live["status"].get("message") or live["status"].get("reason") or "the pod failed")
    if phase == "Succeeded" or _condition(live, "Ready").get("status") == "True":
        return READY
    return _waiting(f"the pod is {phase}. {_condition(live, 'PodScheduled').get('message', '')}")


def _service(live: Object, api: Api) -> Verdict:
    spec, metadata = live["spec"], live["metadata"]
    if spec.get("type") == "LoadBalancer" and not live["status"].get("loadBalancer", {}).get("ingress"):
        return _waiting("no load balancer address yet")
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return READY
    labels = {"kubernetes.io/service-name": metadata["name"]}
    for piece in api.list("discovery.k8s.io/v1", "EndpointSlice", metadata["namespace"], labels):
        if any(endpoint["conditions"].get("ready") for endpoint in piece.get("endpoints") or ()):
            return READY
    return _waiting(f"its selector {spec['selector']} matches no pod that is ready")


def _ingress(live: Object, api: Api) -> Verdict:
    return (
        READY if live.get("status", {}).get("loadBalancer", {}).get("ingress") else _waiting("no address yet")
    )


def _namespace(live: Object, api: Api) -> Verdict:
    phase = live.get("status", {}).get("phase")
    return READY if phase == "Active" else _waiting(f"the namespace is {phase}")


def _definition(live: Object, api: Api) -> Verdict:
    return (
        READY if _condition(live, "Established").get("status") == "True" else _waiting("not established yet")
    )


_RULES: dict[str, Callable[[Object, Api], Verdict]] = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Ingress": _ingress,
    "Job": _job,
    "Namespace": _namespace,
    "Pod": _pod,
    "Service": _service,
    "StatefulSet": _stateful_set,
}
