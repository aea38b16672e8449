"""Deploy a stack with the real engine: Automation API, file backend, stand-in providers."""

import os
import runpy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi import automation
from pulumi.automation import CommandError, ConfigValue, LocalWorkspace, PulumiCommand, Stack

from sandbox import checkpoint, processes, stackfile
from sandbox.api import Api
from sandbox.checkpoint import Checkpoint
from sandbox.cloud import PACKAGES, Emulated
from sandbox.console import Step, step
from sandbox.engine import Engine
from sandbox.errors import InputError, SandboxError
from sandbox.events import Watch
from sandbox.kubernetes import Kubernetes
from sandbox.providers import Backend, served
from sandbox.stackfile import StackFile
from sandbox.state import State


@dataclass(frozen=True)
class Result:
    """What a deployment came to."""

    changes: Mapping[str, int]
    """Resources by operation; empty when nothing had to change."""
    touched: list[str]
    """What changed, a line each."""
    outputs: dict[str, Any]
    """The stack's outputs; what is secret in them reads `[secret]`."""


def simulated(api: Api) -> dict[str, Backend]:
    """The backends of a sandbox whose pods do not run."""
    return {**{package: Emulated() for package in PACKAGES}, "kubernetes": Kubernetes(api)}


class Deployment:
    """One stack of a project on its way into a sandbox."""

    def __init__(self, project: Path, source: StackFile, state: State, engine: Engine) -> None:
        self._project = project
        self._source = source
        self._state = state
        self._engine = engine
        self._raised: BaseException | None = None

    def run(self, backends: dict[str, Backend]) -> Result:
        """Preview, and update when something differs.

        Args:
            backends: what answers the engine, by package.

        Raises:
            InputError: the program refused its settings.
            SandboxError: the preview or the update failed; with the engine's and the API server's words.
        """
        with served(backends) as providers, self._in_project():
            stand_ins = stackfile.copy(self._source, self._state.work)
            stack = self._stack(providers.environment)
            self._repair(stack)
            if stand_ins:
                values = {path: ConfigValue(value, secret=True) for path, value in stand_ins.items()}
                stack.set_all_config(values, path=True)
            stackfile.complete(self._source, self._state.work)
            with step("Preview") as progress:
                planned = self._preview(stack, progress)
            changes = {op: count for op, count in planned.changes.items() if op != "same"}
            if changes:
                with step(f"Deploy {self._source.path.name}") as progress:
                    planned = self._update(stack, progress, total=planned.changes.total())
            outputs = self._checkpoint().outputs
            return Result(
                {op: count for op, count in planned.changes.items() if op != "same"}, planned.touched, outputs
            )

    def _stack(self, providers: Mapping[str, str]) -> Stack:
        state, root = self._state, self._engine.pulumi_root
        workspace = LocalWorkspace(
            work_dir=str(state.work),
            program=self._program,
            pulumi_command=PulumiCommand(root=str(root) if root else None),
            env_vars={
                **providers,
                **processes.marks(state.id, "pulumi"),
                "PULUMI_BACKEND_URL": state.backend.resolve().as_uri(),
                "PULUMI_HOME": str(state.pulumi_home),
                "PULUMI_CONFIG_PASSPHRASE_FILE": str(state.passphrase),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            },
        )
        return Stack.create_or_select(state.stack, workspace)

    def _program(self) -> None:
        try:
            runpy.run_path(str(self._project / "__main__.py"), run_name="__main__")
        except BaseException as raised:
            self._raised = raised
            raise

    @contextmanager
    def _in_project(self) -> Iterator[None]:
        """The program runs in its own folder and finds its own modules first, as under `pulumi up`."""
        before = Path.cwd()
        os.chdir(self._project)
        sys.path.insert(0, str(self._project))
        try:
            yield
        finally:
            sys.path.remove(str(self._project))
            os.chdir(before)

    def _preview(self, stack: Stack, progress: Step) -> Watch:
        watch = Watch(progress, len(self._checkpoint().resources) or None)
        try:
            stack.preview(color="never", on_event=watch)
        except CommandError as error:
            raise self._failed("preview failed, nothing was changed", watch, error) from error
        return watch

    def _update(self, stack: Stack, progress: Step, total: int) -> Watch:
        watch = Watch(progress, total)
        self._state.updating.touch()
        try:
            stack.up(color="never", on_event=watch, show_secrets=False)
        except CommandError as error:
            self._state.updating.unlink()
            done = sum(count for op, count in watch.changes.items() if op != "same")
            what = f"update failed after {done} changes; correct it and run `make up` again"
            raise self._failed(what, watch, error) from error
        self._state.updating.unlink()
        return watch

    def _failed(self, what: str, watch: Watch, error: CommandError) -> SandboxError:
        if isinstance(self._raised, pulumi.RunError):
            # The program's own words to its user: a settings file that it refuses.
            return InputError(str(self._raised))
        return SandboxError("\n".join([f"{self._state.stack}: {what}", *(watch.errors or [str(error)])]))

    def _checkpoint(self) -> Checkpoint:
        return checkpoint.read(self._state.checkpoint(stackfile.project_name(self._project)))

    def _repair(self, stack: Stack) -> None:
        """Make good what an update left that was killed: its lock, and operations that it had begun.

        An object that was being made may stand in the cluster already; server-side apply takes it up again.
        """
        if not self._state.updating.exists():
            return
        processes.stop(processes.running(self._state.id).get("pulumi", []))
        stack.cancel()
        deployed = stack.export_stack()
        if deployed.deployment and deployed.deployment.get("pending_operations"):
            kept = {key: value for key, value in deployed.deployment.items() if key != "pending_operations"}
            stack.import_stack(automation.Deployment(version=deployed.version, deployment=kept))
        self._state.updating.unlink()
