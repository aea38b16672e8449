"""`python -m langgraph_agents_service [serve|migrate|prune|check|settings]`."""

import argparse
import asyncio
import atexit
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from langgraph_agents_service.configuration.describe import faults, table
from langgraph_agents_service.configuration.settings import DatabaseSettings, Settings, load

_LAST_SECONDS = 1.0
"""How long tasks and threads of graphs may take to notice that the process ends."""

_YOUNG_OBJECTS = 50_000
"""How many new objects make Python look for garbage in cycles. With its default of 700 a run is looked through
several times while it lasts; what lies about until then is a few megabytes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ValidationError as error:
        return _fail(*faults(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m langgraph_agents_service", description="A production LangGraph service."
    )
    parser.set_defaults(command=_serve)
    commands = parser.add_subparsers(title="commands")
    commands.add_parser("serve", help="serve the API (the default)").set_defaults(command=_serve)
    migrate = commands.add_parser("migrate", help="make the login, the database and the tables")
    migrate.add_argument(
        "--database-only", action="store_true", help="no tables: another server makes its own there"
    )
    migrate.set_defaults(command=_migrate)
    check = commands.add_parser("check", help="try everything that the service needs")
    check.add_argument("--project", type=Path, help="only the project in this folder: no setting is needed")
    check.set_defaults(command=_check)
    commands.add_parser("settings", help="print the table of settings").set_defaults(command=_settings)
    prune = commands.add_parser("prune", help="remove idle threads")
    prune.add_argument("--older-than", default="30d", help="how long a thread has been idle: 30d, 12h, 90m")
    prune.add_argument("--batch-size", type=int, default=500, help="threads in a transaction (default 500)")
    prune.add_argument("--dry-run", action="store_true", help="count them only")
    prune.set_defaults(command=_prune)
    return parser


def _serve(_options: argparse.Namespace) -> int:
    # Imports make hundreds of thousands of objects that stay: looking through them again and again is waste.
    gc.disable()
    from langgraph_agents_service import server
    from langgraph_agents_service.observability import logs
    from langgraph_agents_service.projects.config import ProjectError
    from langgraph_agents_service.service import StartError

    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
    gc.enable()
    settings = load(Settings)
    logs.configure(settings.log_level, content=settings.log_content)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(server.serve(settings))
            _leave(runner.get_loop())
    except (StartError, ProjectError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot listen on HOST={settings.host} PORT={settings.port}: {error.strerror}")
    return 0


def _leave(loop: asyncio.AbstractEventLoop) -> None:
    """End the process now if a graph goes on that was stopped: its run has been given back, and to wait for its tasks
    and threads would be to wait for SIGKILL."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    going = bool(tasks and loop.run_until_complete(asyncio.wait(tasks, timeout=_LAST_SECONDS))[1])
    deadline = time.monotonic() + _LAST_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            going = going or thread.is_alive()
    if going:
        atexit._run_exitfuncs()  # traces that have not been sent
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _migrate(options: argparse.Namespace) -> int:
    from psycopg import Error

    from langgraph_agents_service.persistence.migrate import make_database, migrate
    from langgraph_agents_service.projects.config import ProjectError

    settings = load(DatabaseSettings)
    if not settings.database_uri.get_secret_value():
        return _fail("DATABASE_URI is empty; it names the database whose tables are made")
    if options.database_only and not settings.database_admin_uri.get_secret_value():
        return _fail("DATABASE_ADMIN_URI is empty; it names the administrator who makes login and database")
    try:
        for line in asyncio.run(make_database(settings) if options.database_only else migrate(settings)):
            print(line)
    except (Error, ValueError, ProjectError) as error:
        return _fail(f"migrate failed: {str(error).strip()}")
    return 0


def _prune(options: argparse.Namespace) -> int:
    from psycopg import Error

    from langgraph_agents_service.persistence.prune import duration, prune

    settings = load(DatabaseSettings)
    if not settings.database_uri.get_secret_value():
        return _fail("DATABASE_URI is empty; it names the database whose threads are pruned")
    if options.batch_size < 1:
        return _fail(f"--batch-size={options.batch_size} is below 1")
    try:
        older_than = duration(options.older_than)
        result = asyncio.run(
            prune(settings, older_than, batch_size=options.batch_size, dry_run=options.dry_run)
        )
    except (Error, ValueError, OverflowError) as error:
        return _fail(f"prune failed: {str(error).strip()}")
    if result.another_runs:
        print("another prune is running; nothing to do")
    elif options.dry_run:
        print(f"{result.threads} threads have been idle for {options.older_than}; they stay (--dry-run)")
    else:
        print(f"{result.threads} threads that had been idle for {options.older_than} are removed")
    return 0


def _check(options: argparse.Namespace) -> int:
    from langgraph_agents_service.check import check, check_project

    good, bad = asyncio.run(check_project(options.project) if options.project else check())
    for line in good:
        print(f"ok    {line}")
    for line in bad:
        print(f"FAIL  {line}", file=sys.stderr)
    return 1 if bad else 0


def _settings(_options: argparse.Namespace) -> int:
    print(table())
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _fail(*lines: str) -> int:
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
