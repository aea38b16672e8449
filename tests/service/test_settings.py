"""Settings: read from variables and files, refused with words that help, and described in the docs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from langgraph_agents_service.configuration.describe import faults, table
from langgraph_agents_service.configuration.settings import DatabaseSettings, Settings, load
from tests.service.processes import environment

DOCS = Path(__file__).parents[2] / "docs" / "agent.md"
LOCAL: dict[str, Any] = {"host": "127.0.0.1", "checkpointer": "memory"}
PROD: dict[str, Any] = {
    "environment": "prod",
    "api_keys": "team:0123456789abcdef",
    "model": "openai:gpt-5-mini",
    "database_uri": "postgresql://a:b@db/a?sslmode=verify-full",
}


def problems(**settings: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Settings(**settings)
    return faults(caught.value)


def test_the_documentation_lists_exactly_the_settings_there_are() -> None:
    assert table() in DOCS.read_text(), (
        "run `python -m langgraph_agents_service settings` and put its output into docs/agent.md"
    )


def test_a_secret_file_wins_over_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "API_KEYS").write_text("from-file\n")
    monkeypatch.setenv("API_KEYS", "from-variable")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    assert load(Settings, **LOCAL).keys == ("from-file",)


def test_keys_come_by_line_or_comma() -> None:
    assert Settings(**LOCAL, api_keys="a, b\n\nname:c\n").keys == ("a", "b", "name:c")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"checkpointer": "postgres"}, "DATABASE_URI is empty"),
        ({"checkpointer": "valkey"}, "REDIS_URI is empty"),
        ({"host": "0.0.0.0"}, "API_KEYS is empty while HOST=0.0.0.0"),
        ({"model": "gpt-5"}, "MODEL=gpt-5 names no provider"),
        ({"database_pool_min_size": 20}, "DATABASE_POOL_MIN_SIZE is 20, above DATABASE_POOL_MAX_SIZE 10"),
        ({"port": 0}, "PORT"),
        ({"max_iterations": 0}, "MAX_ITERATIONS"),
        ({"multitask_strategy": "rollback"}, "MULTITASK_STRATEGY"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(settings: dict[str, Any], words: str) -> None:
    assert any(words in line for line in problems(**{**LOCAL, **settings}))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cors_origins": "*"}, "CORS_ORIGINS=*"),
        ({"checkpointer": "memory"}, "CHECKPOINTER=memory"),
        ({"checkpointer": "none"}, "CHECKPOINTER=none"),
        ({"model": "fake"}, "MODEL=fake"),
        ({"api_keys": "team:short"}, "fewer than 16 characters"),
        ({"api_keys": ""}, "API_KEYS is empty"),
        ({"database_uri": "postgresql://a:b@db/a"}, "sslmode=(none)"),
        ({"redis_uri": "redis://cache"}, "REDIS_URI is without TLS"),
    ],
)
def test_production_refuses_what_is_only_fit_for_development(settings: dict[str, Any], words: str) -> None:
    Settings(**PROD)
    assert any(words in line for line in problems(**{**PROD, **settings}))


def test_all_faults_are_told_at_once() -> None:
    assert len(problems(**{**PROD, "model": "fake", "cors_origins": "*", "api_keys": ""})) >= 3


def test_a_secret_value_is_never_told() -> None:
    secret = "s3cr3t-value"
    lines = problems(**{**PROD, "database_uri": f"mysql://u:{secret}@h/d", "redis_uri": f"{secret}://x"})
    assert any("DATABASE_URI" in line for line in lines)
    assert secret not in "\n".join(lines)
    settings = Settings(**{**PROD, "api_keys": f"team:{secret}-and-more"})
    assert secret not in repr(settings)


def test_the_jobs_need_no_more_than_the_database() -> None:
    settings = DatabaseSettings(environment="prod", database_uri="postgresql://a:b@db/a?sslmode=require")
    assert settings.database_uri.get_secret_value()


def test_a_person_sees_faults_and_no_traceback() -> None:
    command = [sys.executable, "-m", "langgraph_agents_service", "serve"]
    done = subprocess.run(
        command,
        env=environment(port="eighty", checkpointer="memory"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "PORT=eighty" in done.stderr
    assert "Traceback" not in done.stderr
