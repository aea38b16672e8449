"""What `make up` says in the end: first what to try, for people and for programs."""

import subprocess
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sandbox import report
from sandbox.cluster.agents import Agent, Reached
from sandbox.common.state import State

SUPPORT = Agent("support", "langgraph-agents", "http://10.254.128.7", "support.example.com", "key")


@pytest.fixture
def ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> report.Ways:
    """Those of a stack whose agent takes a topic with an apostrophe."""
    schema = {"properties": {"topic": {"type": "string", "default": "what's new"}}, "required": ["topic"]}

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/assistants/search":
            return httpx.Response(200, json=[{"assistant_id": "agent"}])
        return httpx.Response(200, json={"input_schema": {"type": "object", **schema}})

    def client(self: Reached, timeout: float) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=self.url)

    monkeypatch.setattr(Reached, "client", client)
    monkeypatch.chdir(tmp_path)
    way = Reached("https://10.254.0.80", "key", SUPPORT.host, tmp_path / "ca.crt")
    return report.Ways.ask(State(tmp_path / ".sandbox", "dev"), [(SUPPORT, way)], pods=True)


def test_the_line_to_try_asks_an_agent_what_it_takes_in_one_line_for_a_shell(
    ways: report.Ways, tmp_path: Path
) -> None:
    env = tmp_path / ".sandbox" / "dev" / "env"
    env.parent.mkdir(parents=True)
    env.write_text("""ask() { printf '%s\\n' "$@"; }""")
    done = subprocess.run(["sh", "-c", ways.first], capture_output=True, text=True, check=True)
    assert "\n" not in ways.first
    agent, path, _, body = done.stdout.splitlines()
    assert (agent, path) == ("support", "/invoke")
    assert body == '{"input": {"topic": "what\'s new"}}'


def test_a_program_gets_what_a_person_reads(ways: report.Ways) -> None:
    told = ways.for_programs()
    assert told["first"] == ways.first
    assert told["answered_by"] == "pods"
    assert told["agents"]["support"] == {
        "url": "https://support.example.com",
        "service": "http://10.254.128.7",
        "question": {"input": {"topic": "what's new"}},
        "takes_key": True,
    }


def test_the_line_to_try_stands_before_everything_else(
    ways: report.Ways, capsys: pytest.CaptureFixture[str]
) -> None:
    report.show_first(ways)
    told = [line for line in capsys.readouterr().out.splitlines() if line]
    assert told == [
        "support answers at https://support.example.com, from this machine alone.",
        "Try this:",
        f"  {ways.first}",
    ]


def test_an_agent_with_an_authentication_of_its_own_is_asked_by_a_token_of_it(
    ways: report.Ways, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def client(self: Reached, timeout: float) -> httpx.AsyncClient:
        refusal = httpx.MockTransport(lambda _: httpx.Response(401, json={"detail": "unknown token"}))
        return httpx.AsyncClient(transport=refusal, base_url=self.url)

    monkeypatch.setattr(Reached, "client", client)
    way = Reached("https://10.254.0.80", "key", SUPPORT.host)
    own = report.Ways.ask(State(tmp_path / ".sandbox", "dev"), [(SUPPORT, way)], pods=True)
    assert "ask support /invoke -H 'Authorization: ...' -d" in own.first
    assert own.for_programs()["agents"]["support"]["takes_key"] is False
    report.show_first(own)
    assert "Its project has an authentication of its own" in capsys.readouterr().out
    both = replace(own, agents=[*own.agents, *ways.agents])
    assert both.first == ways.first


def test_where_no_agent_answers_the_line_looks_at_the_cluster(tmp_path: Path) -> None:
    ways = report.Ways.ask(State(tmp_path, "dev"), [], pods=False)
    assert ways.first.endswith("/env && kubectl get all -A")


def test_it_is_said_when_a_process_answers_in_the_place_of_pods(
    ways: report.Ways, capsys: pytest.CaptureFixture[str]
) -> None:
    report.show_first(replace(ways, pods=False))
    assert "It is a process with the stack's settings" in capsys.readouterr().out
    report.show_agents(replace(ways, pods=False))
    told = capsys.readouterr().out
    assert "tail -f .sandbox/dev/logs/agent-support.log" in told
    assert "deployment/support" not in told
