"""What a stack tells the service is what the service reads, name by name and value by value."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from langgraph_agents_service.configuration.settings import Settings
from stacks.agent_settings import Agent
from stacks.loading import load
from stacks.service import SECRET_NAMES, plain_variables

ROOT = Path(__file__).parents[2]

# What a stack leaves at its default: only somebody who knows the service well has a reason to change it.
UNSET = {
    "LOG_CONTENT",
    "HOST",
    "LANGGRAPH_CONFIG",
    "DATABASE_POOL_TIMEOUT_SECONDS",
    "DATABASE_PREPARED_STATEMENTS",
    "DATABASE_RELAXED_COMMITS",
    "REDIS_POOL_MAX_SIZE",
    "MAX_CONCURRENT_RUNS",
    "MAX_CONCURRENT_RUNS_PER_CALLER",
    "SYNC_THREADS",
    "QUEUE_TIMEOUT_SECONDS",
    "LEASE_SECONDS",
    "MAX_RECURSION_LIMIT",
    "PROCESS_ROLE",
    "REQUIRE_API_KEY_WITH_AUTH",
    "STORE_SHARED",
    "STREAM_BUFFER_BYTES",
    "MAX_REQUEST_BYTES_AT_ONCE",
    "MAX_RUN_ATTEMPTS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    # Secrets of the agent's own, where its team names them.
    "API_KEYS",
    "WEBHOOK_SECRET",
}


def agents(stack: str) -> list[tuple[Agent, bool]]:
    document: Any = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    settings = load(document["config"]["langgraph-agents:settings"], stack=stack, region="eu-central-1")
    return [(agent, settings.production) for agent in settings.agents]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_stack_sets_exactly_what_the_service_reads(stack: str) -> None:
    read = {name.upper() for name in Settings.model_fields}
    for agent, production in agents(stack):
        told = set(plain_variables(agent, production=production)) | SECRET_NAMES
        assert told - read == set(), "told, but not read"
        assert read - told == UNSET, "read, but neither told nor known to stay at its default"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_service_accepts_every_value_that_a_stack_sets(stack: str) -> None:
    for agent, production in agents(stack):
        variables = plain_variables(agent, production=production)
        settings = Settings(
            **{name.lower(): value for name, value in variables.items()},  # type: ignore[arg-type]
            api_keys="team:0123456789abcdef0123",
            database_uri="postgresql://a:b@db:5432/a?sslmode=verify-full",
            redis_uri="rediss://:c@cache:6379",
        )
        lifetimes = agent.lifetimes
        assert lifetimes.pre_stop + settings.drain_timeout_seconds < lifetimes.grace_period
        assert settings.run_timeout_seconds <= settings.drain_timeout_seconds
