"""A project's own application beside the service: routes, middleware, lifespan, exception handlers."""

import json
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from langgraph_agents_service.observability import logs
from langgraph_agents_service.projects.config import ProjectError
from tests.service.serving import KEY, Served, serving

PROJECTS = Path(__file__).parents[1] / "projects"
SECRET = KEY.partition(":")[2]


@contextmanager
def routed(
    folder: Path, http: dict[str, Any] | None = None, *, auth: bool = False, **more: Any
) -> Iterator[Served]:
    """The project with these settings of `http`."""
    document = {
        "dependencies": [],
        "graphs": {"headers": f"{PROJECTS}/routed/headers.py:graph"},
        "http": {"app": f"{PROJECTS}/routed/web.py:app", **(http or {})},
    }
    if auth:
        document["auth"] = {"path": f"{PROJECTS}/guarded/security.py:auth"}
    config = folder / "langgraph.json"
    config.write_text(json.dumps(document))
    with serving(checkpointer="memory", langgraph_config=config, **more) as served:
        yield served


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with routed(tmp_path_factory.mktemp("house")) as served, client(served) as http:
        yield http


def client(served: Served, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=served.url, headers=headers, verify=False)  # noqa: S501


KEYED = {"X-API-Key": SECRET}


def test_the_projects_routes_answer_without_a_key_and_with_what_its_lifespan_opened(
    house: httpx.Client,
) -> None:
    assert house.get("/hello").json() == {"started": True, "greeting": "good day"}
    assert house.get("/hello/ann").json() == "ann"


def test_its_middleware_sees_every_answer(house: httpx.Client) -> None:
    answers = {
        "its own": house.get("/hello"),
        "the service's": house.post("/threads", json={}, headers=KEYED),
        "without a key": house.post("/threads", json={}),
        "of an error": house.get("/threads/nothing", headers=KEYED),
        "of a path that is not there": house.get("/nowhere", headers=KEYED),
        "of a probe": house.get("/ok"),
        "of its own failure": house.get("/fails"),
        "too large": house.post("/echo", content=b"x" * 17_000_000),
    }
    assert {name: answer.headers.get("x-house") for name, answer in answers.items()} == dict.fromkeys(
        answers, "north"
    )
    assert all("x-request-id" in answer.headers for answer in answers.values())


def test_the_services_own_routes_keep_their_keys(house: httpx.Client) -> None:
    assert house.post("/threads", json={}).status_code == 401
    assert house.post("/threads", json={}, headers=KEYED).status_code == 200
    assert house.post("/threads", content=b'{"a": NaN}', headers=KEYED).status_code == 422
    assert house.get("/nowhere").status_code == 401


def test_its_routes_come_first_but_for_the_probes_and_the_description_of_the_api(house: httpx.Client) -> None:
    assert house.get("/assistants/headers").json() == "shadow of headers"
    assert house.post("/assistants/search", json={}, headers=KEYED).status_code == 200, "another method"
    assert house.get("/ok").json() == {"ok": True}
    assert house.get("/health").json() == {"status": "ok"}
    assert "/threads" in house.get("/openapi.json", headers=KEYED).json()["paths"]


def test_the_description_holds_its_routes_and_what_it_says_of_authentication(tmp_path: Path) -> None:
    document = {
        "graphs": {"headers": f"{PROJECTS}/routed/headers.py:graph"},
        "http": {"app": f"{PROJECTS}/routed/web.py:app"},
        "auth": {
            "path": f"{PROJECTS}/guarded/security.py:auth",
            "openapi": {
                "securitySchemes": {"Token": {"type": "http", "scheme": "bearer"}},
                "security": [{"Token": []}],
                "paths": {"/threads": {"POST": []}},
            },
        },
    }
    config = tmp_path / "langgraph.json"
    config.write_text(json.dumps(document))
    ann = {"Authorization": "Bearer token-of-ann"}
    with (
        serving(checkpointer="memory", langgraph_config=config, api_keys="") as served,
        client(served) as http,
    ):
        described = http.get("/openapi.json", headers=ann).json()
        assert described["paths"]["/hello"]["get"]
        assert described["paths"]["/threads/{thread_id}"]["get"]
        assert set(described["paths"]["/assistants/{assistant_id}"]) >= {"get"}
        assert described["components"]["securitySchemes"]["Token"]["scheme"] == "bearer"
        assert (described["security"], described["paths"]["/threads"]["post"]["security"]) == (
            [{"Token": []}],
            [],
        )


def test_its_exception_handlers_hold(house: httpx.Client) -> None:
    assert house.get("/teapot").json() == {"i am": "a teapot"}
    assert house.get("/hello/a/b", headers=KEYED).status_code == 404


def test_a_failure_of_its_route_says_nothing_of_the_reason(house: httpx.Client) -> None:
    answer = house.get("/fails")
    assert (answer.status_code, "secret" in answer.text) == (500, False)


def test_a_body_for_its_route_has_the_same_limit(house: httpx.Client) -> None:
    assert house.post("/echo", content=b"x" * 1000).json() == 1000
    assert house.post("/echo", content=b"x" * 17_000_000).status_code == 413


def test_its_lifespan_is_within_the_services(tmp_path: Path) -> None:
    with routed(tmp_path) as served, client(served, **KEYED) as http:
        web: Any = next(
            m for m in sys.modules.values() if str(getattr(m, "__file__", "")).endswith("routed/web.py")
        )
        journal = web.journal
        http.get("/hello")
        assert journal == ["opened on a server with 0 threads"]
    assert journal == ["opened on a server with 0 threads", "closed on a server with 0 threads"]


def test_its_routes_can_be_given_the_services_authentication(tmp_path: Path) -> None:
    ann = {"Authorization": "Bearer token-of-ann"}
    for protected, expected in ((False, 200), (True, 401)):
        settings = {"enable_custom_route_auth": protected}
        with routed(tmp_path, settings, auth=True, api_keys="") as served, client(served) as http:
            assert http.get("/hello").status_code == expected
            assert http.get("/hello", headers=ann).status_code == 200
            assert http.post("/threads", json={}).status_code == 401
            assert http.get("/ok").status_code == 200
            if protected:
                assert http.get("/me", headers=ann).json() == "ann"
                http.post("/threads", json={}, headers=ann)
                assert http.get("/inside", headers=ann).json() == 1
                assert http.get("/inside", headers={"Authorization": "Bearer token-of-bob"}).json() == 0


def test_a_request_does_not_act_for_the_one_before_it_on_the_same_connection(tmp_path: Path) -> None:
    ann, bob = ({"Authorization": f"Bearer token-of-{name}"} for name in ("ann", "bob"))
    bare = {"app": f"{PROJECTS}/routed/web.py:bare"}
    with routed(tmp_path, bare, auth=True, api_keys="") as served, client(served) as http:
        for headers in (ann, bob, bob):
            http.post("/threads", json={}, headers=headers)
        address = urlsplit(served.url)
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as raw:
            first = b"GET /assistants/headers/schemas HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token-of-ann\r\n\r\n"
            raw.sendall(first + b"GET /inside HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answers = b"".join(iter(lambda: raw.recv(65536), b""))
        assert answers.count(b"HTTP/1.1 200") == 2
        assert answers.endswith(b"3"), (
            "all that there is, as for any code of the project's own outside of a run"
        )


def test_its_websockets_are_let_in_as_its_routes_are(tmp_path: Path) -> None:
    with routed(tmp_path, {"enable_custom_route_auth": True}, auth=True, api_keys="") as served:
        address = served.url.replace("http", "ws") + "/talk"
        with connect(address, additional_headers={"Authorization": "Bearer token-of-ann"}) as socket_of_ann:
            assert socket_of_ann.recv() == "hello ann"
        with pytest.raises(InvalidStatus, match="403"), connect(address):
            pass
    with routed(tmp_path) as served, connect(served.url.replace("http", "ws") + "/talk") as anybodys:
        assert anybodys.recv() == "hello nobody"


def test_authentication_can_come_before_its_middleware(tmp_path: Path) -> None:
    ann = {"Authorization": "Bearer token-of-ann"}
    for order, user, refused in (("auth_first", "ann", None), ("middleware_first", "ann", "north")):
        settings = {"middleware_order": order}
        with routed(tmp_path, settings, auth=True, api_keys="") as served, client(served) as http:
            assert http.post("/threads", json={}, headers=ann).headers["x-user"] == user
            assert http.post("/threads", json={}).headers.get("x-house") == refused
            assert http.get("/hello").headers["x-house"] == "north"


def test_all_is_below_a_prefix_but_for_the_probes(tmp_path: Path) -> None:
    with routed(tmp_path, {"mount_prefix": "/my/agent"}) as served, client(served, **KEYED) as http:
        assert http.get("/my/agent/hello").status_code == 200
        assert http.post("/my/agent/threads", json={}).status_code == 200
        assert http.post("/my/agent/threads", json={}, headers={"X-API-Key": "no"}).status_code == 401
        assert http.get("/my/agent/ok").status_code == http.get("/ok").status_code == 200
        for path in ("/hello", "/my/agentx/hello", "/threads", "/"):
            assert http.get(path).status_code == 404, path
        assert http.get("/my/agent/inside").json() == 0, "a call of itself needs no prefix"


@pytest.mark.parametrize("prefix", ["agent", "/agent/", "/", ""])
def test_a_prefix_that_is_none_is_refused_by_name(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ProjectError, match="mount_prefix"), routed(tmp_path, {"mount_prefix": prefix}):
        pass


def test_what_is_no_application_is_refused_by_name(tmp_path: Path) -> None:
    wrong = {"app": f"{PROJECTS}/routed/web.py:journal"}
    with pytest.raises(ProjectError, match="Starlette or FastAPI"), routed(tmp_path, wrong):
        pass


@pytest.mark.parametrize(
    ("feature", "gone", "stays"),
    [
        ("assistants", ("POST", "/assistants/search"), ("POST", "/threads")),
        ("threads", ("POST", "/threads"), ("POST", "/runs/wait")),
        ("runs", ("POST", "/runs/wait"), ("POST", "/threads")),
        ("runs", ("POST", "/invoke"), ("POST", "/threads")),
        ("store", ("POST", "/store/items/search"), ("POST", "/threads")),
        ("meta", ("GET", "/openapi.json"), ("GET", "/ok")),
    ],
)
def test_what_is_disabled_is_not_there(
    tmp_path: Path, feature: str, gone: tuple[str, str], stays: tuple[str, str]
) -> None:
    document = {
        "graphs": {"headers": f"{PROJECTS}/routed/headers.py:graph"},
        "http": {f"disable_{feature}": True},
    }
    config = tmp_path / "langgraph.json"
    config.write_text(json.dumps(document))
    body = {"assistant_id": "headers", "input": {}}
    with serving(checkpointer="memory", langgraph_config=config) as served, client(served, **KEYED) as http:
        assert http.request(*gone, json=body if gone[0] == "POST" else None).status_code == 404
        kept = http.request(*stays, json={} if stays[1] == "/threads" else body)
        assert kept.status_code == 200
        if feature == "threads":
            assert http.post("/threads/search", json={}).status_code == 404


def test_cross_origin_rules_are_the_projects_for_all_routes(tmp_path: Path) -> None:
    rules = {"allow_origins": ["https://chat.example.com"], "allow_methods": ["GET", "POST"], "max_age": 7}
    asked = {"Origin": "https://chat.example.com", "Access-Control-Request-Method": "POST"}
    with routed(tmp_path, {"cors": rules}) as served, client(served) as http:
        for path in ("/threads", "/echo"):
            answer = http.options(path, headers=asked)
            assert answer.status_code == 200, path
            assert answer.headers["access-control-allow-origin"] == "https://chat.example.com"
            assert answer.headers["access-control-max-age"] == "7"
            assert answer.headers["x-house"] == "north"
        other = http.options("/threads", headers={**asked, "Origin": "https://else.example.com"})
        assert "access-control-allow-origin" not in other.headers
        seen = http.get("/hello", headers={"Origin": "https://chat.example.com"})
        assert seen.headers["access-control-allow-origin"] == "https://chat.example.com"


def test_headers_reach_the_graph_where_the_project_says_so(tmp_path: Path) -> None:
    rules = {"includes": ["x-tenant", "X-Mark-*", "*"], "excludes": ["x-mark-secret", "cookie"]}
    sent = {
        **KEYED,
        "x-tenant": "north",
        "x-mark-one": "1",
        "x-mark-secret": "2",
        "cookie": "3",
        "authorization": "Bearer 4",
        "__pregel_resuming": "5",
        "langgraph_auth_user_id": "6",
    }
    body = {"assistant_id": "headers", "input": {}}
    with routed(tmp_path, {"configurable_headers": rules}) as served, client(served) as http:
        seen = http.post("/runs/wait", json=body, headers=sent).json()["seen"]
        assert (seen["x-tenant"], seen["x-mark-one"]) == ("north", "1")
        forbidden = {"x-mark-secret", "cookie", "authorization", "x-api-key", "langgraph_auth_user_id"}
        assert not forbidden & set(seen)
    with routed(tmp_path) as served, client(served) as http:
        assert "x-tenant" not in http.post("/runs/wait", json=body, headers=sent).json()["seen"]


def test_the_log_tells_the_headers_that_the_project_names_but_no_credentials(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = {"includes": ["*"], "excludes": ["x-private*"]}
    sent = {
        "x-tenant": "north",
        "x-private-note": "hush",
        "Authorization": "Bearer hush",
        "Cookie": "hush",
        **KEYED,
    }
    for named in ({"logging_headers": rules}, {}):
        caplog.clear()
        with caplog.at_level(logging.INFO), routed(tmp_path, named) as served, client(served) as http:
            http.get("/hello", headers=sent)
        lines = [logs.JsonFormatter(content=False).format(record) for record in caplog.records]
        told = [json.loads(line).get("headers") for line in lines if '"endpoint": "/hello"' in line]
        assert [(headers or {}).get("x-tenant") for headers in told] == ["north" if named else None]
        assert "hush" not in "".join(lines)
        assert SECRET not in "".join(lines)


def test_what_the_agent_server_has_and_this_service_does_not_is_named(in_memory: Served) -> None:
    with client(in_memory, **KEYED) as http:
        for method, path, word in (
            ("POST", "/runs/crons/anything/else", "crons"),
            ("GET", "/ui/agent", "user interfaces"),
            ("POST", "/threads/a/b/c", "threads"),
        ):
            answer = http.request(method, path)
            assert (answer.status_code, word in answer.json()["detail"]) == (501, True), path
        assert http.get("/nowhere").status_code == 404


def test_a_protected_route_stays_so_where_the_services_own_of_that_path_is_open(tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(
        "from starlette.applications import Starlette\n"
        "from starlette.responses import PlainTextResponse\n"
        "from starlette.routing import Route\n"
        "async def own(request):\n"
        "    return PlainTextResponse('mine')\n"
        "app = Starlette(routes=[Route('/info', own), Route('/', own)])\n"
    )
    settings = {"app": f"{tmp_path}/web.py:app", "enable_custom_route_auth": True}
    with routed(tmp_path, settings) as served, client(served) as http:
        for path in ("/", "/info"):
            assert http.get(path).status_code == 401
            assert http.get(path, headers=KEYED).text == "mine"
        assert http.get("/docs").status_code == 200
