"""Deploy a stack with the real engine: Automation API, file backend, stand-in providers."""

import ast
import contextlib
import importlib
import runpy
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi
from pulumi import automation
from pulumi.automation import (
    CommandError,
    ConfigValue,
    LocalWorkspace,
    PulumiCommand,
    Stack,
    UpdateSummary,
)
from pulumi.automation._stack import StackInitMode

from sandbox.binaries.build import Engine
from sandbox.cluster.api import Api
from sandbox.cluster.kubernetes import Kubernetes
from sandbox.common import processes
from sandbox.common.console import step
from sandbox.common.errors import InputError, SandboxError
from sandbox.common.state import State
from sandbox.engine import checkpoint, stackfile
from sandbox.engine.checkpoint import Checkpoint
from sandbox.engine.events import Watch
from sandbox.engine.folder import in_folder
from sandbox.engine.stackfile import StackFile
from sandbox.engine.steps import Measured
from sandbox.providers.cloud import PACKAGES, Emulated
from sandbox.providers.server import Backend, served


@dataclass(frozen=True)
class Result:
    """What a deployment came to."""

    changes: Mapping[str, int]
    """Resources by operation; empty when nothing had to change."""
    touched: list[str]
    """What changed, a line each."""
    outputs: dict[str, Any]
    """The stack's outputs; what is secret in them reads `[secret]`."""
    began: float
    """When the first step was begun, Unix time; 0 where there was none."""
    steps: list[Measured]
    """What was done, in its order."""


def simulated(api: Api) -> dict[str, Backend]:
    """The backends of a sandbox whose pods do not run."""
    return {**{package: Emulated() for package in PACKAGES}, "kubernetes": Kubernetes(api)}


class _Stack(Stack):
    """A stack whose `up` leaves out three commands of the CLI whose output the engine's record has as well."""

    def outputs(self) -> dict[str, Any]:
        return {}

    def info(self, show_secrets: bool = True) -> UpdateSummary:
        return UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


class Deployment:
    """One stack of a project on its way into a sandbox."""

    def __init__(self, project: Path, source: StackFile, state: State, engine: Engine) -> None:
        self._project = project
        self._source = source
        self._state = state
        self._engine = engine
        self._raised: BaseException | None = None
        self._imports = threading.Thread(target=self._import, name="imports", daemon=True)

    def run(self, backends: dict[str, Backend], *, previewed: bool = False) -> Result:
        """Preview, and update when something differs.

        Args:
            backends: what answers the engine, by package.
            previewed: whether the user has seen what the update makes, of a stack that is not there yet.

        Raises:
            InputError: the program refused its settings.
            SandboxError: the preview or the update failed; with the engine's and the API server's words.
        """
        with served(backends) as providers, in_folder(self._project):
            # Meanwhile the engine starts, which takes as long as a third of the imports.
            self._imports.start()
            stand_ins = stackfile.copy(self._source, self._state.work)
            stack = self._stack(providers.environment)
            self._repair(stack)
            if stand_ins:
                values = {path: ConfigValue(value, secret=True) for path, value in stand_ins.items()}
                stack.set_all_config(values, path=True)
            stackfile.complete(self._source, self._state.work)
            if previewed:
                watch = self._update(stack)
            else:
                watch = self._preview(stack)
                if watch.changed:
                    watch = self._update(stack, total=watch.changes.total())
            outputs = self._checkpoint().outputs
            return Result(watch.changed, watch.touched, outputs, watch.began, watch.steps)

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
        return _Stack(state.stack, workspace, StackInitMode.CREATE_OR_SELECT)

    def _program(self) -> None:
        self._imports.join()
        try:
            runpy.run_path(str(self._project / "__main__.py"), run_name="__main__")
        except BaseException as raised:
            self._raised = raised
            raise

    def _import(self) -> None:
        """Import the packages that the program imports, by way of its own modules.

        Those are forgotten again: they may ask for the stack's settings, which they have only when the program runs.
        """
        before = set(sys.modules)
        # If one of them fails, so does the program, with the reason.
        with contextlib.suppress(Exception):
            for statement in ast.parse((self._project / "__main__.py").read_text()).body:
                if isinstance(statement, ast.Import):
                    for alias in statement.names:
                        importlib.import_module(alias.name)
                elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
                    importlib.import_module(statement.module)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] != __package__.partition(".")[0] and self._own(sys.modules[name]):
                del sys.modules[name]

    def _own(self, module: ModuleType) -> bool:
        """Whether a module is the project's own; its virtual environment may lie in its folder."""
        # A package without `__init__.py` has no file.
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        paths = [Path(place) for place in places if place]
        return any(path.is_relative_to(self._project) and "site-packages" not in path.parts for path in paths)

    def _preview(self, stack: Stack) -> Watch:
        with step("Preview") as progress:
            watch = Watch(progress, len(self._checkpoint().resources) or None)
            try:
                stack.preview(color="never", on_event=watch)
            except CommandError as error:
                raise self._failed("preview failed, nothing was changed", watch, error) from error
        return watch

    def _update(self, stack: Stack, total: int | None = None) -> Watch:
        with step(f"Deploy {self._source.path.name}") as progress:
            watch = Watch(progress, total)
            self._state.updating.touch()
            try:
                stack.up(color="never", on_event=watch, show_secrets=False)
            except CommandError as error:
                self._state.updating.unlink()
                done = sum(watch.changed.values())
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

        An object that was being made may be in the cluster already; server-side apply takes it up again.
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
