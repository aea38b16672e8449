"""Keys and a project's own authentication, alone and together; what handlers may take, return and raise."""

import asyncio
import json
import logging
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from langgraph_agents_service.access.keys import Access
from langgraph_agents_service.configuration.settings import Settings
from langgraph_agents_service.observability import logs
from langgraph_agents_service.ports import free_port
from langgraph_agents_service.projects.config import ProjectError
from langgraph_agents_service.service import Service
from tests.service.access.test_project_auth import GUARDED
from tests.service.processes import agent
from tests.service.serving import KEY, OTHER_KEY, serving

SECRET, OTHER_SECRET = (key.partition(":")[2] for key in (KEY, OTHER_KEY))
ANN, BOB = ({"Authorization": f"Bearer token-of-{name}"} for name in ("ann", "bob"))
Project = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with this code for its authentication, and a client of it."""

    @contextmanager
    def served(code: str, *, entry: dict[str, Any] | None = None, **settings: Any) -> Iterator[httpx.Client]:
        (tmp_path / "security.py").write_text(
            "from langgraph_sdk import Auth\nauth = Auth()\n" + textwrap.dedent(code)
        )
        document = {
            "graphs": {"who": f"{GUARDED.parent}/whoami.py:who"},
            "auth": {"path": "./security.py:auth", **(entry or {})},
        }
        config = tmp_path / "langgraph.json"
        config.write_text(json.dumps(document))
        values = {"checkpointer": "memory", "langgraph_config": config, "api_keys": "", **settings}
        with serving(**values) as found, httpx.Client(base_url=found.url, verify=False) as client:  # noqa: S501
            yield client

    return served


def who(client: httpx.Client, **more: Any) -> Any:
    answer = client.post("/runs/wait", json={"assistant_id": "who", "input": {}}, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["who"]


LET_IN = """
@auth.authenticate
async def authenticate(headers: dict) -> str:
    return headers.get(b"x-name", b"anybody").decode()
"""


# Keys and users


def test_where_the_project_authenticates_keys_count_for_nothing() -> None:
    settings: dict[str, Any] = {"checkpointer": "memory", "langgraph_config": GUARDED}
    with serving(**settings) as served, httpx.Client(base_url=served.url, verify=False) as http:  # noqa: S501
        assert http.post("/threads", json={}, headers={"X-API-Key": SECRET}).status_code == 401
        assert http.post("/threads", json={}, headers=ANN).status_code == 200


def test_where_both_are_required_neither_is_enough_and_threads_belong_to_both() -> None:
    both: dict[str, Any] = {
        "checkpointer": "memory",
        "langgraph_config": GUARDED,
        "require_api_key_with_auth": True,
    }
    with serving(**both) as served, httpx.Client(base_url=served.url, verify=False) as http:  # noqa: S501
        keyed, other = ({"X-API-Key": secret} for secret in (SECRET, OTHER_SECRET))
        for headers in ({}, ANN, keyed, {**ANN, "X-API-Key": "wrong"}):
            assert http.post("/threads", json={}, headers=headers).status_code == 401
        thread = http.post("/threads", json={}, headers={**ANN, **keyed}).json()["thread_id"]
        for headers, status in (({**ANN, **keyed}, 200), ({**ANN, **other}, 404), ({**BOB, **keyed}, 404)):
            assert http.get(f"/threads/{thread}", headers=headers).status_code == status


def test_a_project_that_authenticates_needs_no_keys_to_listen_to_others(tmp_path: Path) -> None:
    assert Settings(host="0.0.0.0", checkpointer="memory", langgraph_config=GUARDED).project_authenticates
    assert Settings(
        host="0.0.0.0", checkpointer="memory", langgraph_config=GUARDED.parent
    ).project_authenticates
    with pytest.raises(ValidationError, match="API_KEYS is empty, and REQUIRE_API_KEY_WITH_AUTH"):
        Settings(
            host="127.0.0.1", checkpointer="memory", langgraph_config=GUARDED, require_api_key_with_auth=True
        )
    config = tmp_path / "langgraph.json"
    for text in ('{"graphs": {}, "auth": {}}', '{"graphs": {}, "auth": null}', "[]", "not JSON"):
        config.write_text(text)
        with pytest.raises(ValidationError, match=r"API_KEYS is empty while HOST=0\.0\.0\.0"):
            Settings(host="0.0.0.0", checkpointer="memory", langgraph_config=config)


def test_keys_that_are_emptied_while_it_serves_do_not_open_the_service(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closed, opened = (Settings(host="127.0.0.1", checkpointer="memory", api_keys=keys) for keys in (KEY, ""))
    access = Access(closed, None)
    access.use(opened)
    assert access.owner(None) is None
    assert access.owner(SECRET) is not None
    assert "API_KEYS is empty now" in caplog.text
    access.use(Settings(host="127.0.0.1", checkpointer="memory", api_keys=OTHER_KEY))
    assert access.owner(SECRET) is None


def test_a_service_without_keys_answers_no_page_of_another_site() -> None:
    with serving(checkpointer="memory", api_keys="") as served:
        port = served.url.rpartition(":")[2]
        with httpx.Client(base_url=served.url, verify=False) as http:  # noqa: S501
            for host in (
                "evil.example.com",
                f"evil.example.com:{port}",
                "127.0.0.1.evil.example.com",
                "192.0.2.1",
            ):
                for method, path in (("POST", "/threads"), ("GET", "/")):
                    body: Any = {} if method == "POST" else None
                    answer = http.request(method, path, json=body, headers={"Host": host})
                    assert answer.status_code == 403, (host, path)
            for host in (
                "localhost",
                f"127.0.0.1:{port}",
                "[::1]",
                f"[::1]:{port}",
                "a.localhost:1",
                "127.0.0.2",
            ):
                assert http.post("/threads", json={}, headers={"Host": host}).status_code == 200, host
                page = http.get("/", headers={"Host": host})
                assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
                assert page.headers["x-frame-options"] == "DENY"
    with serving(checkpointer="memory") as served, httpx.Client(verify=False) as http:  # noqa: S501
        headers = {"Host": "agents.example.com", "X-API-Key": SECRET}
        assert http.post(f"{served.url}/threads", json={}, headers=headers).status_code == 200


def test_each_user_has_a_rate_of_their_own(project: Project) -> None:
    with project(LET_IN, rate_limit_per_minute=5) as http:
        statuses = [http.get("/assistants/who", headers={"x-name": "ann"}).status_code for _ in range(12)]
        assert statuses.count(429) >= 2
        assert http.get("/assistants/who", headers={"x-name": "bob"}).status_code == 200


# Studio


def test_studio_is_let_in_by_a_key_or_in_development_on_this_machine(project: Project) -> None:
    refuse = """
    from langgraph_sdk.auth import is_studio_user

    @auth.authenticate
    async def authenticate() -> str:
        raise Auth.exceptions.HTTPException(status_code=401)

    @auth.on.threads.create_run
    async def told(ctx, value):
        value["metadata"]["studio"] = is_studio_user(ctx.user)
    """
    studio = {"x-auth-scheme": "langsmith"}
    with project(refuse) as http:
        assert http.post("/threads", json={}).status_code == 401
        assert who(http, headers=studio)["user"]["kind"] == "StudioUser"
        thread = http.post("/threads", json={}, headers=studio).json()["thread_id"]
        run = http.post(
            f"/threads/{thread}/runs", json={"assistant_id": "who", "input": {}}, headers=studio
        ).json()
        assert run["metadata"]["studio"] is True
    with project(refuse, api_keys=KEY) as http:
        assert http.post("/threads", json={}, headers=studio).status_code == 401
        assert http.post("/threads", json={}, headers={**studio, "X-API-Key": SECRET}).status_code == 200
        assert http.post("/threads", json={}, headers={"X-API-Key": SECRET}).status_code == 401
    with project(refuse, entry={"disable_studio_auth": True}, api_keys=KEY) as http:
        assert http.post("/threads", json={}, headers={**studio, "X-API-Key": SECRET}).status_code == 401
    with project(refuse, host="0.0.0.0") as http:
        assert http.post("/threads", json={}, headers=studio).status_code == 401


# What `authenticate` takes


def test_all_that_is_documented_can_be_taken_by_name(project: Project) -> None:
    code = """
    from starlette.requests import Request

    @auth.authenticate
    async def authenticate(
        request: Request, body: dict, path: str, method: str, path_params: dict, query_params: dict,
        headers: dict, authorization: str | None, scopes: list, scope: dict, unknown: int = 3,
    ) -> dict:
        seen = {
            "request": str(request.url.path), "again": await request.json(), "body": body, "path": path,
            "method": method, "path_params": path_params, "query_params": dict(query_params),
            "header": headers[b"x-name"].decode(), "authorization": authorization, "scopes": scopes,
            "scope": scope["type"], "unknown": unknown,
        }
        return {"identity": "ann", "seen": seen}
    """
    with project(code) as http:
        thread = http.post("/threads", json={}, headers={"x-name": "n"}).json()["thread_id"]
        body = {"assistant_id": "who", "input": {}}
        answer = http.post(
            f"/threads/{thread}/runs/wait?a=b", json=body, headers={"x-name": "n", "authorization": "t"}
        )
        seen = answer.json()["who"]["user"]["seen"]
        assert seen == {
            "request": f"/threads/{thread}/runs/wait",
            "again": body,
            "body": body,
            "path": f"/threads/{thread}/runs/wait",
            "method": "POST",
            "path_params": {"thread_id": thread},
            "query_params": {"a": "b"},
            "header": "n",
            "authorization": "t",
            "scopes": [],
            "scope": "http",
            "unknown": 3,
        }


def test_dependencies_of_fastapi_are_found_too(project: Project) -> None:
    code = """
    from typing import Annotated
    from fastapi import Depends, Header
    from fastapi.security import HTTPBearer

    def tenant(x_tenant: Annotated[str, Header()]) -> str:
        return x_tenant

    @auth.authenticate
    async def authenticate(credentials: Annotated[object, Depends(HTTPBearer())], tenant: str = Depends(tenant)) -> str:
        return credentials.credentials + " of " + tenant
    """
    with project(code) as http:
        assert http.post("/threads", json={}).status_code in (401, 403)
        assert http.post("/threads", json={}, headers=ANN).status_code == 422
        assert who(http, headers={**ANN, "x-tenant": "north"})["identity"] == "token-of-ann of north"


# What it returns


@pytest.mark.parametrize(
    ("returned", "identity", "permissions"),
    [
        ("'ann'", "ann", []),
        ("{'identity': 'ann', 'permissions': ['a', 'b']}", "ann", ["a", "b"]),
        ("(['a'], 'ann')", "ann", ["a"]),
        ("Thing('ann', ('a',))", "ann", ["a"]),
        ("Auth.types.StudioUser('ann', is_authenticated=True)", "ann", ["authenticated"]),
    ],
)
def test_a_user_is_a_text_a_mapping_or_an_object(
    project: Project, returned: str, identity: str, permissions: list[str]
) -> None:
    code = f"""
    from dataclasses import dataclass

    @dataclass
    class Thing:
        identity: str
        permissions: tuple
        note: str = "of the object"

        def shout(self) -> str:
            return self.identity.upper()

    @auth.authenticate
    def authenticate():
        return {returned}

    @auth.on
    async def check(ctx, value):
        assert ctx.user.identity == "ann" and ctx.user.is_authenticated and ctx.user.display_name == "ann"
        assert list(ctx.permissions) == {permissions}
        if "Thing" in {returned!r}:
            assert ctx.user.shout() == "ANN"
    """
    with project(code) as http:
        found = who(http)
        assert (found["identity"], found["permissions"], found["id"]) == (identity, permissions, identity)


@pytest.mark.parametrize(
    "returned", ["None", "3", "{'name': 'ann'}", "{'identity': 3}", "('a', 'b', 'c')", "True"]
)
def test_what_is_no_user_lets_nobody_in(project: Project, returned: str) -> None:
    with project(f"@auth.authenticate\nasync def authenticate():\n    return {returned}\n") as http:
        assert http.post("/threads", json={}).status_code == 500


def test_whom_the_project_let_in_is_believed_for_as_long_as_its_cache_says(project: Project) -> None:
    code = """
    asked = []

    @auth.authenticate
    async def authenticate(headers: dict) -> dict:
        asked.append(1)
        if headers.get(b"authorization") == b"Bearer wrong":
            raise Auth.exceptions.HTTPException(status_code=401)
        return {"identity": headers.get(b"x-name", b"anybody").decode(), "asked": len(asked)}
    """
    with project(code, entry={"cache": {"cache_keys": ["X-Name"], "ttl_seconds": 1, "max_size": 2}}) as http:

        def asked(**headers: str) -> Any:
            user = who(http, headers=headers)["user"]
            return user["identity"], user["asked"]

        ann = {"x-name": "ann", "authorization": "Bearer a"}
        assert [asked(**ann), asked(**ann)] == [("ann", 1), ("ann", 1)]
        assert asked(**{**ann, "x-name": "bob"}) == ("bob", 2)
        wrong = {**ann, "authorization": "Bearer wrong"}
        for _ in range(2):
            assert http.post("/threads", json={}, headers=wrong).status_code == 401
        assert asked(**ann) == ("ann", 1)
        assert [asked(), asked()] == [("anybody", 5), ("anybody", 6)], "who names nothing is asked each time"
        time.sleep(1.1)
        assert asked(**ann) == ("ann", 7)
        others = [asked(**{"x-name": name})[1] for name in ("carl", "dora")]
        assert (others, asked(**ann)) == ([8, 9], ("ann", 10)), "no more are remembered than max_size"


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        ({}, "auth.cache.cache_keys"),
        ({"cache_keys": ["a"]}, "auth.cache.ttl_seconds"),
        ({"cache_keys": [], "ttl_seconds": 1}, "auth.cache.cache_keys"),
        ({"cache_keys": ["a"], "ttl_seconds": 1, "size": 3}, "auth.cache.size"),
    ],
)
def test_a_cache_that_cannot_be_is_refused_by_name(
    project: Project, cache: dict[str, Any], words: str
) -> None:
    with pytest.raises(ProjectError, match=words), project(LET_IN, entry={"cache": cache}):
        pass


# What handlers raise, and what is told of it


@pytest.mark.parametrize(
    ("problem", "status", "detail"),
    [
        ("Auth.exceptions.HTTPException(status_code=402, detail='pay', headers={'x-a': 'b'})", 402, "pay"),
        (
            "Auth.exceptions.HTTPException(status_code=403, detail='not you', headers={'x-a': 'b'})",
            403,
            "not you",
        ),
        (
            "__import__('starlette.exceptions').exceptions.HTTPException(404, 'gone', {'x-a': 'b'})",
            404,
            "gone",
        ),
        ("RuntimeError('a secret of the house')", 500, None),
        ("KeyError('a secret of the house')", 500, None),
    ],
)
def test_what_a_handler_raises_is_the_answer_if_it_is_meant_for_the_caller(
    project: Project, problem: str, status: int, detail: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    places = {
        "authenticate": f"@auth.authenticate\nasync def authenticate():\n    raise {problem}\n",
        "on": LET_IN + f"\n@auth.on\nasync def on(ctx, value):\n    raise {problem}\n",
    }
    for code in places.values():
        with caplog.at_level(logging.INFO), project(code) as http:
            answer = http.post("/threads", json={})
            assert answer.status_code == status
            if detail is None:
                assert "secret" not in answer.text
            else:
                assert (answer.json()["detail"], answer.headers["x-a"]) == (detail, "b")
    formatter = logs.JsonFormatter(content=False)
    assert "secret" not in "".join(formatter.format(record) for record in caplog.records)


def test_an_assertion_in_a_handler_refuses_without_its_text(project: Project) -> None:
    with project(LET_IN + "\n@auth.on\nasync def on(ctx, value):\n    assert False, 'secret'\n") as http:
        answer = http.post("/threads", json={})
        assert (answer.status_code, "secret" in answer.text) == (403, False)


@pytest.mark.parametrize("returned", ["'yes'", "1", "['a']", "{'owner': {'$ne': 'bob'}}", "{'$or': []}", "0"])
def test_what_a_handler_may_not_return_lets_nobody_through(project: Project, returned: str) -> None:
    with project(LET_IN + f"\n@auth.on\nasync def on(ctx, value):\n    return {returned}\n") as http:
        assert http.post("/threads", json={}).status_code == 500
        assert http.post("/threads/search", json={}).status_code == 500


# Which handler is asked


def test_the_most_specific_handler_is_asked_and_no_other(project: Project) -> None:
    code = (
        LET_IN
        + """
@auth.on
async def anything(ctx, value):
    return False

@auth.on.threads
async def threads(ctx, value):
    return None

@auth.on(actions=["search"])
async def searches(ctx, value):
    raise Auth.exceptions.HTTPException(status_code=418, detail="search of anything")

@auth.on.threads.delete
async def delete(ctx, value):
    raise Auth.exceptions.HTTPException(status_code=418, detail="delete " + str(value["thread_id"]))
"""
    )
    with project(code) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        assert http.get(f"/threads/{thread}").status_code == 200
        assert http.post("/threads/search", json={}).status_code == 200, (
            "of its resource before of its action"
        )
        assert http.delete(f"/threads/{thread}").json()["detail"] == f"delete {thread}"
        assert http.post("/assistants/search", json={}).json()["detail"] == "search of anything"
        assert http.get("/assistants/who").status_code == 403


def test_where_all_is_denied_no_route_gives_anything_away(project: Project) -> None:
    """Every route but probes and the description of the API asks for leave: one that forgets is found here."""
    code = LET_IN + "\n@auth.on\nasync def deny(ctx, value):\n    return False\n"
    thing = "00000000-0000-4000-8000-000000000000"
    bodies: dict[str, Any] = {
        "assistant_id": "who",
        "graph_id": "who",
        "input": {},
        "metadata": {},
        "values": {},
        "version": 1,
        "checkpoint": {"checkpoint_id": thing},
        "namespace": ["a"],
        "namespace_prefix": ["a"],
        "key": "k",
        "value": {},
        "schedule": "* * * * *",
        "thread_ids": [thing],
        "id": 1,
        "method": "run.start",
        "params": {"assistant_id": "who"},
        "channels": ["values"],
    }
    with project(code) as http:
        document = http.get("/openapi.json").json()
        let_through = []
        for path, methods in document["paths"].items():
            if path in ("/health", "/ready", "/ok", "/info", "/docs"):
                continue
            if path in ("/mcp", "/a2a/{assistant_id}"):  # they refuse in words of their own: see below
                continue
            url = path.replace("{assistant_id}", "who").replace("{namespace}", "a")
            for name in ("thread_id", "run_id", "checkpoint_id", "cron_id"):
                url = url.replace(f"{{{name}}}", thing)
            for method, operation in methods.items():
                known = _properties(document, operation)
                body = {name: value for name, value in bodies.items() if name in known}
                if "{thread_id}" not in path:
                    body.pop("checkpoint", None)
                # Where it is the id of a new one, or of one to look for, and not whatever names one.
                if path in ("/assistants", "/runs/crons/search", "/runs/crons/count"):
                    body["assistant_id"] = thing
                if path == "/runs/cancel":
                    body = {"status": "all"}
                asked: Any = body if known else None
                if path == "/runs/batch":
                    asked = [{"assistant_id": "who"}]
                answer = http.request(
                    method, url, params={"namespace": "a", "key": "k", "assistant_id": "who"}, json=asked
                )
                if answer.status_code != 403:
                    let_through.append((method, path, answer.status_code, answer.text[:200]))
        assert let_through == []


def test_other_agents_are_refused_what_the_project_does_not_allow(project: Project) -> None:
    code = LET_IN + "\n@auth.on\nasync def deny(ctx, value):\n    return False\n"
    call: dict[str, Any] = {"jsonrpc": "2.0", "id": 1}
    message = {"role": "user", "messageId": "m", "parts": [{"kind": "data", "data": {}}]}
    with project(code) as http:
        for path, method, params in (
            ("/mcp", "tools/list", {}),
            ("/mcp", "tools/call", {"name": "who"}),
            ("/a2a/who", "message/send", {"message": message}),
            ("/a2a/who", "tasks/get", {"id": "a:b"}),
            ("/a2a/who", "ListTasks", {}),
        ):
            answer = http.post(path, json={**call, "method": method, "params": params}).json()
            assert answer["error"]["data"] == {"status": 403}, (method, answer)
        for method, params in (("message/stream", {"message": message}), ("SubscribeToTask", {"id": "a:b"})):
            streamed = http.post("/a2a/who", json={**call, "method": method, "params": params})
            assert '"status":403' in streamed.text, method


def _properties(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """What the body of an operation may hold."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    named = schema.get("$ref", "").rpartition("/")[2]
    return dict(document["components"]["schemas"].get(named, schema).get("properties", {}))


# What is wrong with it is said at the start


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", "no handler of @auth.authenticate"),
        ("auth = 3", "it is a int"),
        (
            "@auth.authenticate\nasync def a(token: str) -> str:\n    return token\n",
            "takes token; it may take",
        ),
    ],
)
def test_what_cannot_authenticate_is_refused_before_anything_is_served(
    tmp_path: Path, code: str, words: str
) -> None:
    config = tmp_path / "langgraph.json"
    (tmp_path / "security.py").write_text(f"from langgraph_sdk import Auth\nauth = Auth()\n{code}\n")
    graphs = {"who": f"{GUARDED.parent}/whoami.py:who"}
    config.write_text(json.dumps({"graphs": graphs, "auth": {"path": "./security.py:auth"}}))
    service = Service(Settings(checkpointer="memory", langgraph_config=config))

    async def start() -> None:
        async with service:
            pass

    with pytest.raises(ProjectError, match=words) as failure:
        asyncio.run(start())
    assert "auth.path" in str(failure.value)
    done = agent("check", checkpointer="memory", langgraph_config=config, api_keys="", port=free_port())
    assert (done.returncode, words in done.stderr) == (1, True)
