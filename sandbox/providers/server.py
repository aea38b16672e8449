"""The engine's provider protocol in process: a gRPC server that asks a `Backend` in plain Python.

The engine attaches to the servers' ports (PULUMI_DEBUG_PROVIDERS) in place of the official plugins.
"""

import json
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.providers.wire import Properties, decode, encode

# Newer than any that a program asks for: the engine then accepts the stand-in for it.
_VERSION = "999.0.0"
# Large enough for the biggest manifest; the same limit as the engine's own.
_MESSAGE_LIMIT = 400 * 2**20
# Most of the calls in flight do nothing but wait for Kubernetes.
_THREADS = 64


@dataclass(frozen=True)
class Resource:
    """What a call is about."""

    urn: str

    @property
    def type(self) -> str:
        """Such as `aws:ec2/vpc:Vpc`."""
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True)
class Change:
    """How new inputs differ from old ones."""

    properties: Sequence[str] = ()
    """The top-level properties that differ; none means that there is nothing to do."""
    replaces: Sequence[str] = ()
    """Those of them that no update can change."""
    delete_first: bool = False
    """The old resource has to go before the new one can be."""


@dataclass(frozen=True)
class Answer:
    """A resource as it is after an operation. An empty id in a preview means: not known yet."""

    id: str
    outputs: Properties
    secrets: Collection[str] = ()
    """The outputs to be encrypted in the state, besides those that come from secret inputs."""


class RefusedError(Exception):
    """The operation cannot be done; the message is for the user."""


class NotReadyError(Exception):
    """The resource is there, but did not become ready: the engine keeps it and tries again the next time."""

    def __init__(self, answer: Answer, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer


class Backend(Protocol):
    """What answers for the resources of a package. Every method may raise `RefusedError`."""

    def check(self, resource: Resource, old: Properties | None, new: Properties, seed: bytes) -> Properties:
        """The inputs completed by defaults; `old` is None for a resource to be made."""

    def diff(self, resource: Resource, old_inputs: Properties, new_inputs: Properties) -> Change:
        """How inputs differ."""

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Answer:
        """Make a resource; `timeout` in seconds, 0 for the default."""

    def update(
        self,
        resource: Resource,
        inputs: Properties,
        old_outputs: Properties,
        *,
        preview: bool,
        timeout: float,
    ) -> Answer:
        """Change a resource in place."""

    def delete(self, resource: Resource, outputs: Properties, timeout: float) -> None:
        """Remove a resource; it is no error when it is gone."""

    def read(self, resource: Resource, resource_id: str, outputs: Properties) -> Answer | None:
        """A resource as it is now; None when it is gone."""

    def invoke(self, token: str, args: Properties) -> Properties:
        """Answer a function."""

    def begin(self) -> None:
        """An operation of the engine begins."""

    def cancel(self) -> None:
        """End what waits. The engine says so when it is interrupted, and at the end of each operation."""


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The protocol's side of one package."""

    def __init__(self, package: str, backend: Backend) -> None:
        self._package = package
        self._backend = backend

    # Secrets arrive as plain values; the engine itself marks the outputs that come from them.
    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False)

    def Attach(self, request: Any, context: Any) -> Empty:  # noqa: N802
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=_VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": self._package, "version": _VERSION}))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        # Whatever the configuration names (a region, a kubeconfig), the same emulation answers.
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._backend.begin()
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        # The engine sends the old inputs as an empty struct when there is no old resource, and names it otherwise.
        old = decode(request.olds) if request.olds.fields else None
        with _as_statuses(context):
            inputs = self._backend.check(Resource(request.urn), old, decode(request.news), request.randomSeed)
        return provider_pb2.CheckResponse(inputs=encode(inputs))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _as_statuses(context):
            old, new = decode(request.old_inputs), decode(request.news)
            change = self._backend.diff(Resource(request.urn), old, new)
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if change.properties else none,
            diffs=change.properties,
            replaces=change.replaces,
            deleteBeforeReplace=change.delete_first,
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _as_statuses(context, decode(request.properties)):
            inputs = decode(request.properties)
            answer = self._backend.create(
                Resource(request.urn), inputs, preview=request.preview, timeout=request.timeout
            )
        return provider_pb2.CreateResponse(id=answer.id, properties=_outputs(answer))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _as_statuses(context, decode(request.news)):
            answer = self._backend.update(
                Resource(request.urn),
                decode(request.news),
                decode(request.olds),
                preview=request.preview,
                timeout=request.timeout,
            )
        return provider_pb2.UpdateResponse(properties=_outputs(answer))

    def Delete(self, request: Any, context: Any) -> Empty:  # noqa: N802
        with _as_statuses(context):
            self._backend.delete(Resource(request.urn), decode(request.properties), request.timeout)
        return Empty()

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _as_statuses(context):
            answer = self._backend.read(Resource(request.urn), request.id, decode(request.properties))
        if answer is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=answer.id, properties=_outputs(answer), inputs=request.inputs)

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _as_statuses(context):
            answer = self._backend.invoke(request.tok, decode(request.args))
        response = provider_pb2.InvokeResponse()
        # The field is called `return`, which Python keeps for itself.
        getattr(response, "return").CopyFrom(encode(answer))
        return response

    def Cancel(self, request: Any, context: Any) -> Empty:  # noqa: N802
        self._backend.cancel()
        return Empty()


@dataclass(frozen=True)
class Served:
    """Stand-in providers that listen on loopback."""

    ports: dict[str, int]

    @property
    def environment(self) -> dict[str, str]:
        """What makes the engine attach to them."""
        return {
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{package}:{port}" for package, port in self.ports.items())
        }


@contextmanager
def served(backends: dict[str, Backend]) -> Iterator[Served]:
    """Serve each package's backend for as long as the context lasts."""
    size = [
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT),
    ]
    servers: list[grpc.Server] = []
    ports: dict[str, int] = {}
    try:
        for package, backend in backends.items():
            server = grpc.server(
                futures.ThreadPoolExecutor(_THREADS, thread_name_prefix=package), options=size
            )
            provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(package, backend), server)
            ports[package] = server.add_insecure_port("127.0.0.1:0")
            server.start()
            servers.append(server)
        yield Served(ports)
    finally:
        stopped: list[threading.Event] = [server.stop(grace=None) for server in servers]
        for event in stopped:
            event.wait()


def _outputs(answer: Answer) -> Struct:
    return encode(answer.outputs, answer.secrets)


@contextmanager
def _as_statuses(context: grpc.ServicerContext, inputs: Properties | None = None) -> Iterator[None]:
    """Turn a backend's exceptions into the protocol's statuses."""
    try:
        yield
    except NotReadyError as not_ready:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=not_ready.answer.id,
            properties=_outputs(not_ready.answer),
            reasons=[str(not_ready)],
            inputs=encode(inputs or {}),
        )
        _abort(context, str(not_ready), detail)
    except RefusedError as refused:
        _abort(context, str(refused))


def _abort(context: grpc.ServicerContext, message: str, *details: Any) -> NoReturn:
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")
