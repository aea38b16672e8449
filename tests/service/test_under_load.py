"""Whatever graphs do under load, and whichever processes are killed: each run ends once, and as it does undisturbed."""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from langgraph_agents_service import local
from tests.service.allocators import allocator
from tests.service.databases import migrated
from tests.service.load_cases import CASES, Case, project
from tests.service.processes import Process
from tests.service.test_faults import HEADERS

pytestmark = pytest.mark.e2e

PROCESSES = 3
ROUNDS = 3
"""A process grows by less and less, as what was in use at once stays with its allocator: 221, 240, 255, 266, 272, 276,
275 and 279 MB after each of eight."""
CLIENTS = 16
ENDED = {"success", "error", "interrupted", "timeout"}

_RECORD = """
CREATE TABLE changes (run_id uuid NOT NULL, before text NOT NULL, after text NOT NULL);
CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN INSERT INTO changes VALUES (NEW.run_id, OLD.status, NEW.status); RETURN NULL; END $$;
CREATE TRIGGER record_change AFTER UPDATE ON agent_runs FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION record_change()"""


@pytest.fixture
def database_uri(postgres: local.Postgres) -> str:
    """A database of its own: whatever else serves here would take up these runs."""
    return migrated(postgres, f"load_{uuid.uuid4().hex}")


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(45, marks=pytest.mark.timeout(600)),
        pytest.param(600, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)]),
    ],
)
async def test_every_run_ends_once_and_as_it_does_undisturbed(
    database_uri: str, tmp_path: Path, seconds: float
) -> None:
    seed = int(seconds)
    with psycopg.connect(database_uri, autocommit=True) as database:
        database.execute(_RECORD)
        with Fleet(tmp_path, database_uri=database_uri, langgraph_config=project(tmp_path)) as fleet:
            # All in the process that is spared, again and again until it has what it keeps of graphs and connections.
            calm = Load(fleet, random.Random(seed))
            rounds = [await calm.each_once() for _ in range(ROUNDS)]
            expected = {case: found for case, found in rounds[0] if not case.chance}
            await asyncio.sleep(2)
            began = fleet.memory
            load = Load(fleet, random.Random(seed + 1))
            stop = asyncio.Event()
            killing = asyncio.create_task(fleet.disturb(random.Random(seed + 2), stop))
            found = await load.at_random(seconds)
            stop.set()
            await killing
            wrong = [
                (case, outcome, expected[case])
                for case, outcome in chain(*rounds, found)
                if case in expected and outcome != expected[case]
            ]
            left = await fleet.settled(1.2 * began)
            print(
                f"{len(found)} cases, {fleet.kills} kills, {began / 1e6:.0f} MB before, {left / 1e6:.0f} MB after"
            )
            assert not wrong
            assert not fleet.faults
            assert len(found) > seconds / 2, "it was load"
            assert fleet.kills > seconds / 20
            assert left < 1.2 * began, "bytes of the process that was spared"
        _every_run_ended_once(database, load.run_ids)


def _every_run_ended_once(database: psycopg.Connection[Any], run_ids: set[str]) -> None:
    active = database.execute(
        "SELECT status FROM agent_runs WHERE status IN ('pending', 'running')"
    ).fetchall()
    assert not active
    changes = database.execute("SELECT run_id::text, before, after FROM changes").fetchall()
    ends = [run_id for run_id, _, after in changes if after in ENDED]
    assert len(ends) == len(set(ends))
    assert run_ids <= set(ends)
    assert not [change for change in changes if change[1] in ENDED]


class Fleet:
    """Processes on one database, of which one is spared, and whose graphs end none of them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._log = folder / "log"
        self._settings: dict[str, Any] = {
            **settings,
            "lease_seconds": 5,
            "max_run_attempts": 100,
            "drain_timeout_seconds": 5,
            **allocator(),
        }
        self.spared, *self._others = (self._start() for _ in range(PROCESSES))
        self.kills = 0
        self.faults: list[str] = []

    def _start(self, port: int | None = None) -> Process:
        return Process(port, log=self._log, **self._settings)

    def __enter__(self) -> "Fleet":
        try:
            for process in self.processes:
                process.wait_for(200, seconds=120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.close()

    @property
    def processes(self) -> list[Process]:
        return [self.spared, *self._others]

    async def disturb(self, chance: random.Random, stop: asyncio.Event) -> None:
        """Kill one process after the other, or end it in order, and start it again, until told to stop."""
        while not stop.is_set():
            await asyncio.sleep(chance.uniform(2, 6))
            for process in self.processes:
                if not process.alive:
                    self.faults.append(f"the process {process.pid} ended by itself")
                    return
            place = chance.randrange(len(self._others))
            process = self._others[place]
            if chance.random() < 0.2 and process.status() == 200:
                process.terminate()
                if code := await asyncio.to_thread(process.wait, 90):
                    self.faults.append(f"a process ended with {code} after SIGTERM")
            else:
                process.kill()
            self.kills += 1
            self._others[place] = self._start(process.port)

    @property
    def memory(self) -> int:
        """Of the process that is spared, in bytes."""
        return int(psutil.Process(self.spared.pid).memory_info().rss)

    async def settled(self, wanted: float) -> int:
        """Its memory as soon as it is below that, or after fifteen seconds."""
        for _ in range(30):
            if self.memory < wanted:
                break
            await asyncio.sleep(0.5)
        return self.memory


@dataclass
class Load:
    """Clients of a fleet, who go to another process when theirs is gone."""

    fleet: Fleet
    chance: random.Random
    run_ids: set[str] = field(default_factory=set)
    processes: list[Process] = field(default_factory=list)
    """Those that are asked, if not all."""

    async def each_once(self) -> list[tuple[Case, Any]]:
        """All in the process that is spared."""
        self.processes = [self.fleet.spared]
        cases = list(CASES)
        self.chance.shuffle(cases)
        return await self._serve(lambda: cases.pop() if cases else None)

    async def at_random(self, seconds: float) -> list[tuple[Case, Any]]:
        end = time.monotonic() + seconds
        return await self._serve(lambda: self.chance.choice(CASES) if time.monotonic() < end else None)

    async def _serve(self, pick: Callable[[], Case | None]) -> list[tuple[Case, Any]]:
        found = []

        async def client() -> None:
            async with httpx.AsyncClient(headers=HEADERS, verify=False, timeout=30) as http:  # noqa: S501
                while case := pick():
                    found.append((case, await self._outcome(http, case)))

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return found

    async def _outcome(self, http: httpx.AsyncClient, case: Case) -> Any:
        while True:
            with suppress(_TooLate):
                return await _Thread(self, http, case).outcome()

    async def ask(
        self, http: httpx.AsyncClient, method: str, path: str, **given: Any
    ) -> httpx.Response | None:
        """The answer of any process; None if it was cut off, and may have been carried out or not."""
        process = self.chance.choice(self.processes or self.fleet.processes)
        try:
            answer = await http.request(method, process.url + path, **given)
        except httpx.ConnectError:
            await asyncio.sleep(0.1)
            return await self.ask(http, method, path, **given)
        except httpx.HTTPError:
            await asyncio.sleep(0.5)
            return None
        if answer.status_code == 503:
            await asyncio.sleep(0.5)
            return None
        if answer.status_code >= 500:
            self.fleet.faults.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer


class _TooLate(Exception):  # noqa: N818 (nothing is wrong)
    """The run had ended before anybody could cancel it."""


class _Thread:
    """A thread on which the runs of a case are executed."""

    def __init__(self, load: Load, http: httpx.AsyncClient, case: Case) -> None:
        self._load = load
        self._http = http
        self._case = case
        self._id = str(uuid.UUID(int=load.chance.getrandbits(128), version=4))
        self._path = f"/threads/{self._id}"
        self._runs: list[str] = []

    async def outcome(self) -> Any:
        """How its runs ended, and what is left: as equal as two executions of the case can be."""
        case = self._case
        for given in case.inputs:
            await asyncio.gather(*(self._run({"input": given}) for _ in range(case.together)))
        while waiting := await self._waiting():
            asked = self._load.chance.choice(waiting)
            answer = f"to {asked['value']}"
            by_id = len(waiting) > 1 or self._load.chance.random() < 0.5
            await self._run({"command": {"resume": {asked["id"]: answer} if by_id else answer}})
        thread = await self._read("")
        statuses = [(await self._read(f"/runs/{run_id}"))["status"] for run_id in self._runs]
        error = (thread["error"] or {}).get("error")
        values = None if case.cancelled else _comparable(thread["values"] or {}, case.varies)
        return statuses, thread["status"], error, values

    async def _run(self, given: Any) -> None:
        """Asked for once, and seen to its end."""
        run_id = await self._begun(given)
        self._load.run_ids.add(run_id)
        self._runs.append(run_id)
        if self._case.cancelled:
            await self._cancel(run_id)
        while (await self._read(f"/runs/{run_id}"))["status"] not in ENDED:
            if self._load.chance.random() < 0.5:
                await self._ask("GET", f"/runs/{run_id}/join")
            await asyncio.sleep(0.3)

    async def _cancel(self, run_id: str) -> None:
        """Once it has begun. Raises _TooLate."""
        while (await self._read(f"/runs/{run_id}"))["status"] == "pending":  # noqa: ASYNC110 (elsewhere)
            await asyncio.sleep(0.1)
        await asyncio.sleep(self._load.chance.uniform(0.2, 1))
        tries = 1
        while (answer := await self._ask("POST", f"/runs/{run_id}/cancel")) is None:
            tries += 1
        if answer.status_code == 409:
            status = (await self._read(f"/runs/{run_id}"))["status"]
            assert f"ended with status {status}" in answer.text
            # An answer that was cut off may have been one to a cancel that counts.
            assert status == "success" or (status == "interrupted" and tries > 1)
            if status == "success":
                raise _TooLate
        else:
            assert answer.status_code == 202, answer.text

    async def _begun(self, given: Any) -> str:
        """A mark in its metadata tells whether a request that was cut off has been carried out."""
        mark = self._load.chance.getrandbits(64)
        body = {
            "assistant_id": self._case.graph,
            "if_not_exists": "create",
            "metadata": {"mark": mark},
            **given,
        }
        while (answer := await self._ask("POST", "/runs", json=body)) is None:
            runs: Any = (await self._sure("/runs?limit=100")).json()
            if isinstance(runs, list):
                for run in runs:
                    if run["metadata"].get("mark") == mark:
                        return str(run["run_id"])
        assert answer.status_code == 200, answer.text
        return str(answer.json()["run_id"])

    async def _waiting(self) -> list[Any]:
        if (await self._read(""))["status"] != "interrupted":
            return []
        return [asked for task in (await self._read("/state"))["tasks"] for asked in task["interrupts"]]

    async def _read(self, path: str) -> Any:
        answer = await self._sure(path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    async def _sure(self, path: str) -> httpx.Response:
        while (answer := await self._ask("GET", path)) is None:
            pass
        return answer

    def _ask(self, method: str, path: str, **given: Any) -> Awaitable[httpx.Response | None]:
        return self._load.ask(self._http, method, self._path + path, **given)


def _comparable(values: Any, varies: frozenset[str]) -> Any:
    """Without what says when or where something was made."""
    if isinstance(values, dict):
        kept = {name: _comparable(value, frozenset()) for name, value in values.items() if name not in varies}
        return {name: value for name, value in kept.items() if name != "id" or "type" not in kept}
    return [_comparable(value, frozenset()) for value in values] if isinstance(values, list) else values
