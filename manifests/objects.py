"""What of a stack's program goes into a cluster: its objects, and what they need there that is none of them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preview.recording import manifests
from preview.recording.plan import Plan
from preview.recording.program import make_plan
from sandbox.emulated.subject import ACCOUNT

Object = dict[str, Any]

RELEASE = "kubernetes:helm.sh/v3:Release"
# Kinds of Kubernetes itself: groups without a dot, or below k8s.io but for what add-ons define there.
_BUILT_IN = re.compile(r"([a-z0-9]+/)?v\d\w*|(?!.*\.x-)[a-z0-9.-]+\.k8s\.io/v\d\w*")
# What an emulated Secrets Manager answers: a name, and six characters that the service adds.
_EMULATED_SECRET = re.compile(
    rf"arn:aws[\w-]*:secretsmanager:[\w-]+:{ACCOUNT}:secret:([\w/+=.@-]+)-[0-9a-f]{{6}}"
)


@dataclass(frozen=True)
class ClusterObjects:
    """What a stack's program makes in its cluster.

    Attributes:
        plan: where it comes from.
        objects: in the order in which they can be applied.
        secrets: ``namespace/name`` of the Secrets that are left out, because a file would hold their values.
    """

    plan: Plan
    objects: tuple[Object, ...]
    secrets: tuple[str, ...]

    @property
    def releases(self) -> list[str]:
        """The Helm releases that the program makes, each with its chart."""
        found = [release.inputs for release in self.plan.of_type(RELEASE)]
        return sorted(
            f"{each['namespace']}/{each['name']} (chart {each['chart']} {each['version']} of"
            f" {each['repositoryOpts']['repo']})"
            for each in found
        )

    @property
    def apis(self) -> list[str]:
        """The APIs of the objects that Kubernetes itself does not have: the cluster's add-ons bring them."""
        return sorted({api for each in self.objects if not _BUILT_IN.fullmatch(api := each["apiVersion"])})


def cluster_objects(stack: str, project: Path) -> ClusterObjects:
    """Run a stack's program and keep what goes into its cluster.

    Entries of Secrets Manager are called by their names. Their ARNs end in characters that nobody knows before they are
    made, and the Secrets Store CSI driver takes either.

    Raises:
        SandboxError: the stack file or the program cannot be used.
    """
    plan = make_plan(stack, project)
    found = [manifest for _, manifest in manifests.objects(plan)]
    return ClusterObjects(
        plan=plan,
        objects=tuple(named_entries(each) for each in found if each["kind"] != "Secret"),
        secrets=tuple(name_of(each) for each in found if each["kind"] == "Secret"),
    )


def name_of(manifest: Mapping[str, Any]) -> str:
    """``namespace/name``, or the name of what is in no namespace."""
    metadata = manifest["metadata"]
    return "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)


def named_entries(manifest: Mapping[str, Any]) -> Object:
    """The object with the names of secrets' entries in place of emulated ARNs."""
    named: Object = with_texts(manifest, lambda text: _EMULATED_SECRET.sub(r"\1", text))
    return named


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy in which each text is another."""
    if isinstance(value, Mapping):
        return {key: with_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [with_texts(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def pod_specs(manifest: Mapping[str, Any]) -> Iterator[Object]:
    """The pod specs within an object."""
    for template in _templates(manifest):
        if isinstance(template.get("spec"), dict) and "containers" in template["spec"]:
            yield template["spec"]


def labels_of(manifest: Mapping[str, Any]) -> Iterator[Object]:
    """The labels of an object and of the objects that it is a template of; never selectors."""
    for each in (manifest, *_templates(manifest)):
        yield each.get("metadata", {}).get("labels", {})


def containers_of(manifest: Mapping[str, Any]) -> Iterator[Object]:
    """The containers of its pods, those that run before the others included."""
    for spec in pod_specs(manifest):
        yield from (*spec.get("initContainers", ()), *spec["containers"])


def _templates(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    spec = manifest.get("spec") or {}
    for key in ("template", "jobTemplate"):
        if isinstance(spec.get(key), dict):
            yield spec[key]
            yield from _templates(spec[key])
