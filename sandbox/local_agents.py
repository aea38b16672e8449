"""Agents as processes of this machine, where nodes are simulated: `make agent` with the settings of their pods."""

import base64
import hashlib
import json
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from langgraph_agents_service.ports import free_port
from sandbox.cluster import agents
from sandbox.cluster.agents import LOCAL, LOCAL_GRACE, SERVER, Agent, Reached
from sandbox.cluster.api import Api, Object
from sandbox.common import processes
from sandbox.common.console import console, step
from sandbox.common.state import State, write_private

_COMMAND = (sys.executable, "-W", "ignore", "-m", "langgraph_agents_service.local")

# What holds in a pod alone: its ports, and where its secrets are mounted.
_OF_PODS = ("HOST", "PORT", "METRICS_PORT", "SECRETS_DIR")

# The environment of a project is made at the first start, from PyPI.
_START_SECONDS = 300.0


class LocalAgents:
    """The agents of one sandbox that run here."""

    def __init__(self, state: State, api: Api) -> None:
        self._state = state
        self._api = api
        self._file = state.folder / "agents.json"

    def ensure(self, sources: Mapping[str, Path | None]) -> list[tuple[Agent, Reached]]:
        """Run the agents as the cluster has them now; one whose settings are the same goes on.

        One that does not start is told of, and left out: nothing else depends on it.

        Args:
            sources: the LangGraph project of each agent that is built here; None for the reference agent.
        """
        known: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}
        deployed = agents.find(self._api)
        containers = {
            (each["metadata"]["namespace"], each["metadata"]["name"]): each["spec"]["template"]["spec"][
                "containers"
            ][0]
            for each in self._api.list("apps/v1", "Deployment", labels=SERVER)
        }
        wanted = {
            agent.name: self._variables(agent, containers[agent.namespace, agent.name])
            for agent in deployed
            if agent.name in sources
        }
        for name in known.keys() - wanted.keys():
            self._stop(name)
        notes: dict[str, Any] = {}
        reached = []
        for agent in deployed:
            if agent.name not in sources:
                console.print(
                    f"{agent.name} has an image of its own, which runs in pods alone.", markup=False
                )
                continue
            source, variables = sources[agent.name], wanted[agent.name]
            # The image changes with the agent's code.
            image = str(containers[agent.namespace, agent.name].get("image"))
            content = json.dumps([str(source), sorted(variables.items()), image])
            digest = hashlib.sha256(content.encode()).hexdigest()
            note = known.get(agent.name, {})
            port = note.get("port", 0)
            if note.get("digest") != digest or not _ready(port):
                self._stop(agent.name)
                port = free_port()
                with step(f"{agent.name}, as a process"):
                    failure = self._start(agent.name, port, source, variables)
                if failure:
                    console.print(f"{agent.name} does not run here: {failure}", markup=False)
                    continue
            notes[agent.name] = {"port": port, "digest": digest}
            reached.append((agent, Reached(f"http://127.0.0.1:{port}", variables["API_KEYS"])))
        write_private(self._file, json.dumps(notes))
        return reached

    def _variables(self, agent: Agent, container: Object) -> dict[str, str]:
        """What the agent's container is told, and a key for its callers, which `ask` reads from the cluster."""
        key = agent.key or secrets.token_urlsafe(32)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": agent.name, "namespace": agent.namespace},
            "data": {"API_KEYS": base64.b64encode(key.encode()).decode()},
        }
        self._api.apply(secret, force=True)
        given: dict[str, str] = {}
        for each in container.get("envFrom", ()):
            if "configMapRef" in each:
                values = self._api.get("v1", "ConfigMap", agent.namespace, each["configMapRef"]["name"]) or {}
                given |= values.get("data", {})
        given |= {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}
        return {name: value for name, value in given.items() if name not in _OF_PODS} | {"API_KEYS": key}

    def _start(self, name: str, port: int, source: Path | None, variables: Mapping[str, str]) -> str:
        """Start an agent and wait until it is ready; returns why it is not."""
        log = self._state.logs / f"{_role(name)}.log"
        log.unlink(missing_ok=True)
        command = [*_COMMAND, f"--port={port}", *([f"--project={source}"] if source else [])]
        started = processes.start(self._state.id, _role(name), command, log, environment=variables)
        deadline = time.monotonic() + _START_SECONDS
        while not _ready(port):
            if started.poll() is not None or time.monotonic() > deadline:
                self._stop(name)
                words = "\n  ".join(processes.last_lines(log, 5))
                return f"the end of {log}:\n  {words}"
            time.sleep(0.2)
        return ""

    def _stop(self, name: str) -> None:
        processes.stop(processes.running(self._state.id).get(_role(name), []), LOCAL_GRACE)


def _role(name: str) -> str:
    return f"{LOCAL}{name}"


def _ready(port: int) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/ready", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK
