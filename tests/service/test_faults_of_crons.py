"""Crons whose processes are killed while they carry them out."""

import asyncio
import random
from typing import Any

import psycopg
import pytest

from langgraph_agents_service import local
from tests.service.databases import migrated
from tests.service.processes import Process, processes

pytestmark = pytest.mark.e2e

CRONS = 60
KILLS = 5
SPREAD_SECONDS = 12.0


async def test_a_cron_runs_once_whoever_is_killed_when_it_is_due(postgres: local.Postgres) -> None:
    uri = await asyncio.to_thread(migrated, postgres, "crons")
    with processes(3, database_uri=uri) as serving:
        client = serving[0].client()
        threads = [(await client.threads.create())["thread_id"] for _ in range(CRONS)]
        for thread_id in threads:
            await client.crons.create_for_thread(
                thread_id, "steps", schedule="0 0 29 2 *", input={"tag": "x"}, multitask_strategy="enqueue"
            )
        async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
            await connection.execute(
                "UPDATE agent_crons SET next_run_date = now() + random() * make_interval(secs => %s)",
                (SPREAD_SECONDS,),
            )
            for _ in range(KILLS):
                await asyncio.sleep(SPREAD_SECONDS / KILLS)
                victim = random.randrange(len(serving))
                serving[victim].kill()
                serving[victim] = Process(database_uri=uri)
            for process in serving:
                await asyncio.to_thread(process.wait_for, 200)
            client = serving[0].client()
            ended: Any = None
            for _ in range(600):
                cursor = await connection.execute(
                    """SELECT count(DISTINCT thread_id), count(*), count(*) FILTER (WHERE status = 'success')
                       FROM agent_runs"""
                )
                ended = await cursor.fetchone()
                if ended[2] >= CRONS:
                    break
                await asyncio.sleep(0.1)
            assert ended == (CRONS, CRONS, CRONS), "every cron ran, and none twice"
        for process in serving:
            process.close()
