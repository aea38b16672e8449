"""Every method of langgraph_sdk's async and sync clients, over HTTP.

Where LangGraph's own server is installed (LANGGRAPH_DEV names its `langgraph`), it is asked the same, and has to be
right by the same words.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.errors import InternalServerError

from tests.service import sdk_calls
from tests.service.langgraph_dev import installed, langgraph_dev
from tests.service.sdk_calls import CALLS, DOCS, Plain
from tests.service.serving import GRAPHS, KEY, Served
from tests.service.versions import since

pytestmark = since("langgraph-sdk", "0.4.14")

SECRET = KEY.partition(":")[2]
MISSING: dict[str, tuple[str, str]] = {}
"""What the service does not have yet, and where the SDK asks for it."""

DIFFERENT = {
    "threads.search": "a search by values is 500 where a thread has none",
    "threads.count": "it is asked together with threads.search",
}
"""What `langgraph dev` gets wrong. That it still does is tested, too."""


async def ask(name: str, url: str, key: str | None, kind: str) -> None:
    if kind == "sync":
        with get_sync_client(url=url, api_key=key) as client:
            await CALLS[name](Plain(client))
    else:
        async with get_client(url=url, api_key=key) as client:
            await CALLS[name](client)


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("name", sdk_calls.methods())
async def test_a_method_of_the_sdk_gives_the_right_answer(on_postgres: Served, name: str, kind: str) -> None:
    if name in MISSING:
        method, path = MISSING[name]
        thing = "00000000-0000-4000-8000-000000000000"
        async with httpx.AsyncClient(base_url=on_postgres.url, headers={"X-API-Key": SECRET}) as http:
            answer = await http.request(method, path.format(thing), json={})
        assert answer.status_code in (405, 501), "it is there by now: ask it in sdk_calls.py"
        return
    await ask(name, on_postgres.url, SECRET, kind)


def test_what_is_asked_is_all_that_the_sdk_has() -> None:
    assert set(CALLS) | set(MISSING) == set(sdk_calls.methods())
    assert not set(CALLS) & set(MISSING)


def test_the_docs_list_every_method() -> None:
    text = DOCS.read_text()
    assert sdk_calls.documented(text) == text, "run python -m tests.service.sdk_calls"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("dev")
    steps = GRAPHS.parent / "steps.py"
    graphs: dict[str, Any] = {"steps": f"{steps}:builder", "ask": f"{steps}:compiled"}
    (folder / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
    with langgraph_dev(folder, log=folder / "log") as url:
        yield url


@pytest.mark.e2e
@pytest.mark.timeout(180)
@installed
@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("name", sorted(CALLS))
async def test_langgraph_dev_gives_the_same_answers_to_the_sdk(dev: str, name: str, kind: str) -> None:
    if name in DIFFERENT:
        with pytest.raises(InternalServerError):
            await ask(name, dev, None, kind)
    elif (name, kind) == ("threads.join_stream", "sync"):
        pytest.skip("its stream does not end with its thread, and the sync client has no other way out")
    else:
        await ask(name, dev, None, kind)
