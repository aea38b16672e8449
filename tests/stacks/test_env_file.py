"""An agent's settings as a `.env` file, for a service on a developer's machine."""

import os
from pathlib import Path

import pytest
from dotenv import dotenv_values

from preview.recording.recorder import Recording
from stacks import env_file
from stacks.agent_settings import Agent, AgentSecret
from stacks.env_file import entries_of, main
from stacks.vocabulary import SecretSource

ARN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:openai-AbCdEf"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(env_file, "FOLDER", tmp_path / "env")
    return tmp_path


def aws(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a command in the place of AWS's CLI."""
    command = folder / "bin" / "aws"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")


def test_it_has_every_variable_of_the_pods_and_no_secret(folder: Path, dev: Recording) -> None:
    assert main(["--stack", "dev", "--agent", "support"]) == 0
    file = folder / "env" / "dev-support.env"
    (config,) = [
        found.inputs["data"]
        for found in dev.of_type("kubernetes:core/v1:ConfigMap")
        if found.name == "support-workload-config"
    ]
    assert dotenv_values(file) == {name: value for name, value in config.items() if name != "SECRETS_DIR"}
    assert file.stat().st_mode & 0o777 == 0o600


def test_secrets_stand_there_as_the_entries_that_the_stack_makes(dev: Recording) -> None:
    agent = Agent(name="support", host="support.example.com")
    made = {found.inputs["name"] for found in dev.of_type("aws:secretsmanager/secret:Secret")}
    named = entries_of(agent, "dev")
    assert set(named) == {"DATABASE_URI", "REDIS_URI", "API_KEYS"}
    assert set(named.values()) <= made


def test_an_entry_of_somebody_elses_is_named_by_its_arn() -> None:
    secret = AgentSecret(name="OPENAI_API_KEY", source=SecretSource.EXISTING, arn=ARN)
    agent = Agent(name="support", host="support.example.com", secrets=(secret,))
    assert entries_of(agent, "dev")["OPENAI_API_KEY"] == ARN


def test_values_are_written_when_they_are_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # $6: what follows --secret-id.
    aws(folder, """printf '%s\\n' "it's \\"\\$(id)\\" \\\\n of $6" """, monkeypatch)
    assert main(["--stack", "dev", "--agent", "support", "--values"]) == 0
    found = dotenv_values(folder / "env" / "dev-support.env")
    assert found["API_KEYS"] == 'it\'s "$(id)" \\n of langgraph-agents/dev/support/API_KEYS'
    assert {"DATABASE_URI", "REDIS_URI"} <= set(found)


def test_nothing_is_written_when_a_value_cannot_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws(folder, "echo 'Unable to locate credentials' >&2; exit 253", monkeypatch)
    assert main(["--stack", "dev", "--agent", "support", "--values"]) == 1
    said = capsys.readouterr().err
    assert "langgraph-agents/dev/support/database cannot be read" in said
    assert "Unable to locate credentials" in said
    assert not (folder / "env").exists()


def test_without_aws_cli_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["--stack", "dev", "--agent", "support", "--values"]) == 1
    assert "install it, or leave --values out" in capsys.readouterr().err


def test_an_agent_that_is_not_there_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "dev", "--agent", "sales"]) == 2
    assert "--agent sales: no such agent in this stack: support" in capsys.readouterr().err
    assert main(["--stack", "nowhere", "--agent", "sales"]) == 2
    assert "Pulumi.nowhere.yaml" in capsys.readouterr().err
