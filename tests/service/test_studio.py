"""LangGraph Studio is a page of another origin: what it asks is asked here from such a page, in a real browser.

Studio itself is not to be had without an account. Where LangGraph's own server is installed (LANGGRAPH_DEV names its
`langgraph`), it is asked the same.
"""

import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from langgraph_agents_service.local import Postgres
from tests.browser import BROWSER, result_of
from tests.service.databases import migrated
from tests.service.langgraph_dev import installed, langgraph_dev
from tests.service.serving import GRAPHS, KEY, serving

SCRIPT = Path(__file__).parent / "javascript" / "studio.js"
STUDIO = "https://smith.langchain.com"
STUDIO_HEADERS = {"x-api-key": KEY.partition(":")[2], "x-auth-scheme": "langsmith"}
STEPS = ["one", "two", "three", "four"]


class Page(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the origin at which a browser finds what is in it."""
    folder = tmp_path / "studio"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Page, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://localhost:{server.server_port}"
        server.shutdown()


def asked(page: tuple[Path, str], url: str, headers: dict[str, str]) -> dict[str, Any]:
    """What comes back when the page asks the server at this address."""
    folder, origin = page
    given = f"window.given = {json.dumps({'url': url, 'headers': headers})};"
    (folder / "index.html").write_text(
        f"<!doctype html><title></title><script>{given}</script><script>{SCRIPT.read_text()}</script>"
    )
    result, _ = result_of(origin, folder.parent / "profile", budget_ms=30_000)
    return result


seen = pytest.mark.skipif(
    BROWSER is None and not os.environ.get("CI"),
    reason="no Chromium: apt install chromium, then run it again",
)

RIGHT = {
    "info": True,
    "graphs": ["ask", "steps"],
    "nodes": ["__start__", *STEPS, "__end__"],
    "edges": 5,
    "schemas": ["done", "seconds", "fail_at", "give_up_at", "tag"],
    "subgraphs": {},
    "names": ["debug", "metadata", "updates", "values"],
    "location": True,
    "before": STEPS[:2],
    "next": ["three"],
    "thread": "interrupted",
    "after": STEPS,
    "history": ["", *reversed(STEPS[1:]), "one", "__start__"],
    "forked": [*STEPS[:2], "edited", *STEPS[2:]],
    "question": {"question": "go on?"},
    "answered": ["yes"],
    "stopped": "interrupted",
    "found": True,
    "versions": [2, 1],
    "latest": 1,
    "namespaces": [["notes"]],
    "items": ["k"],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A langgraph.json of two graphs."""
    folder = tmp_path / "project"
    folder.mkdir()
    steps = GRAPHS.parent / "steps.py"
    graphs = {"steps": f"{steps}:builder", "ask": f"{steps}:compiled"}
    (folder / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    return folder


@seen
@pytest.mark.parametrize("checkpointer", ["memory", "postgres"])
def test_what_langgraph_studio_asks_is_answered_to_a_page_of_its_origin(
    page: tuple[Path, str], project: Path, postgres: Postgres, checkpointer: str
) -> None:
    settings: dict[str, Any] = {"langgraph_config": project / "langgraph.json", "cors_origins": page[1]}
    if checkpointer == "postgres":
        settings["database_uri"] = migrated(postgres, "studio")
    with serving(checkpointer=checkpointer, **settings) as served:
        assert asked(page, served.url, STUDIO_HEADERS) == RIGHT


@seen
@installed
@pytest.mark.e2e
def test_langgraph_dev_gives_the_same_answers_to_studio(
    page: tuple[Path, str], project: Path, tmp_path: Path
) -> None:
    with langgraph_dev(project, log=tmp_path / "log") as url:
        assert asked(page, url, STUDIO_HEADERS) == RIGHT


@seen
def test_a_page_of_an_origin_that_is_not_named_learns_nothing(page: tuple[Path, str]) -> None:
    with serving(checkpointer="memory", cors_origins=STUDIO) as served:
        assert asked(page, served.url, STUDIO_HEADERS) == {"error": "TypeError: Failed to fetch"}


def test_a_named_page_of_the_internet_may_ask_a_service_on_its_readers_machine() -> None:
    preflight = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Private-Network": "true",
    }
    with serving(checkpointer="memory", cors_origins=STUDIO) as served:
        named = httpx.options(f"{served.url}/info", headers={**preflight, "Origin": STUDIO})
        other = httpx.options(f"{served.url}/info", headers={**preflight, "Origin": "https://example.com"})
    assert named.status_code == 200
    assert named.headers["access-control-allow-private-network"] == "true"
    assert other.status_code == 400
