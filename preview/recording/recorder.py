"""Runs the program in process and records every resource that it registers.

The engine's place is taken by a monitor that answers each registration with the emulated answer of ``sandbox.emulated``
and keeps the request. What the engine would be asked is thereby known in full: inputs, parents, dependencies,
protection, aliases.

It runs on one thread, so that a program registers in the same order every time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS, configure, set_root_resource
from pulumi.runtime.stack import run_in_stack

from preview.recording import urns
from preview.recording.answers import Answer, answer
from preview.recording.plan import PlannedResource, Secret
from preview.recording.shortcuts import Portions, shortcuts
from preview.recording.sources import told_by_one_line
from preview.recording.structs import from_struct, plain, with_outputs
from sandbox import emulated

_STACK = "pulumi:pulumi:Stack"
_NONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """A whole run of a program."""

    resources: Mapping[str, PlannedResource]
    """By URN, in the order of registration."""
    outputs: Mapping[str, Any]
    """The stack's; secrets are ``Secret``."""

    def of_type(self, type_: str) -> list[PlannedResource]:
        """All resources of a type token."""
        return [resource for resource in self.resources.values() if resource.type == type_]

    def named(self, name: str) -> PlannedResource:
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
    before: Mapping[str, PlannedResource] | None = None,
    folder: Path | None = None,
) -> Recording:
    """Run ``program`` as the engine would, and return what it registered.

    Args:
        config: by full key, ``project:key``; objects as JSON, as the engine hands them over.
        secret_keys: the keys of ``config`` that hold secrets.
        before: the resources that exist already: what is kept keeps its ids, and what is replaced gets others.
        folder: the program's; sources are told relative to it.

    Raises:
        Whatever the program raises, and ``emulated.UnknownType`` for a resource that nothing emulates.
    """
    region = (config or {}).get("aws:region", "")
    recorder = _Recorder(project, stack, before or {}, folder or Path.cwd(), region)
    features = set(recorder.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures)  # type: ignore[no-untyped-call]
    configure(
        mocks.MockSettings(  # type: ignore[no-untyped-call]
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
    # What a recording that failed left behind belongs to a loop that is closed.
    SETTINGS.outputs.clear()
    try:
        with asyncio.Runner() as runner, told_by_one_line(Portions().begun), shortcuts():
            loop = runner.get_loop()
            loop.set_default_executor(_Inline())
            # A failure is raised once; the loop would besides print it for every output that depends on it.
            loop.set_exception_handler(lambda _loop, _context: None)
            runner.run(run_in_stack(lambda: _settled(program)))
    finally:
        set_root_resource(None)  # type: ignore[arg-type]
    return Recording(recorder.recorded, recorder.outputs)


async def _settled(program: Callable[[], Awaitable[None] | None]) -> None:
    """Run ``program``, and wait until all that it started has ended well or something failed.

    The SDK would wait for one output at a time and look at all of them each time, which takes the square of their
    number; what is left for it then is to tell the failure.
    """
    result = program()
    if isawaitable(result):
        await result
    while pending := {task for task in (*SETTINGS.outputs, *SETTINGS.rpc_manager.rpcs) if not task.done()}:
        done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
        if any(task.exception() for task in done):
            return


class _Inline(ThreadPoolExecutor):
    """Runs what it is given at once: the monitor answers from memory, and threads would only shuffle the order."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class _Recorder(mocks.MockMonitor):
    def __init__(
        self, project: str, stack: str, before: Mapping[str, PlannedResource], folder: Path, region: str
    ) -> None:
        super().__init__(_NoMocks())
        self.recorded: dict[str, PlannedResource] = {}
        self.outputs: dict[str, Any] = {}
        self._project, self._stack, self._before, self._region = project, stack, before, region
        self._folder = f"{folder.resolve()}/"
        self._files: dict[str, str] = {}
        self._stack_urn = urns.make(stack, project, "", _STACK, f"{project}-{stack}")

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        if request.type == _STACK:
            return resource_pb2.RegisterResourceResponse(urn=self._stack_urn)
        parent = "" if request.parent == self._stack_urn else request.parent
        urn = urns.make(self._stack, self._project, parent, request.type, request.name)
        if urn in self.recorded:
            raise ValueError(f"two resources have the URN {urn}: give one of them another name")
        above = self.recorded.get(parent)
        aliases = urns.former(
            self._stack,
            self._project,
            parent,
            request.type,
            request.name,
            map(_alias, request.aliases),
            above.aliases if above else _NONE,
        )
        inputs = from_struct(request.object)
        if request.type.startswith("pulumi:providers:") and request.version:
            # The engine keeps the plugin's version with the provider's inputs.
            inputs["version"] = request.version
        known_as = urn if urn in self._before else next((a for a in aliases if a in self._before), "")
        provider = self.recorded.get(request.provider.rpartition("::")[0])
        answered = (
            answer(request, urn, inputs, self._before.get(known_as), provider)
            if request.custom
            else Answer("", {})
        )
        outputs = {**inputs, **answered.added}
        self.recorded[urn] = PlannedResource(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=parent,
            custom=request.custom,
            inputs=inputs,
            outputs=outputs,
            id=answered.id,
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                key: tuple(sorted(found.urns))
                for key, found in sorted(request.propertyDependencies.items())
                if found.urns
            },
            provider=request.provider,
            protect=request.protect,
            aliases=aliases,
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            delete_before_replace=request.deleteBeforeReplace,
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
            retain_on_delete=request.retainOnDelete,
            source=self._source(request.sourcePosition),
        )
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=answered.id, object=with_outputs(request.object, answered.added)
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if request.urn == self._stack_urn:
            self.outputs = from_struct(request.outputs)
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        args = plain(from_struct(request.args))
        if request.tok.startswith("pulumi:"):
            # Of the engine itself: another stack, which is taken to be in the region of this one.
            args = {**args, "region": self._region}
        answered = emulated.invoke(request.tok, args)
        # The field is a keyword of Python.
        response: dict[str, Any] = {"return": with_outputs(None, answered)}
        return resource_pb2.ResourceInvokeResponse(**response)

    def _source(self, position: Any) -> str:
        """``components/network/network.py:57``: the line that made it."""
        file = self._files.get(position.uri)
        if file is None:
            file = self._files[position.uri] = position.uri.removeprefix(self._folder)
        return f"{file}:{position.line}" if file else ""


class _NoMocks(mocks.Mocks):
    """The recorder answers by itself; the base class only wants to hold something."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise NotImplementedError

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise NotImplementedError


def _alias(alias: Any) -> urns.Alias:
    if alias.WhichOneof("alias") == "urn":
        return urns.Alias(urn=alias.urn)
    spec = alias.spec
    return urns.Alias(
        name=spec.name or None,
        type=spec.type or None,
        stack=spec.stack or None,
        project=spec.project or None,
        parent="" if spec.noParent else spec.parentUrn or None,
    )


__all__ = ["Recording", "Secret", "record"]
