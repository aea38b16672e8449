"""A stack file as the sandbox and the preview use it: read as data, and run from a copy.

Encrypted values (`secure:`) cannot be read without the stack's key, which nobody needs here. In the copy each is a
stand-in, marked secret and encrypted for the sandbox; the file itself is never written.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.cluster.nodes import NodeGroup, Topology
from sandbox.common.command import stacks_of
from sandbox.common.errors import InputError
from stacks import reading
from stacks.instance_types import node_size
from stacks.policy_exceptions import PolicySettings, policy_settings
from stacks.problems import SettingsError

# How the stack's own secrets are encrypted; the copy has a passphrase of its own.
_ENCRYPTION = ("encryptionsalt", "encryptedkey", "secretsprovider")


# Processors as EKS calls them, and as Kubernetes does.
_ARCHITECTURES = {"x86_64": "amd64"}

# In the folder of the copy: the fingerprint of the files that it is a complete copy of.
_COMPLETE = "complete"


@dataclass(frozen=True)
class StackFile(reading.StackFile):
    """`Pulumi.<stack>.yaml` of a project."""

    def topology(self, project: str) -> Topology:
        """Where the stack's nodes are to stand.

        Raises:
            InputError: the region is missing, or a setting that it depends on is of the wrong type.
        """
        region = self.config.get("aws:region")
        if not isinstance(region, str):
            raise InputError(
                f"{self.path}: config aws:region is {region!r}: name the region, such as eu-central-1"
            )
        zones = self._setting(project, "network", "zones", 2)
        if type(zones) is not int or not 1 <= zones <= 6:
            raise InputError(f"{self.path}: settings.network.zones is {zones!r}: give a number from 1 to 6")
        architecture = str(self._setting(project, "cluster", "architecture", "x86_64"))
        return Topology(
            region, zones, _ARCHITECTURES.get(architecture, architecture), tuple(self._node_groups(project))
        )

    def sources(self, project: str) -> dict[str, Path | None]:
        """The LangGraph project of each agent that is built from this checkout; None for the reference agent."""
        settings = self.config.get(f"{project}:settings")
        listed = settings.get("agents") if isinstance(settings, dict) else None
        agents = [agent for agent in listed or () if isinstance(agent, dict) and not agent.get("image")]
        return {
            str(agent.get("name")): self.path.parent / str(agent["source"]) if agent.get("source") else None
            for agent in agents
        }

    def _node_groups(self, project: str) -> Iterator[NodeGroup]:
        """The node groups whose size is known; what is wrong with others is said by the program.

        None with Karpenter, which starts what the pods ask for.
        """
        if self._setting(project, "cluster", "compute", None) == "karpenter":
            return
        for group in self._setting(project, "cluster", "nodeGroups", ()) or ():
            if not isinstance(group, dict) or not isinstance(types := group.get("instanceTypes"), list):
                continue
            sizes = [size for type_ in types if (size := node_size(str(type_))) is not None]
            nodes = group.get("maxSize")
            if sizes and isinstance(nodes, int):
                smallest = min(sizes, key=lambda size: (size.cpu_millis, size.memory_mib))
                yield NodeGroup(str(group.get("name", "")), smallest, nodes)

    def check_kubernetes(self, project: str, built: str) -> None:
        """Compare the stack's Kubernetes version with the minor version that the sandbox runs.

        Raises:
            InputError: they differ.
        """
        version = self._setting(project, "cluster", "version", built)
        wanted = self.written(["config", f"{project}:settings", "cluster", "version"], version) or str(
            version
        )
        if wanted != built:
            raise InputError(
                f"{self.path}: settings.cluster.version is {wanted}, and the sandbox runs Kubernetes {built}: change"
                " the one, or pin k8s.io/kubernetes and its parts in sandbox/binaries/go/kubernetes/go.mod to the other"
            )

    def for_policies(self, project: str) -> PolicySettings:
        """What the settings say to policies.

        Raises:
            InputError: that is wrong.
        """
        try:
            stack = self.path.name.removeprefix("Pulumi.").removesuffix(".yaml")
            return policy_settings(self.config.get(f"{project}:settings"), stack=stack)
        except SettingsError as error:
            raise InputError(str(error)) from None

    def _setting(self, project: str, section: str, field: str, default: object) -> Any:
        settings = self.config.get(f"{project}:settings") or {}
        part = settings.get(section) if isinstance(settings, dict) else None
        return part.get(field, default) if isinstance(part, dict) else default


def load(project: Path, stack: str) -> StackFile:
    """Read a stack's file.

    Raises:
        InputError: there is none, it is not YAML, or it has a key twice.
    """
    path = project / f"Pulumi.{stack}.yaml"
    if not path.exists():
        raise InputError(
            f"there is no {path}: give STACK={' or STACK='.join(stacks_of(project)) or '<name>'}"
        )
    found = _read(path)
    return StackFile(path, found.content, found.numbers)


def project_name(project: Path) -> str:
    """The name in `Pulumi.yaml`, which is the namespace of its configuration.

    Raises:
        InputError: there is no such file, or no name in it.
    """
    path = project / "Pulumi.yaml"
    if not path.exists():
        raise InputError(f"{path} is missing: run in the folder of a Pulumi project")
    name = _read(path).content.get("name")
    if not isinstance(name, str):
        raise InputError(f"{path}: name is {name!r}: give the project a name")
    return name


def copy(source: StackFile, work: Path) -> dict[str, str]:
    """Write the project's files to `work`, without encrypted values.

    Returns:
        Their placeholders: configuration path (such as `p:apiKeys["support"]`) to placeholder, to be encrypted into
        the copy and then confirmed by `complete`. Nothing when a complete copy of the same files is there. A changed
        encrypted value has another stand-in, so that it rolls what uses it, as it would in the cloud.
    """
    if _is_complete(source, work):
        return {}
    (work / _COMPLETE).unlink(missing_ok=True)
    shutil.copyfile(source.path.parent / "Pulumi.yaml", work / "Pulumi.yaml")
    target = work / source.path.name
    config = {key: value for key, value in source.config.items() if not _is_secure(value)}
    content: dict[str, Any] = {k: v for k, v in source.content.items() if k not in _ENCRYPTION}
    content["config"] = {key: _without_secure(value) for key, value in config.items()}
    # The salt stays from copy to copy, or each would encrypt the state anew.
    salt = _read(target).content.get("encryptionsalt") if target.exists() else None
    if salt:
        content["encryptionsalt"] = salt
    target.write_text(reading.text(content))
    return {
        path: _stand_in(path, encrypted)
        for key, value in source.config.items()
        for path, encrypted in _secure(value, key)
    }


def with_stand_ins(value: Any, path: str) -> Any:
    """A value of a stack's configuration with a stand-in for each encrypted value within it.

    Args:
        path: where it stands, in Pulumi's notation.
    """
    if _is_secure(value):
        return _stand_in(path, str(value["secure"]))
    if isinstance(value, dict):
        return {key: with_stand_ins(item, f"{path}[{json.dumps(key)}]") for key, item in value.items()}
    if isinstance(value, list):
        return [with_stand_ins(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def _stand_in(path: str, encrypted: str) -> str:
    return f"stand-in-{hashlib.sha256(f'{path}={encrypted}'.encode()).hexdigest()[:24]}"


def complete(source: StackFile, work: Path) -> None:
    """Note that the copy has all its stand-ins: encrypting them anew takes a second or two."""
    (work / _COMPLETE).write_text(_fingerprint(source))


def _is_complete(source: StackFile, work: Path) -> bool:
    note = work / _COMPLETE
    return note.exists() and note.read_text() == _fingerprint(source)


def _fingerprint(source: StackFile) -> str:
    files = (source.path, source.path.parent / "Pulumi.yaml")
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _is_secure(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _secure(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The encrypted values within a value, each with its path in Pulumi's notation."""
    if _is_secure(value):
        yield path, str(value["secure"])
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _secure(item, f"{path}[{json.dumps(key)}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secure(item, f"{path}[{index}]")


def _without_secure(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secure(item) for key, item in value.items() if not _is_secure(item)}
    if isinstance(value, list):
        # A list keeps its length, so that the stand-ins find their places.
        return ["" if _is_secure(item) else _without_secure(item) for item in value]
    return value


def _read(path: Path) -> reading.StackFile:
    try:
        return reading.read(path)
    except reading.StackFileError as error:
        raise InputError(str(error)) from None
