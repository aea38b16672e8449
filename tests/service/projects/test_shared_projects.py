"""Projects of the kinds that people have, beside the checkout: each served as `make agent` serves it.

Where LangGraph's own server is installed (LANGGRAPH_DEV names its `langgraph`), it is asked the same.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from langgraph_agents_service.ports import free_port
from tests.service.langgraph_dev import answering, installed, langgraph_dev

ROOT = Path(__file__).parents[3]
PROJECTS = next((p for up in ROOT.parents[:2] if (p := up / "shared" / "projects").is_dir()), None)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(PROJECTS is None, reason="there is no shared/projects beside the checkout"),
]

Ask = Callable[..., Any]

ANSWERS: list[tuple[str, str, dict[str, Any], Any]] = [
    ("package-named-agent", "agent", {"input": {"order": "tea cake"}}, {"total": 8}),
    ("context-with-defaults", "agent", {"input": {"name": "Ann"}}, {"answer": "Hello, Ann (default)"}),
    (
        "context-with-defaults",
        "agent",
        {"input": {"name": "Ann"}, "context": {"greeting": "Hi"}},
        {"answer": "Hi, Ann (default)"},
    ),
    (
        "context-with-defaults",
        "agent",
        {"input": {"name": "Ann"}, "config": {"configurable": {"greeting": "Hi"}}},
        {"answer": "Hi, Ann (default)"},
    ),
    ("own-routes", "agent", {"input": {"text": "hi"}}, {"text": "north: hi"}),
    (
        "own-routes",
        "agent",
        {"input": {"text": "hi"}, "config": {"configurable": {"shout": True}}},
        {"text": "NORTH: HI"},
    ),
    ("monorepo/apps/desk", "Front desk", {"input": "Good Day"}, {"slug": "good-day", "words": 2}),
    ("folder-is-the-package", "agent", {"input": {"text": "one two"}}, {"text": "two one"}),
    ("approval", "sweeper", {"input": {}}, {"threads": 0}),
    ("old-pins", "agent", {"input": {}}, {"pydantic": "2.11.3"}),
]
"""By project and graph, what is asked of it without a thread, and what of its answer is known."""


def custom_auth(http: httpx.Client) -> None:
    ann, bob = ({"Authorization": f"Bearer token-of-{name}"} for name in ("ann", "bob"))
    assert http.post("/threads", json={}).status_code == 401
    thread = http.post("/threads", json={}, headers=ann).json()
    where = f"/threads/{thread['thread_id']}"
    assert thread["metadata"]["owner"] == "ann"
    assert http.get(where, headers=ann).status_code == 200
    assert http.get(where, headers=bob).status_code == 404
    assert http.post("/threads/search", json={}, headers=bob).json() == []
    found = http.post("/threads/search", json={}, headers=ann).json()
    assert [each["thread_id"] for each in found] == [thread["thread_id"]]
    assert http.delete(where, headers=ann).status_code == 403
    for asks, name in ((ann, "ann"), (bob, "bob")):
        answer = http.post("/runs/wait", json={"assistant_id": "agent", "input": {}}, headers=asks)
        assert answer.json() == {"who": name}


def long_term_memory(http: httpx.Client) -> None:
    def remembered(text: str) -> Any:
        thread_id = http.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "agent", "input": {"text": text}}
        return http.post(f"/threads/{thread_id}/runs/wait", json=body).json()["found"]

    for text in ("banana", "pepper"):
        remembered(text)
    assert sorted(remembered("papaya")) == ["banana", "papaya"]
    http.put("/store/items", json={"namespace": ["own", "a"], "key": "k", "value": {"text": "x"}})
    item = http.get("/store/items", params={"namespace": "own.a", "key": "k"}).json()
    assert item["value"] == {"text": "x"}
    found = http.post("/store/items/search", json={"namespace_prefix": ["own"]}).json()["items"]
    assert [each["key"] for each in found] == ["k"]
    spaces = http.post("/store/namespaces", json={}).json()["namespaces"]
    assert sorted(spaces) == [["notes"], ["own", "a"]]
    http.request("DELETE", "/store/items", json={"namespace": ["own", "a"], "key": "k"})
    assert http.post("/store/items/search", json={"namespace_prefix": ["own"]}).json()["items"] == []


def own_routes(http: httpx.Client) -> None:
    answer = http.get("/hello", headers={"Origin": "https://chat.example.com"})
    assert answer.json() == {"started": True}
    assert answer.headers["access-control-allow-origin"] == "https://chat.example.com"
    other = http.get("/hello", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    for path in ("/hello", "/ok", "/threads/nothing"):
        assert http.get(path).headers["x-house"] == "north", path


def approval(http: httpx.Client) -> None:
    thread_id = http.post("/threads", json={}).json()["thread_id"]
    where = f"/threads/{thread_id}/runs/wait"
    asked = http.post(where, json={"assistant_id": "approval", "input": {"amount": 5}}).json()
    (question,) = asked["__interrupt__"]
    assert question["value"] == {"question": "pay 5?", "options": ["yes", "no"]}
    assert http.get(f"/threads/{thread_id}").json()["status"] == "interrupted"
    answer = http.post(where, json={"assistant_id": "approval", "command": {"resume": "yes"}}).json()
    assert answer["log"] == ["asked", "asked", "answered yes"]
    counted = http.post("/runs/wait", json={"assistant_id": "sweeper", "input": {}}).json()["threads"]
    assert counted >= 1


MORE: dict[str, Callable[[httpx.Client], None]] = {
    "custom-auth": custom_auth,
    "long-term-memory": long_term_memory,
    "own-routes": own_routes,
    "approval": approval,
}
"""What else is particular of a project, asked of a server that has just started."""


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert PROJECTS is not None
    folder = tmp_path_factory.mktemp("copies")
    return Path(shutil.copytree(PROJECTS, folder / "projects"))


def asked(url: str, graph: str, body: dict[str, Any]) -> Any:
    answer = httpx.post(f"{url}/runs/wait", json={"assistant_id": graph, **body}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("project", list(dict.fromkeys([*(name for name, *_ in ANSWERS), *MORE])))
def test_a_project_gives_its_right_answers_as_it_is(copies: Path, tmp_path: Path, project: str) -> None:
    folder = copies / project
    rows = [(graph, body, right) for name, graph, body, right in ANSWERS if name == project]
    before = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    port = free_port()
    ours = [sys.executable, "-W", "ignore", "-m", "langgraph_agents_service.local"]
    command = [*ours, "--project", str(folder), "--port", str(port)]
    with answering(command, port, folder=ROOT / "service", log=tmp_path / "ours.log") as url:
        for graph, body, right in rows:
            answer = asked(url, graph, body)
            assert {name: answer.get(name) for name in right} == right, (graph, body)
        if project in MORE:
            with httpx.Client(base_url=url, timeout=60) as http:
                MORE[project](http)
    after = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    assert after == before, "nothing is written into the project"


@installed
@pytest.mark.parametrize("project", ["context-with-defaults", "folder-is-the-package", *MORE])
def test_langgraph_dev_gives_the_same_answers(copies: Path, tmp_path: Path, project: str) -> None:
    with langgraph_dev(copies / project, log=tmp_path / "dev.log") as url:
        for name, graph, body, right in ANSWERS:
            # LangGraph's server counts the thread of the run that counts, too.
            if name == project and graph != "sweeper":
                answer = asked(url, graph, body)
                assert {key: answer.get(key) for key in right} == right, (graph, body)
        if project in MORE:
            with httpx.Client(base_url=url, timeout=60) as http:
                MORE[project](http)


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ("in-typescript", ["./src/graph.ts", "langgraph build"]),
        ("misspelt", ["auth.pth", '"path"', "stor:", '"store"']),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_installed(
    copies: Path, tmp_path: Path, project: str, words: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "langgraph_agents_service.local", "--project", str(copies / project)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, word
    assert not list(tmp_path.iterdir())


def test_versions_that_cannot_go_with_the_service_are_refused_with_both_sides(tmp_path: Path) -> None:
    (tmp_path / "langgraph.json").write_text(
        '{"dependencies": ["."], "graphs": {"agent": "./agent.py:graph"}}'
    )
    (tmp_path / "requirements.txt").write_text("langchain-core==0.3.80\n")
    done = subprocess.run(
        [sys.executable, "-m", "langgraph_agents_service.local", "--project", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in ("langchain-core==0.3.80", "langgraph-agents-service", str(tmp_path / "langgraph.json")):
        assert word in done.stderr, done.stderr
