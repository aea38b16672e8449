"""Webhooks whose processes are killed: while a run executes, while it ends, while the receiver is asked."""

import asyncio
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from langgraph_agents_service import local
from tests.service.databases import migrated
from tests.service.processes import Process, processes
from tests.service.receiver import receiving
from tests.service.serving import GRAPHS

pytestmark = pytest.mark.e2e

RUNS = 60
KILLS = 4


async def test_every_run_is_told_at_least_once_whoever_is_killed(
    postgres: local.Postgres, tmp_path: Path
) -> None:
    uri = await asyncio.to_thread(migrated, postgres, "webhook-faults")
    project = tmp_path / "langgraph.json"
    document = {
        "graphs": {"steps": f"{GRAPHS.parent / 'steps.py'}:builder"},
        "webhooks": {"url": {"require_https": False, "disable_loopback": False}},
    }
    project.write_text(json.dumps(document))
    settings: dict[str, Any] = {"database_uri": uri, "langgraph_config": project}
    with receiving() as receiver, processes(3, **settings) as serving:
        client = serving[0].client()
        begun = set()
        for number in range(RUNS):
            run = await client.runs.create(
                None,
                "steps",
                input={"seconds": random.uniform(0, 1.5), "tag": str(number)},
                webhook=receiver.url,
            )
            begun.add(run["run_id"])
        for _ in range(KILLS):
            await asyncio.sleep(1.5)
            victim = random.randrange(len(serving))
            serving[victim].kill()
            serving[victim] = Process(**settings)
        for _ in range(1200):  # whoever was killed while it sent holds what it sent for a minute
            if {each["run_id"] for each in receiver.documents()} == begun:
                break
            await asyncio.sleep(0.1)
        told = defaultdict(set)
        for headers, body, _ in receiver.got:
            told[json.loads(body)["run_id"]].add(headers["webhook-id"])
        assert told.keys() == begun, f"{len(begun - told.keys())} were never told"
        assert all(len(identifiers) == 1 for identifiers in told.values()), "what is told again has its id"
        assert {each["status"] for each in receiver.documents()} <= {"success", "error"}
        for process in serving:
            process.close()
