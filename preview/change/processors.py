"""Nodes of another processor: what goes to which, and what may land on one that it cannot run on."""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import at, mapping
from preview.change.diff import PlanDiff
from preview.recording.plan import Plan, PlannedResource

_ARCH = "kubernetes.io/arch"
_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
_NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"


def notes(diff: PlanDiff) -> Iterator[str]:
    """How pods come to nodes of another processor, where their nodes get one."""
    new = _gained(diff)
    if not new:
        return
    yield (
        f"the nodes become {new}: the new ones are there before pods of the new images are made, pods that say"
        f" {_ARCH}: {new} go to them alone, and the old nodes go last"
    )
    for agent, before, after in _deployments(diff):
        if not _wants(after) and _images(before) == _images(after):
            yield (
                f"{agent} brings its own image and says no {_ARCH}: it has to be built for {new} as well, or its pods"
                " end with exec format error"
            )


def crashes(diff: PlanDiff) -> Iterator[str]:
    """Agents whose pods may be put on nodes that cannot run them while the change is deployed."""
    new = _gained(diff)
    for agent, before, after in _deployments(diff) if new else ():
        if not _wants(before) and _images(before) != _images(after):
            yield (
                f"pods of {agent} that run now do not say which processor they need: one that is started again on a new"
                f" node ends with exec format error ({new}). Deploy once with cluster.architecture as it was, which"
                f" gives them {_ARCH}, then change it"
            )


def _gained(diff: PlanDiff) -> str:
    """The processor that the nodes get; "" where it is the one that they had."""
    before, after = _processors(diff.before), _processors(diff.after)
    return ", ".join(sorted(after - before)) if before else ""


def _processors(plan: Plan) -> set[str]:
    groups = {
        "arm64" if "_ARM_" in str(group.inputs.get("amiType")) else "amd64"
        for group in plan.of_type(_NODE_GROUP)
    }
    pools = {
        str(value)
        for pool in plan.of_type(_NODE_POOL)
        for wanted in _template(pool).get("requirements") or ()
        if wanted.get("key") == _ARCH
        for value in wanted.get("values") or ()
    }
    return groups | pools


def _deployments(diff: PlanDiff) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The agents that stay, with the pods that their Deployments make before and after."""
    for after in diff.after.of_type(_DEPLOYMENT):
        before = diff.before.resources.get(diff.former[after.urn] or "")
        if before is not None and (agent := diff.after.agent(after)):
            yield agent, _template(before), _template(after)


def _template(resource: PlannedResource) -> Mapping[str, Any]:
    """What a Deployment says of its pods, or a NodePool of its nodes."""
    return mapping(at(resource.inputs, "spec", "template", "spec"))


def _wants(pod: Mapping[str, Any]) -> bool:
    return _ARCH in (pod.get("nodeSelector") or {})


def _images(pod: Mapping[str, Any]) -> list[Any]:
    return [container.get("image") for container in pod.get("containers") or ()]
