"""Puts the parts of a process together, and takes over settings that change while it serves."""

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Literal, Self

from langgraph.checkpoint.base import BaseCheckpointSaver
from pydantic import ValidationError
from starlette.types import ASGIApp
from valkey.asyncio import Valkey

from langgraph_agents_service.access import callers, inside
from langgraph_agents_service.access.authorization import AuthError, Authorization
from langgraph_agents_service.access.identification import Identification
from langgraph_agents_service.access.keys import Access
from langgraph_agents_service.access.remembered import Remembered
from langgraph_agents_service.configuration import secret_files
from langgraph_agents_service.configuration.describe import faults
from langgraph_agents_service.configuration.settings import (
    Checkpointer,
    CheckpointHistory,
    Settings,
    load,
)
from langgraph_agents_service.observability import langsmith
from langgraph_agents_service.observability.health import Check, Health
from langgraph_agents_service.persistence import valkey_client
from langgraph_agents_service.persistence.assistants.base import Assistants
from langgraph_agents_service.persistence.assistants.keyvalue import KeyValueAssistants
from langgraph_agents_service.persistence.assistants.postgres import PostgresAssistants
from langgraph_agents_service.persistence.background import BackgroundLoop
from langgraph_agents_service.persistence.checkpointers.memory import MemorySaver
from langgraph_agents_service.persistence.checkpointers.removal import CAN_KEEP_LATEST
from langgraph_agents_service.persistence.checkpointers.serializer import Serializer
from langgraph_agents_service.persistence.crons.base import Crons
from langgraph_agents_service.persistence.crons.keyvalue import KeyValueCrons
from langgraph_agents_service.persistence.crons.postgres import PostgresCrons
from langgraph_agents_service.persistence.database import TRANSIENT, Database
from langgraph_agents_service.persistence.outbox.base import Outbox
from langgraph_agents_service.persistence.outbox.postgres import PostgresOutbox
from langgraph_agents_service.persistence.registry.base import Registry
from langgraph_agents_service.persistence.registry.documents import (
    Documents,
    MemoryDocuments,
    ValkeyDocuments,
)
from langgraph_agents_service.persistence.registry.keyvalue import KeyValueRegistry
from langgraph_agents_service.persistence.registry.postgres import PostgresRegistry
from langgraph_agents_service.persistence.stores import opening as stores
from langgraph_agents_service.persistence.stores import project as wanted
from langgraph_agents_service.persistence.stores.opening import Stores
from langgraph_agents_service.persistence.sweep import keep_sweeping, sweep
from langgraph_agents_service.projects.config import ProjectError, ThreadTtl
from langgraph_agents_service.projects.graphs import Graphs
from langgraph_agents_service.runs import guard
from langgraph_agents_service.runs.driver import Driver
from langgraph_agents_service.runs.runner import UNAVAILABLE, Runner
from langgraph_agents_service.runs.sync_threads import SyncThreads
from langgraph_agents_service.webhooks.delivery import Deliveries

log = logging.getLogger(__name__)


class StartError(Exception):
    """The process cannot serve. The message says what is missing and what to do."""


class Service:
    """Everything that a process needs to serve; `async with` opens and closes it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database: Database | None = None
        self.valkey: Valkey | None = None
        self._holders: Valkey | None = None
        """Another client, of the background loop."""
        self._background = BackgroundLoop("leases")
        durable = settings.checkpointer in (Checkpointer.POSTGRES, Checkpointer.VALKEY)
        if durable and settings.database_uri.get_secret_value():
            # With Valkey it keeps the store alone, and may be away.
            self.database = Database(settings)
        if settings.redis_uri.get_secret_value():
            self.valkey = valkey_client.connect(settings, connections=settings.redis_pool_max_size)
            if settings.checkpointer is Checkpointer.VALKEY:
                self._holders = valkey_client.connect(settings, connections=1)
        self.access = Access(settings, self.valkey)
        self.identification: Identification
        self.serving: inside.Serving | None = None
        self.app: ASGIApp | None = None
        """What serves requests; graphs call it in this process."""
        self.graphs = Graphs(settings.langgraph_config)
        self.health = Health(self._checks())
        self.saver: BaseCheckpointSaver[Any] | None
        self.registry: Registry
        self.assistants: Assistants
        self.crons: Crons
        self.webhooks = self.graphs.project.webhooks
        self.store: Stores | None
        self.runner: Runner

    @property
    def keeps_threads(self) -> bool:
        return self.settings.checkpointer is not Checkpointer.NONE

    def _checks(self) -> list[Check]:
        checks = []
        if self.database is not None:
            required = self.settings.checkpointer is Checkpointer.POSTGRES
            checks.append(Check("database", self.database.ping, required=required))
        if self.valkey is not None:
            required = self.settings.checkpointer is Checkpointer.VALKEY
            checks.append(Check("cache", self.valkey.ping, required=required))
        return checks

    async def __aenter__(self) -> Self:
        """Raises StartError or ProjectError, and has then closed what it had opened."""
        async with AsyncExitStack() as opened:
            threads = SyncThreads(self.settings.threads)
            opened.callback(threads.shutdown, wait=False, cancel_futures=True)
            secret_files.export(self.settings.secrets_dir)
            langsmith.configure(content=self.settings.log_content)
            opened.push_async_callback(langsmith.flush)
            inside.install()
            loop = asyncio.get_running_loop()
            guard.install(loop)
            loop.set_default_executor(threads)
            if self.app is not None:
                self.serving = inside.Serving(self.app, loop)
                inside.here.set(self.serving)
            await self.graphs.load()
            if missing := self.webhooks.missing():
                raise StartError(
                    f"{self.graphs.project.file}: webhooks.headers: {', '.join(missing)} is not set"
                )
            self.identification = self._identification()
            if self.valkey is not None:
                opened.push_async_callback(self.valkey.aclose)
            if self.database is not None:
                opened.push_async_callback(self.database.close)
            opened.push_async_callback(self._background.close)
            if self._holders is not None:
                opened.push_async_callback(self._close_holders, self._holders)
            await self._reach()
            if self.database is not None:
                await self.database.open()
            outbox = self._open_storage()
            self.store = await self._stores(opened)
            store = self.store.runs if self.store else None
            driver = Driver(self.settings, self.graphs, self.registry, self.saver, store)
            self.runner = Runner(self.settings, self.registry, driver, self._background)
            await self.runner.open()
            opened.push_async_callback(self.runner.close)
            deliveries = Deliveries(outbox, self.webhooks, lambda: self.settings.webhook_secrets)
            await opened.enter_async_context(deliveries.open())
            watcher = asyncio.create_task(
                secret_files.watch(self.settings.secrets_dir, self._secrets_changed)
            )
            opened.callback(watcher.cancel)
            for sweeper in self._sweeping():
                opened.callback(sweeper.cancel)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def _close_holders(self, client: Valkey) -> None:
        await self._background.run(client.aclose())

    def _identification(self) -> Identification:
        """Raises ProjectError."""
        authorization = authorization_of(self.graphs, log_content=self.settings.log_content)
        auth = self.graphs.project.auth
        studio = auth is not None and not auth.disable_studio_auth
        return Identification(self.settings, self.access, authorization, studio=studio)

    def _open_storage(self) -> Outbox:
        """Everything that is kept where CHECKPOINTER says; returns what holds webhooks until they are delivered."""
        settings = self.settings
        serializer = self._serializer()
        if self.database is not None and settings.checkpointer is Checkpointer.POSTGRES:
            from langgraph_agents_service.persistence.checkpointers.postgres import GroupCommitSaver

            registry = PostgresRegistry(
                self.database,
                lease_seconds=settings.lease_seconds,
                max_attempts=settings.max_run_attempts,
                relaxed=settings.database_relaxed_commits,
            )
            self.saver = GroupCommitSaver(self.database, serializer)
            self.registry = registry
            self.assistants = PostgresAssistants(self.database)
            self.crons = PostgresCrons(self.database, registry)
            return PostgresOutbox(self.database)
        documents: Documents = MemoryDocuments()
        holders: Documents | None = None
        ttl: int | None = None
        self.saver = None
        if self.valkey is not None and self._holders is not None:
            # Imported only here: the package brings boto3 along, which takes a second.
            from langgraph_agents_service.persistence.checkpointers.valkey import PrefixedValkeySaver

            ttl = settings.checkpoint_ttl_seconds
            self.saver = PrefixedValkeySaver(
                self.valkey, prefix=settings.cache_key_prefix, ttl_seconds=ttl, serializer=serializer
            )
            documents = ValkeyDocuments(self.valkey, settings.cache_key_prefix)
            holders = ValkeyDocuments(self._holders, settings.cache_key_prefix)
        elif settings.checkpointer is Checkpointer.MEMORY:
            self.saver = MemorySaver(serde=serializer)
        kept = KeyValueRegistry(documents, ttl_seconds=ttl, holders=holders)
        self.registry = kept
        self.assistants = KeyValueAssistants(documents)
        self.crons = KeyValueCrons(documents, kept)
        return kept.outbox

    def _serializer(self) -> Serializer:
        """With the types that langgraph.json allows in checkpoints; LangGraph's default where it is silent."""
        checkpointer = self.graphs.project.checkpointer
        serde = checkpointer.serde if checkpointer else None
        fields = serde.model_dump(exclude_none=True, exclude={"pickle_fallback"}) if serde else {}
        given: dict[str, Any] = {name: _allowed(value) for name, value in fields.items()}
        return Serializer(**given)

    async def _stores(self, opened: AsyncExitStack) -> Stores | None:
        """None: there is no place for them. Raises ProjectError, StartError."""
        own = await wanted.own_store(self.graphs, opened)
        if own is not None:
            return stores.of_project(own)
        project = self.graphs.project
        if self.database is not None:
            index, ttl = wanted.index_of(self.graphs), wanted.ttl_of(project)
            return stores.in_postgres(self.database, self._whose, index=index, ttl=ttl)
        if self.settings.checkpointer is Checkpointer.VALKEY:
            if project.store is not None:
                raise StartError(
                    f"{project.file}: store: with CHECKPOINTER=valkey it is kept in PostgreSQL; set DATABASE_URI"
                )
            return None
        return stores.in_memory(self._whose, index=wanted.index_of(self.graphs))

    def _sweeping(self) -> list[asyncio.Task[None]]:
        """Removes what has had its time, for as long as the process lives. Raises StartError."""
        project = self.graphs.project
        threads = (project.checkpointer and project.checkpointer.ttl) or ThreadTtl()
        if self.database is None or self.settings.checkpointer is not Checkpointer.POSTGRES:
            if threads.default_ttl is not None:
                log.warning(
                    "checkpointer.ttl is not applied: threads are removed by CHECKPOINTER=postgres only"
                )
            return []
        keep_latest = self.settings.checkpoint_history is CheckpointHistory.KEEP_LATEST
        if keep_latest and not CAN_KEEP_LATEST:
            raise StartError(
                "CHECKPOINT_HISTORY=keep_latest needs langgraph-checkpoint-postgres 3.2 or newer in the project; "
                "allow it there, or set CHECKPOINT_HISTORY=all"
            )
        once = partial(sweep, self.database, threads, keep_latest=keep_latest)
        sweeping = [keep_sweeping("threads", threads.sweep_interval_minutes, once)]
        if self.store is not None and self.store.sweep is not None:
            minutes = wanted.sweep_minutes(project)
            sweeping.append(keep_sweeping("store", minutes, self.store.sweep))
        return [asyncio.create_task(one) for one in sweeping]

    def _whose(self) -> str:
        """Who owns what is put into the store now."""
        caller = callers.current.get()
        return "" if caller is None or self.settings.store_shared else caller.owner

    async def _reach(self) -> None:
        """Fail fast: a process without its storage must not start."""
        if self.database is not None and self.settings.checkpointer is Checkpointer.POSTGRES:
            try:
                tables = await self.database.control(
                    "SELECT to_regclass('agent_runs') IS NOT NULL AND to_regclass('checkpoints') IS NOT NULL AS made"
                )
            except TRANSIENT as error:
                raise StartError(
                    f"the database of DATABASE_URI cannot be reached: {_first_line(error)}"
                ) from None
            if not tables[0]["made"]:
                raise StartError(
                    "the database of DATABASE_URI has no tables; run `python -m langgraph_agents_service migrate`"
                )
        if self.valkey is not None and self.settings.checkpointer is Checkpointer.VALKEY:
            try:
                await self.valkey.ping()
            except UNAVAILABLE as error:
                raise StartError(f"the server of REDIS_URI cannot be reached: {_first_line(error)}") from None

    async def _secrets_changed(self) -> None:
        """Take over rotated secrets: keys at once, pools connection by connection, models from their new key."""
        try:
            settings = load(Settings)
        except ValidationError as error:
            log.error("the changed secrets are wrong; the old ones stay", extra={"faults": faults(error)})
            return
        secret_files.export(settings.secrets_dir)
        langsmith.configure(content=settings.log_content)
        old, self.settings = self.settings, settings
        self.access.use(settings)
        if self.database is not None and settings.database_uri != old.database_uri:
            await self.database.renew(settings.database_uri.get_secret_value())
        if self.valkey is not None and settings.redis_uri != old.redis_uri:
            await valkey_client.renew(self.valkey, settings)
            if self._holders is not None:
                await self._background.run(valkey_client.renew(self._holders, settings))
        await self.graphs.load()
        log.info("secrets taken over")


def authorization_of(graphs: Graphs, *, log_content: bool) -> Authorization | None:
    """The project's own authentication, if it has any. Raises ProjectError."""
    auth = graphs.project.auth
    if auth is None:
        return None
    found = graphs.attribute("auth.path", auth.path)
    try:
        remembered = Remembered(auth.cache) if auth.cache else None
        return Authorization(found, log_content=log_content, remembered=remembered)
    except AuthError as error:
        raise ProjectError(f"{graphs.project.file}: auth.path: {auth.path!r}: {error}") from None


def _allowed(given: list[list[str]] | bool) -> list[tuple[str, ...]] | Literal[True] | None:
    """None: no types but those that LangGraph always allows."""
    if isinstance(given, bool):
        return True if given else None
    return [tuple(name) for name in given]


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
