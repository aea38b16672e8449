"""A Kustomize base of what all stacks have, and an overlay for each stack with what is its own.

The base calls images by the names of what runs in them, and holds nothing that names a stack, an account or an entry of
Secrets Manager. ``images`` of an overlay says which images they are.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manifests.folder import header
from manifests.objects import ClusterObjects, Object, containers_of, labels_of, with_texts
from preview.recording.manifests import as_yaml

BASE = "base"
MARKED = f"{BASE}/kustomization.yaml"
_INSTANCE = "app.kubernetes.io/instance"
_NAME = "app.kubernetes.io/name"
# They name entries in one account's Secrets Manager.
_OF_A_STACK = frozenset({"SecretProviderClass"})

Key = tuple[str, str, str, str]


def overlay(stack: str) -> str:
    """The folder of a stack's overlay."""
    return f"overlays/{stack}"


def files(stacks: Mapping[str, ClusterObjects]) -> dict[str, str]:
    """The text of each file, by its path, for these stacks by their names."""
    neutral = {stack: _Neutral(stack, found.objects) for stack, found in stacks.items()}
    shared = _shared([each.objects for each in neutral.values()])
    names = _file_names([key for each in neutral.values() for key in each.objects])
    base = next(iter(neutral.values())).objects
    written = {MARKED: _kustomization({"resources": sorted(names[key] for key in shared)})}
    written |= {f"{BASE}/{names[key]}": as_yaml(base[key]) for key in shared}
    for stack, each in neutral.items():
        folder = overlay(stack)
        own = [key for key in each.objects if key not in shared]
        patches = {key: found for key in shared if (found := list(_patch(base[key], each.objects[key])))}
        kustomization = {
            "resources": ["../../base", *sorted(names[key] for key in own)],
            "labels": [{"pairs": each.labels, "includeTemplates": True}] if each.labels else [],
            "images": each.images,
            "patches": [{"path": f"patches/{names[key]}", "target": _target(base[key])} for key in patches],
        }
        written[f"{folder}/kustomization.yaml"] = _kustomization(kustomization)
        written |= {f"{folder}/{names[key]}": as_yaml(each.objects[key]) for key in own}
        written |= {f"{folder}/patches/{names[key]}": as_yaml(patch) for key, patch in patches.items()}
    return written


class _Neutral:
    """A stack's objects without what Kustomize puts there itself: the stack's label, and images."""

    def __init__(self, stack: str, objects: Sequence[Object]) -> None:
        # What two places share would be changed in both.
        copies = [with_texts(each, str) for each in objects]
        self.labels: dict[str, str] = {}
        places = [labels for each in copies for labels in labels_of(each)]
        # A label that one of them lacks would be added to it.
        if all(labels.get(_INSTANCE) == stack for labels in places):
            self.labels = {_INSTANCE: stack}
            for labels in places:
                del labels[_INSTANCE]
        self.images = [_replaced(name, image) for name, image in _name_images(copies).items()]
        self.objects = {_key(each): each for each in copies}


def _name_images(objects: Sequence[Object]) -> dict[str, str]:
    """Give images the names of what runs in them; returns the images by name."""
    used: dict[str, set[str]] = {}
    found = [(each["metadata"]["labels"].get(_NAME, ""), c) for each in objects for c in containers_of(each)]
    for label, container in found:
        used.setdefault(label, set()).add(container["image"])
    images: dict[str, str] = {}
    for label, container in found:
        name = label if label and len(used[label]) == 1 else f"{label or 'image'}-{container['name']}"
        images[name], container["image"] = container["image"], name
    return dict(sorted(images.items()))


def _replaced(name: str, image: str) -> dict[str, str]:
    """As ``images`` of a kustomization has it."""
    repository, at, digest = image.partition("@")
    path, colon, tag = repository.rpartition(":")
    if not colon or "/" in tag:
        return {"name": name, "newName": repository, **({"digest": digest} if at else {})}
    return {"name": name, "newName": path, "newTag": f"{tag}@{digest}" if at else tag}


def _shared(stacks: Sequence[Mapping[Key, Object]]) -> list[Key]:
    return [
        key
        for key, manifest in stacks[0].items()
        if manifest["kind"] not in _OF_A_STACK and all(key in each for each in stacks)
    ]


def _key(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _file_names(keys: Sequence[Key]) -> dict[Key, str]:
    """``kind-name.yaml``, with the namespace where two would have that name."""
    plain = {key: f"{key[1].lower()}-{key[3].replace(':', '-')}" for key in keys}
    often = Counter(plain.values())
    return {
        key: f"{name}{f'.{key[2]}' if often[name] > 1 and key[2] else ''}.yaml" for key, name in plain.items()
    }


def _target(manifest: Mapping[str, Any]) -> dict[str, str]:
    group, _, version = manifest["apiVersion"].rpartition("/")
    metadata = manifest["metadata"]
    target = {"group": group, "version": version, "kind": manifest["kind"], "name": metadata["name"]}
    return {key: text for key, text in {**target, "namespace": metadata.get("namespace")}.items() if text}


def _patch(before: Any, after: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """The operations of RFC 6902 that make one of the other. Lists of other lengths are replaced whole."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                yield {"op": "remove", "path": below}
            elif key not in before:
                yield {"op": "add", "path": below, "value": after[key]}
            else:
                yield from _patch(before[key], after[key], below)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _patch(one, other, f"{path}/{number}")
    else:
        yield {"op": "replace", "path": path, "value": after}


def _kustomization(content: Mapping[str, Any]) -> str:
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return header("manifests") + as_yaml({**kind, **{key: value for key, value in content.items() if value}})
