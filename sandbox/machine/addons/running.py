"""Build, start and watch the add-ons of one sandbox."""

import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from sandbox.binaries import build
from sandbox.binaries.build import Module
from sandbox.cluster.api import Api
from sandbox.common import processes
from sandbox.common.console import step
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine.account import Account
from sandbox.machine.addons.addon import Addon, Command

_START_SECONDS = 90.0


class Addons:
    """Those that a stack asks for, and no others."""

    def __init__(
        self, state: State, cache: Path, namespaces: Namespaces, account: Account, known: Sequence[Addon]
    ) -> None:
        self._state = state
        self._cache = cache
        self._namespaces = namespaces
        self._account = account
        self._known = known
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def unbuilt(self) -> list[Module]:
        """What has to be built before they can run."""
        modules = {each.module.folder: each.module for each in self._wanted()}
        return [module for module in modules.values() if not (self._cache / module.key).exists()]

    def resume(self, api: Api) -> None:
        """Run those again that are built and have ended, as after a reboot: what an update deletes may need them."""
        alive = processes.running(self._state.id)
        for addon in self._wanted():
            if addon.role not in alive and (self._cache / addon.module.key).exists():
                self._run(addon, addon.prepare(api, self._account))

    def require(self, addon: Addon, api: Api) -> None:
        """Run one now, because pods wait for what it makes.

        Raises:
            SandboxError: it cannot be built, or does not serve in time; with the end of its log.
        """
        # The engine makes several objects at once.
        with self._lock:
            build.ensure(self._cache, [addon.module])
            self._run(addon, addon.prepare(api, self._account))
            self._await(addon, api)

    def ensure(self, api: Api) -> None:
        """Run those that the stack asks for as it asks for them, and end the others.

        Raises:
            SandboxError: one cannot be built, or does not serve in time; with the end of its log.
        """
        wanted = self._wanted()
        build.ensure(self._cache, self.unbuilt())
        alive = processes.running(self._state.id)
        for addon in self._known:
            if addon not in wanted and (running := alive.get(addon.role)):
                for hook in addon.hooks:
                    api.delete(hook.api_version, hook.kind, None, hook.name)
                processes.stop(running)
        if not wanted:
            return
        with step("Add-ons") as progress:
            for addon in wanted:
                progress.update(detail=addon.role)
                self._run(addon, addon.prepare(api, self._account))
            for addon in wanted:
                progress.update(detail=addon.role)
                self._await(addon, api)

    def run(self, role: str) -> bool:
        """Whether an add-on runs."""
        return role in processes.running(self._state.id)

    def _wanted(self) -> list[Addon]:
        return [addon for addon in self._known if addon.wanted(self._account)]

    def _run(self, addon: Addon, run: Command) -> None:
        binary = self._cache / addon.module.key / "bin" / addon.role
        command = [str(binary), *run.arguments]
        alive = processes.running(self._state.id).get(addon.role, [])
        if [process for process in alive if processes.command(process) == command]:
            return
        processes.stop(alive)
        log = self._log(addon)
        log.unlink(missing_ok=True)
        self._started[addon.role] = processes.start(
            self._state.id,
            addon.role,
            [*self._namespaces.enter, *command],
            log,
            environment=run.environment,
        )

    def _await(self, addon: Addon, api: Api) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while obstacle := addon.obstacle(api):
            ended = self._ended(addon)
            if ended or time.monotonic() > deadline:
                late = f"does not serve after {_START_SECONDS:.0f} s: {obstacle}"
                log = self._log(addon)
                words = "\n  ".join(processes.last_lines(log, 5))
                raise SandboxError(f"{addon.role} {'ended' if ended else late}\nThe end of {log}:\n  {words}")
            time.sleep(0.3)

    def _ended(self, addon: Addon) -> bool:
        if started := self._started.get(addon.role):
            # Among those that run it is found only once it is in the namespaces.
            return started.poll() is not None
        return not self.run(addon.role)

    def _log(self, addon: Addon) -> Path:
        return self._state.logs / f"{addon.role}.log"
