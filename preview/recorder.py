"""Runs the program in process and records every resource that it registers.

The engine's place is taken by a monitor that answers each registration with the emulated answer of ``sandbox.emulated``
and keeps the request. What the engine would be asked is thereby known in full: inputs, parents, dependencies,
protection, aliases.
"""

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import configure, set_root_resource
from pulumi.runtime.stack import run_in_stack

from sandbox import emulated

# The wire format of a secret (Pulumi's deployment protocol, "signatures").
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105


@dataclass(frozen=True)
class Secret:
    """A value that the program marked as secret. Printing it shows nothing of it."""

    value: Any = field(repr=False)

    def __repr__(self) -> str:
        return "[secret]"


@dataclass(frozen=True)
class Resource:
    """A resource as the program registered it; property names are the wire's (camelCase)."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    """Secrets are ``Secret``, at whatever depth."""
    outputs: Mapping[str, Any]
    """Inputs and what the provider adds, as emulated."""
    id: str
    dependencies: frozenset[str]
    """URNs that it waits for, whether by ``depends_on`` or by a property."""
    property_dependencies: Mapping[str, frozenset[str]]
    provider: str
    protect: bool
    aliases: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    delete_before_replace: bool
    additional_secret_outputs: tuple[str, ...]
    retain_on_delete: bool


@dataclass(frozen=True)
class Recording:
    """A whole run of a program."""

    resources: Mapping[str, Resource]
    """By URN, in the order of registration."""
    outputs: Mapping[str, Any]
    """The stack's; secrets are ``Secret``."""

    def of_type(self, type_: str) -> list[Resource]:
        """All resources of a type token."""
        return [resource for resource in self.resources.values() if resource.type == type_]

    def named(self, name: str) -> Resource:
        """The resource with a logical name.

        Raises:
            LookupError: there is none, or more than one.
        """
        found = [resource for resource in self.resources.values() if resource.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} resources are named {name}: {[r.type for r in found]}")
        return found[0]


def record(
    program: Callable[[], Awaitable[None] | None],
    *,
    project: str,
    stack: str,
    config: Mapping[str, str] | None = None,
    secret_keys: Iterable[str] = (),
) -> Recording:
    """Run ``program`` as the engine would, and return what it registered.

    Args:
        config: by full key, ``project:key``; objects as JSON, as the engine hands them over.
        secret_keys: the keys of ``config`` that hold secrets.

    Raises:
        Whatever the program raises, and ``emulated.UnknownType`` for a resource that nothing emulates.
    """
    recorder = _Recorder()
    features = set(recorder.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures)
    configure(
        mocks.MockSettings(
            monitor=recorder,
            monitor_features=features,
            engine=mocks.MockEngine(None),
            project=project,
            stack=stack,
            dry_run=False,
            organization="organization",
            callbacks=None,
        )
    )
    set_all_config(dict(config or {}), list(secret_keys))
    set_root_resource(None)  # type: ignore[arg-type]
    try:
        asyncio.run(run_in_stack(program))  # type: ignore[arg-type]
    finally:
        set_root_resource(None)  # type: ignore[arg-type]
    return Recording(dict(recorder.recorded), recorder.outputs)


class _Recorder(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(_NoMocks())
        self.recorded: dict[str, Resource] = {}
        self.outputs: dict[str, Any] = {}
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        urn = self.make_urn(request.parent, request.type, request.name)
        inputs = _secrets_marked(json_format.MessageToDict(request.object))
        id_, outputs = "", dict(inputs)
        if request.custom:
            id_, outputs = self._answer(request, urn, inputs)
        resource = Resource(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            custom=request.custom,
            inputs=inputs,
            outputs=outputs,
            id=id_,
            dependencies=frozenset(request.dependencies),
            property_dependencies={
                key: frozenset(dependencies.urns) for key, dependencies in request.propertyDependencies.items()
            },
            provider=request.provider or dict(request.providers).get(request.type.split(":")[0], ""),
            protect=request.protect,
            aliases=tuple(_alias(alias) for alias in request.aliases),
            ignore_changes=tuple(request.ignoreChanges),
            delete_before_replace=request.deleteBeforeReplace,
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
            retain_on_delete=request.retainOnDelete,
        )
        with self._lock:
            if urn in self.recorded:
                raise ValueError(f"two resources have the URN {urn}: give one of them another name")
            if request.type != "pulumi:pulumi:Stack":
                self.recorded[urn] = resource
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_, object=_struct(outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if "pulumi:pulumi:Stack" in request.urn:
            self.outputs = _secrets_marked(json_format.MessageToDict(request.outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        args = _plain(_secrets_marked(json_format.MessageToDict(request.args)))
        return resource_pb2.ResourceInvokeResponse(
            **{"return": _struct(emulated.invoke(request.tok, args))}
        )

    def _answer(self, request: Any, urn: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        if request.type.startswith("pulumi:providers:"):
            return request.name, dict(inputs)
        if request.type.startswith("kubernetes:") and request.type != "kubernetes:helm.sh/v3:Release":
            return _kubernetes(request.name, urn, inputs)
        created = emulated.create(request.type, request.name, _plain(inputs), urn)
        secret = emulated.secret_outputs(request.type) | set(request.additionalSecretOutputs)
        secret |= {key for key, value in inputs.items() if _has_secret(value)}
        return created.id, {
            key: Secret(value) if key in secret else value for key, value in created.outputs.items()
        }


class _NoMocks(mocks.Mocks):
    """The recorder answers by itself; the base class only wants to hold something."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise NotImplementedError

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise NotImplementedError


def _kubernetes(name: str, urn: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    metadata = dict(inputs.get("metadata") or {})
    # pulumi-kubernetes names what has no name: the logical name and a random suffix, here one that repeats.
    metadata.setdefault("name", f"{name}-{hashlib.sha256(urn.encode()).hexdigest()[:8]}")
    namespace = metadata.get("namespace")
    id_ = f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
    return id_, {**inputs, "metadata": metadata}


def _secrets_marked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return Secret(_plain(_secrets_marked(value.get("value"))))
        return {key: _secrets_marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_secrets_marked(item) for item in value]
    # A Struct has one kind of number; Pulumi's properties mean whole ones by whole ones.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _has_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_secret(item) for item in value)
    return isinstance(value, Secret)


def _wire(value: Any) -> Any:
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": value.value}
    if isinstance(value, dict):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    return value


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(_wire(dict(values)))
    return struct


def _alias(alias: Any) -> str:
    return str(alias.urn) if alias.WhichOneof("alias") == "urn" else json_format.MessageToJson(alias.spec, indent=None)
