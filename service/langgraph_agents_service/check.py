"""`check`: tries everything that the service needs, and lists every fault instead of the first."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from pydantic import ValidationError

from langgraph_agents_service.api import composed
from langgraph_agents_service.configuration import secret_files
from langgraph_agents_service.configuration.describe import every_fault
from langgraph_agents_service.configuration.settings import Checkpointer, Settings, load
from langgraph_agents_service.persistence import valkey_client
from langgraph_agents_service.persistence.database import Database
from langgraph_agents_service.projects.config import ProjectError
from langgraph_agents_service.projects.graphs import Graphs
from langgraph_agents_service.service import authorization_of

CHECK_SECONDS = 5.0

Trials = dict[str, Callable[[], Awaitable[None]]]


async def check() -> tuple[list[str], list[str]]:
    """What is fine and what is not, a line each."""
    try:
        settings = load(Settings)
    except ValidationError as error:
        return [], every_fault(error)
    secret_files.export(settings.secrets_dir)
    good, bad = await _tried(_of_project(settings.langgraph_config) | _of_deployment(settings))
    return ["settings", *good], bad


async def check_project(path: Path) -> tuple[list[str], list[str]]:
    """The same of a project alone, by its folder or its langgraph.json: no setting and no storage is needed."""
    return await _tried(_of_project(path))


async def _tried(trials: Trials) -> tuple[list[str], list[str]]:
    good, bad = [], []
    for name, trial in trials.items():
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await trial()
            good.append(name)
        except TimeoutError:
            bad.append(f"{name}: no answer within {CHECK_SECONDS:g} s")
        except ProjectError as error:
            if str(error) not in bad:  # what is wrong with the file is wrong for all its parts
                bad.append(str(error))
        except Exception as error:
            text = str(error).strip().splitlines()
            bad.append(f"{name}: {text[0] if text else type(error).__name__}")
    return good, bad


def _of_project(path: Path) -> Trials:
    project = Graphs(path)

    async def graphs() -> None:
        await project.load()

    async def auth() -> None:
        authorization_of(project, log_content=False)

    async def http() -> None:
        app = project.project.http.app
        if app is not None:
            composed.checked(project.attribute("http.app", app), f"http.app: {app!r}")

    return {"LANGGRAPH_CONFIG": graphs, "auth": auth, "http": http}


def _of_deployment(settings: Settings) -> Trials:
    async def database() -> None:
        database = Database(settings)
        try:
            rows = await database.control("SELECT to_regclass('agent_runs') IS NOT NULL AS made")
        finally:
            await database.close()
        if not rows[0]["made"]:
            raise RuntimeError("it has no tables; run `python -m langgraph_agents_service migrate`")

    async def cache() -> None:
        async with aclosing(valkey_client.connect(settings, connections=1)) as client:
            await client.ping()

    trials: Trials = {}
    if settings.checkpointer is Checkpointer.POSTGRES:
        trials["DATABASE_URI"] = database
    if settings.redis_uri.get_secret_value():
        trials["REDIS_URI"] = cache

    def port(number: int) -> Callable[[], Awaitable[None]]:
        async def free() -> None:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((settings.host, number))

        return free

    trials[f"PORT={settings.port}"] = port(settings.port)
    if settings.metrics_port:
        trials[f"METRICS_PORT={settings.metrics_port}"] = port(settings.metrics_port)
    return trials
