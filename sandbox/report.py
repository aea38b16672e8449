"""What a sandbox looks like: as data for programs, and as text for people."""

import asyncio
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import yaml
from rich.table import Table

from langgraph_agents_service.example import example
from sandbox.binaries.build import Engine
from sandbox.cluster import controlplane
from sandbox.cluster.agents import Agent, Reached
from sandbox.cluster.api import Api, Object
from sandbox.cluster.controlplane import running_endpoint
from sandbox.common import processes
from sandbox.common.console import console
from sandbox.common.state import State

_MESSAGES = [{"role": "user", "content": "What is 6*7?"}]
_WORKLOADS = (("apps/v1", "Deployment"), ("batch/v1", "Job"), ("batch/v1", "CronJob"))

# Short, since it is the end of every `make up`; docs/sandbox.md has the whole of it.
_ALWAYS = (
    ("Pulumi engine", "real", "state, diffs, secrets"),
    ("Kubernetes control plane", "real", "schemas, admission, quotas, rollouts"),
)

_SIMULATED = (
    ("nodes and pods", "simulated", "pods turn ready or complete, nothing runs in them"),
    ("agents", "processes", "with the stack's settings and stores of their own"),
    ("add-ons, Helm releases", "emulated", "their CRDs are real, no controller acts"),
    ("NetworkPolicies, HPA", "accepted", "not enforced, not scaled"),
    ("AWS, random, docker-build", "emulated", "plausible answers"),
)

_REAL = (
    ("node, pods, Services, DNS", "real", "kubelet, containerd, kube-proxy, CoreDNS"),
    ("images", "real", "built by BuildKit, used by digest"),
    ("RDS", "PostgreSQL", "with TLS"),
    ("ElastiCache", "Redis", "with TLS, one server"),
    ("secrets in pods", "files", "of the emulated Secrets Manager"),
    ("metrics-server, Traefik", "real", "the HPA scales, the Ingress answers"),
    ("cert-manager", "real", "certificates by an authority of its own"),
    ("KEDA", "real", "pods by the queue, where a stack has one"),
    ("other add-ons, Helm releases", "emulated", "accepted, nothing is installed"),
    ("NetworkPolicies", "accepted", "not enforced"),
    ("the rest of AWS, random", "emulated", "plausible answers"),
)


def describe(state: State) -> dict[str, Any]:
    """The state of a sandbox as data.

    Returns:
        `{stack, running, server, kubeconfig, processes: [{role, pid, memory_mib, listens}], workloads: [{namespace,
        kind, name, ready}], outputs}`; `server` is None, and `workloads` empty, unless it runs whole.
    """
    endpoint = running_endpoint(state) if state.exists else None
    found = processes.running(state.id) if state.exists else {}
    api = Api(endpoint) if endpoint else None
    try:
        return {
            "stack": state.stack,
            "running": endpoint is not None,
            "server": endpoint.server if endpoint else None,
            "kubeconfig": str(state.kubeconfig),
            "processes": [_process(role, each) for role, group in found.items() for each in group],
            "missing": controlplane.missing(state) if state.exists else [],
            "workloads": _workloads(api) if api else [],
            "outputs": json.loads(state.outputs.read_text()) if state.outputs.exists() else {},
        }
    finally:
        if api:
            api.close()


def show(description: dict[str, Any]) -> None:
    """Print what `describe` returned."""
    running = "[green]running[/]" if description["running"] else "[red]not running[/]"
    console.print(f"[bold]{description['stack']}[/] {running} {description['server'] or ''}")
    if description["processes"]:
        table = Table("process", "pid", "MiB", "listens on", box=None)
        for each in description["processes"]:
            table.add_row(each["role"], str(each["pid"]), str(each["memory_mib"]), ", ".join(each["listens"]))
        console.print(table)
    if not description["running"]:
        missing = f" (not running: {', '.join(description['missing'])})" if description["processes"] else ""
        console.print(f"Start it with `make up STACK={description['stack']}`{missing}.")
        return
    table = Table("namespace", "kind", "name", "ready", box=None)
    for each in description["workloads"]:
        table.add_row(each["namespace"], each["kind"], each["name"], each["ready"])
    console.print(table)
    show_outputs(description["outputs"])
    console.print(f"\nkubeconfig: {description['kubeconfig']}")


def show_outputs(outputs: dict[str, Any]) -> None:
    """Print a stack's outputs."""
    console.print()
    console.print("[bold]outputs[/]")
    console.print(yaml.safe_dump(outputs, width=1000).rstrip(), markup=False)


def show_reality(engine: Engine, *, real_node: bool) -> None:
    """Print what of the sandbox is real and what is not."""
    console.print(f"[dim]engine: {engine.pulumi_origin}[/]")
    table = Table("part", "is", "", box=None, show_header=False)
    for row in (*_ALWAYS, *(_REAL if real_node else _SIMULATED)):
        table.add_row(*row)
    console.print(table)


@dataclass(frozen=True)
class Way:
    """How one agent is asked from here."""

    agent: Agent
    reached: Reached
    question: str
    """A body for /invoke that it takes, as JSON."""
    takes_key: bool
    """Whether the sandbox's key is enough; else its project has an authentication of its own."""


@dataclass(frozen=True)
class Ways:
    """How a stack is used from here: by lines for a shell, which work as they are."""

    env: str
    """The file that gives a shell `kubectl` and `ask`."""
    agents: Sequence[Way]
    """Those that answer."""
    logs: str
    """The folder of what processes say."""
    pods: bool
    """Whether pods answer; else processes of this machine do."""

    @classmethod
    def ask(cls, state: State, reached: Sequence[tuple[Agent, Reached]], *, pods: bool) -> "Ways":
        """Ask each agent what it takes."""
        agents = [asyncio.run(_way(agent, way)) for agent, way in reached]
        return cls(os.path.relpath(state.env), agents, os.path.relpath(state.logs), pods)

    @property
    def first(self) -> str:
        """The one line to try first."""
        if not self.agents:
            return f". {self.env} && kubectl get all -A"
        way = next((each for each in self.agents if each.takes_key), self.agents[0])
        login = "" if way.takes_key else "-H 'Authorization: ...' "
        return f". {self.env} && ask {way.agent.name} /invoke {login}-d {shlex.quote(way.question)}"

    def for_programs(self) -> dict[str, Any]:
        """`{first, answered_by, agents: {name: {url, service, question, takes_key}}}`.

        `answered_by` is `pods` or `processes`, `url` what callers use, `service` the address in the cluster,
        `takes_key` false where the project has an authentication of its own.
        """
        return {
            "first": self.first,
            "answered_by": "pods" if self.pods else "processes",
            "agents": {
                way.agent.name: {
                    "url": _url(way.reached),
                    "service": way.agent.service,
                    "question": json.loads(way.question),
                    "takes_key": way.takes_key,
                }
                for way in self.agents
            },
        }


def show_first(ways: Ways) -> None:
    """Print the one line to try."""
    by = (
        ""
        if ways.pods
        else " It is a process with the stack's settings and stores of its own; its pods are simulated."
    )
    for way in ways.agents:
        login = (
            "" if way.takes_key else " Its project has an authentication of its own: ask by a token of it."
        )
        console.print(
            f"\n{way.agent.name} answers at {_url(way.reached)}, from this machine alone.{by}{login}",
            markup=False,
        )
    console.print("\n[bold]Try this:[/]\n")
    console.print(f"  {ways.first}", markup=False)


def show_agents(ways: Ways) -> None:
    """Print what else there is to do with the agents."""
    for agent in (way.agent for way in ways.agents):
        kubectl = f"kubectl -n {agent.namespace}"
        lines = [
            f"\nThat shell then has kubectl, and ask, which is curl with the address and key of {agent.name}:",
            f"  ask {agent.name} /threads/search -d '{{}}'      # its threads",
        ]
        if ways.pods:
            lines.append(f"  {kubectl} logs -f deployment/{agent.name}")
            metrics = "9090:metrics      # http://127.0.0.1:9090/metrics"
            lines.append(f"  {kubectl} port-forward deployment/{agent.name} {metrics}")
        else:
            lines.append(f"  tail -f {ways.logs}/agent-{agent.name}.log")
        console.print("\n".join(lines), markup=False)


def _url(way: Reached) -> str:
    return f"https://{way.host}" if way.host else way.url


async def _way(agent: Agent, reached: Reached) -> Way:
    """Ask an agent what its first graph takes, as far as its schema says."""
    given: Any = {"messages": _MESSAGES}
    takes_key = True
    try:
        async with reached.client(timeout=5) as client:
            found = await client.post("/assistants/search", json={"limit": 1})
            takes_key = found.status_code not in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
            (assistant,) = found.raise_for_status().json()
            asked = await client.get(f"/assistants/{assistant['assistant_id']}/schemas")
        schemas = asked.raise_for_status().json()
        wanted = example(schemas.get("input_schema") or schemas.get("state_schema") or {})
        if not isinstance(wanted, dict) or "messages" not in wanted:
            given = wanted
    except (httpx.HTTPError, ValueError, KeyError):
        pass  # an image of somebody's own may not have these routes
    return Way(agent, reached, json.dumps({"input": given}), takes_key)


def show_more(state: State) -> None:
    """Print where the cluster is and what to do next."""
    console.print(
        f"\nkubeconfig: {state.kubeconfig}\n\nThen:\n"
        f"  kubectl explain middleware.spec\n"
        f"  change a setting in Pulumi.{state.stack}.yaml, then `make up STACK={state.stack}` again\n"
        f"  make status STACK={state.stack}\n"
        f"  make down"
    )


def _process(role: str, process: psutil.Process) -> dict[str, Any]:
    try:
        memory = process.memory_info().rss >> 20
    except psutil.Error:
        memory = 0
    return {"role": role, "pid": process.pid, "memory_mib": memory, "listens": processes.listening(process)}


def _workloads(api: Api) -> list[dict[str, str]]:
    return [
        {
            "namespace": live["metadata"]["namespace"],
            "kind": kind,
            "name": live["metadata"]["name"],
            "ready": _ready(kind, live),
        }
        for api_version, kind in _WORKLOADS
        for live in api.list(api_version, kind)
    ]


def _ready(kind: str, live: Object) -> str:
    status, spec = live.get("status", {}), live["spec"]
    match kind:
        case "Deployment":
            return f"{status.get('availableReplicas', 0)}/{spec.get('replicas', 1)}"
        case "Job":
            return f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}"
        case _:
            return str(spec.get("schedule", ""))
