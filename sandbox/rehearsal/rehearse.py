"""`make rehearse BASE=<git ref>`: the change to a stack, done to real pods under load, before it is merged.

The base is deployed, its agents are asked without a pause, and the working tree is deployed over it. What the callers
saw meanwhile is the answer.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sandbox.cluster import agents
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import running_endpoint
from sandbox.common import addresses
from sandbox.common.console import console, step
from sandbox.common.errors import InputError, SandboxError
from sandbox.common.state import State
from sandbox.engine import commit
from sandbox.engine.steps import Measured, What
from sandbox.machine.addons.cert_manager import CertManager
from sandbox.machine.addons.traefik import hosts
from sandbox.rehearsal.load import SHORT, Load
from sandbox.rehearsal.timeline import Timeline, foreseen, timeline

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]

# Long enough for callers to be there before the change, and to meet what comes after it.
_BEFORE_SECONDS = 5.0
_AFTER_SECONDS = 10.0
# Above the longest grace period of a pod.
_ROLLOUT_SECONDS = 4500.0


@dataclass(frozen=True)
class Seen:
    """What became of one agent."""

    name: str
    pods_rolled: int
    """Pods of the base that have ended, or are about to."""
    speaks: bool
    """Whether it was asked questions; one with a provider's model was only asked whether it is ready."""
    load: dict[str, Any]
    """What its callers saw, as `sandbox.rehearsal.load.Observed.summary` has it."""

    @property
    def harmed(self) -> bool:
        """Whether a caller was not answered."""
        return bool(self.load["failed"] or self.load["runs_lost"])


@dataclass(frozen=True)
class Rehearsal:
    """What a reviewer wants to know of a change."""

    stack: str
    base: str
    """The commit that was deployed first."""
    seconds: float
    """How long the change took to deploy, rollouts included."""
    changes: dict[str, int]
    """Resources by operation."""
    touched: list[str]
    """Those that changed, a line each."""
    agents: list[Seen]
    timeline: Timeline = field(default_factory=Timeline)
    """The steps that the preview draws, and beside each what was seen."""
    unpreviewed: str = ""
    """Why there is no preview to compare with; empty when there is."""
    error: str = ""
    """Why the change could not be deployed; empty when it was."""

    @property
    def clean(self) -> bool:
        """Whether it was deployed and no caller was harmed."""
        return not self.error and not any(agent.harmed for agent in self.agents)

    def to_json(self) -> str:
        """As data."""
        return json.dumps({"version": 1, **asdict(self), "clean": self.clean}, indent=2) + "\n"

    def to_markdown(self) -> str:
        """As a part of a pull request's comment."""
        environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            # Markdown, not HTML.
            autoescape=False,  # noqa: S701
        )
        replaced = [line for line in self.touched if line.startswith("replace")]
        return environment.get_template("rehearsal.md.j2").render(rehearsal=self, replaced=replaced)


def rehearse(base: str, stack: str, project: Path, root: Path, cache: Path) -> Rehearsal:
    """Deploy the base and then the project over it, under load, into a sandbox of its own that ends with it.

    Args:
        base: a git ref.
        stack: the stack.
        project: the folder of the Pulumi project, as it is now.
        root: the folder of the sandbox's state.
        cache: the folder of the binaries.

    Raises:
        InputError: there is no such commit, or it does not have the stack.
        SandboxError: the base cannot be deployed.
    """
    state = State(root, stack)
    if state.exists:
        raise SandboxError(
            f"{state.folder} is there from a rehearsal before: `python -m sandbox down --state {root}`"
        )
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        exported = commit.export(base, project, Path(folder))
        if not (exported.project / f"Pulumi.{stack}.yaml").exists():
            raise InputError(f"--base {base} has no Pulumi.{stack}.yaml: there is nothing to change from")
        with step("Preview the change"):
            expected = foreseen(exported.commit, stack, project)
        run = _Runner(stack, root, cache)
        try:
            with step(f"Deploy {base}"):
                run.up(exported.project)
            with Api(_endpoint(state)) as api:
                return _change(run, api, state, exported.commit, project, expected)
        finally:
            run.down()


def _change(
    run: "_Runner",
    api: Api,
    state: State,
    base: str,
    project: Path,
    expected: list[Mapping[str, Any]] | str,
) -> Rehearsal:
    before = _pods(api)
    reached = _reached(api, state)
    error = ""
    done: dict[str, Any] = {"changes": {}, "touched": [], "began": 0.0, "steps": []}
    with step("Deploy the working tree, under load"), Load([way for _, way in reached]) as load:
        time.sleep(_BEFORE_SECONDS)
        began = time.monotonic()
        try:
            done = run.up(project)
        except SandboxError as failed:
            error = str(failed)
        seconds = time.monotonic() - began
        after = _pods(api, ending=False)
        if not error:
            _restart(state)
        time.sleep(_AFTER_SECONDS)
    return Rehearsal(
        stack=state.stack,
        base=base,
        seconds=round(seconds, 1),
        changes=done["changes"],
        touched=done["touched"],
        agents=[
            Seen(name, len(before.get(name, set()) - after.get(name, set())), way.speaks, observed.summary())
            for (name, way), observed in zip(reached, load.observed, strict=True)
        ],
        timeline=Timeline() if error else _timeline(expected, done, load),
        unpreviewed=expected if isinstance(expected, str) else "",
        error=error,
    )


def _timeline(expected: list[Mapping[str, Any]] | str, done: Mapping[str, Any], load: Load) -> Timeline:
    measured = [Measured(**{**each, "what": What(each["what"])}) for each in done["steps"]]
    harmed = [at - done["began"] for observed in load.observed for at in observed.harmed]
    if isinstance(expected, str):
        return replace(timeline([], measured, harmed), otherwise=())
    return timeline(expected, measured, harmed)


def _restart(state: State) -> None:
    """Roll the pods once more, as the next change will: a pod ends as its own manifest says, not as its successor's.

    Raises:
        SandboxError: the rollout does not end.
    """
    with Api(_endpoint(state), field_manager="rehearsal") as api:
        before = _uids(api)
        restarted = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
        for deployment in api.list("apps/v1", "Deployment", labels=agents.SERVER):
            metadata = {key: deployment["metadata"][key] for key in ("name", "namespace")}
            template = {"metadata": {"annotations": restarted}}
            api.apply(
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": metadata,
                    "spec": {"template": template},
                },
                force=True,
            )
        deadline = time.monotonic() + _ROLLOUT_SECONDS
        while left := before & _uids(api):
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{len(left)} pods of the change have not ended after {_ROLLOUT_SECONDS:.0f} s"
                )
            time.sleep(0.5)


def _pods(api: Api, *, ending: bool = True) -> dict[str, set[str]]:
    """The pods of each agent, by their uids; with those that end, or without."""
    found: dict[str, set[str]] = {}
    for pod in api.list("v1", "Pod", labels=agents.SERVER):
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata and not ending:
            continue
        found.setdefault(metadata["labels"]["app.kubernetes.io/name"], set()).add(metadata["uid"])
    return found


def _uids(api: Api) -> set[str]:
    """The pods of all agents, those that end among them."""
    return set[str]().union(*_pods(api).values())


def _reached(api: Api, state: State) -> list[tuple[str, agents.Reached]]:
    """How each agent is asked, and whether it answers questions."""
    address = str(addresses.ensure(state.machine / "addresses.json").ingress)
    found = agents.reachable(api, address, CertManager(state).authority, hosts(api))
    return [(agent.name, replace(way, speaks=asyncio.run(_speaks(way)))) for agent, way in found]


async def _speaks(agent: agents.Reached) -> bool:
    async with agent.client() as client:
        answer = await client.post("/invoke", json={"input": SHORT.input})
    return answer.is_success and SHORT.answer in answer.text


def _endpoint(state: State) -> Any:
    endpoint = running_endpoint(state)
    if endpoint is None:
        raise SandboxError("the sandbox has ended meanwhile")
    return endpoint


@dataclass(frozen=True)
class _Runner:
    """The sandbox's own commands, each in a process of its own: two versions of a program do not share one."""

    stack: str
    root: Path
    cache: Path

    def up(self, project: Path) -> dict[str, Any]:
        """Deploy a project; returns what `up --json` prints.

        Raises:
            SandboxError: it failed; with its words.
        """
        done = self._run("up", "--project", str(project), "--nodes", "real", "--json")
        if done.returncode:
            raise SandboxError(done.stderr.strip())
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def down(self) -> None:
        done = self._run("down")
        if done.returncode:
            console.print(done.stderr.strip(), style="red", markup=False)

    def _run(self, verb: str, *more: str) -> "subprocess.CompletedProcess[str]":
        where: Sequence[str] = ["--state", str(self.root), "--stack", self.stack, "--cache", str(self.cache)]
        command = [sys.executable, "-m", "sandbox", verb, *where, *more]
        return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
