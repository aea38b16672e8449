"""What every request passes: keys, rates, sizes, shapes; and the probes, metrics and logs."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import REGISTRY

from langgraph_agents_service.observability import logs
from langgraph_agents_service.observability.health import Check, Health
from tests.service.serving import KEY, OTHER_KEY, Served, serving

SECRET = KEY.partition(":")[2]


@pytest.fixture
async def http(in_memory: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=in_memory.url,
        headers={"X-API-Key": SECRET},
        verify=False,  # noqa: S501  # loopback
    ) as client:
        yield client


def steps(**more: Any) -> dict[str, Any]:
    return {"assistant_id": "steps", "input": {}, **more}


async def test_invoke_answers_without_a_thread(http: httpx.AsyncClient) -> None:
    answer = await http.post("/invoke", json={"input": {"messages": [{"role": "user", "content": "2 + 3"}]}})
    assert answer.status_code == 200
    body = answer.json()
    assert body["output"]["messages"][-1]["content"] == "The calculate tool says: 5"
    assert (body["thread_id"], body["interrupts"]) == (None, [])


async def test_invoke_goes_on_with_a_thread_and_its_interrupt(http: httpx.AsyncClient) -> None:
    thread_id = str(uuid.uuid4())
    first = await http.post("/invoke", json={"assistant_id": "ask", "input": {}, "thread_id": thread_id})
    assert first.json()["interrupts"][0]["value"] == {"question": "go on?"}
    then = {"assistant_id": "ask", "command": {"resume": "yes"}, "thread_id": thread_id}
    assert (await http.post("/invoke", json=then)).json()["output"]["done"] == ["yes"]


@pytest.mark.parametrize("key", [None, "", "wrong", KEY, SECRET + "x", SECRET[:-1]])
async def test_without_a_valid_key_only_the_probes_answer(in_memory: Served, key: str | None) -> None:
    headers = {} if key is None else {"X-API-Key": key}
    async with httpx.AsyncClient(base_url=in_memory.url, headers=headers, verify=False) as client:  # noqa: S501
        schema = in_memory.service.runner  # the service is up
        assert schema
        paths = {("GET", "/openapi.json"), ("POST", "/invoke"), ("POST", "/threads"), ("GET", "/nowhere")}
        for method, path in paths:
            answer = await client.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code == 401, path
            assert "X-API-Key" in answer.json()["detail"]
        for path in ("/health", "/ready", "/ok"):
            assert (await client.get(path)).status_code == 200


def test_the_page_is_served_in_development_only() -> None:
    with serving(checkpointer="memory") as dev, httpx.Client(verify=False) as client:  # noqa: S501
        page = client.get(dev.url)
        assert (page.status_code, "<form" in page.text) == (200, True)
        assert "default-src 'none'" in page.headers["content-security-policy"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "none")
        from langgraph_agents_service.api.app import create_app
        from langgraph_agents_service.configuration.settings import Settings

        app = create_app(
            Settings(
                environment="prod",
                api_keys="k:0123456789abcdef",
                model="openai:gpt-5-mini",
                database_uri="postgresql://a:b@db/a?sslmode=require",
            )
        )
        assert "/" not in {getattr(route, "path", None) for route in app.api.routes}


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(valkey_uri: str) -> None:
    for redis_uri in ("", valkey_uri):
        prefix = f"{uuid.uuid4()}:"
        with serving(
            checkpointer="memory", rate_limit_per_minute=5, redis_uri=redis_uri, cache_key_prefix=prefix
        ) as served:
            async with httpx.AsyncClient(base_url=served.url, verify=False) as client:  # noqa: S501
                mine, other = ({"X-API-Key": k.partition(":")[2]} for k in (KEY, OTHER_KEY))
                answers = [await client.get("/assistants/agent", headers=mine) for _ in range(12)]
                refused = [answer for answer in answers if answer.status_code == 429]
                assert len(refused) >= 2, "a minute that begins meanwhile gives five more"
                assert 1 <= int(refused[0].headers["retry-after"]) <= 61
                assert (await client.get("/assistants/agent", headers=other)).status_code == 200
                assert (await client.get("/health")).status_code == 200


async def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(http: httpx.AsyncClient) -> None:
    big = json.dumps(steps(input={"tag": "x" * 17_000_000})).encode()
    said = await http.post("/invoke", content=big)
    assert (said.status_code, "17000" in said.json()["detail"]) == (413, True)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65536):
            yield big[start : start + 65536]

    unsaid = await http.post("/invoke", content=pieces())
    assert unsaid.status_code == 413


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: many",
        "Content-Length: -2",
        "Content-Length: +2",
        "Content-Length: 1_0",
        "Content-Length:",
        "Content-Length: 2\r\nContent-Length: 9000000",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
    ],
)
async def test_a_length_that_may_be_read_in_two_ways_is_refused(in_memory: Served, lengths: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(in_memory.url).port)
    head = f"POST /invoke HTTP/1.1\r\nHost: agent\r\nX-API-Key: {SECRET}\r\nContent-Type: application/json"
    writer.write(f"{head}\r\n{lengths}\r\n\r\n{{}}".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "required"),
        (b"{", "not JSON"),
        (b"[]", ""),
        (b"null", ""),
        (b'"text"', ""),
        (b"\xff\xfe", "not JSON"),
        (b'{"input": NaN}', "not JSON"),
        (b'{"input": "\\ud800"}', "not JSON"),
        (b'{"input": "a\\u0000b"}', "U+0000"),
        (b'{"input": ' + b"[" * 200 + b"]" * 200 + b"}", "deeper than 64"),
        (b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        (b'{"input": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}", "deeper than 64"),
        (b'{"nothing": 1}', "nothing: is not supported"),
        (b'{"thread_id": "not-a-uuid"}', "thread_id"),
        (b'{"config": {"recursion_limit": "many"}}', "config.recursion_limit"),
        (b'{"config": {"configurable": {"__pregel_send": 1}}}', "__pregel_send"),
        (b'{"command": {"resume": 1}}', "command"),
        (b'{"assistant_id": 5}', "assistant_id"),
    ],
)
async def test_a_wrong_body_is_refused_with_its_reason(
    http: httpx.AsyncClient, body: bytes, words: str
) -> None:
    answer = await http.post("/invoke", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_page_of_another_origin_cannot_ask_without_leave(http: httpx.AsyncClient, kind: str) -> None:
    for path in ("/invoke", "/runs/wait"):
        answer = await http.post(path, content=json.dumps(steps()), headers={"Content-Type": kind})
        assert answer.status_code == 422, path
    assert (await http.post("/invoke", json=steps())).status_code == 200


async def test_a_run_that_takes_too_long_ends_as_timeout() -> None:
    with serving(checkpointer="memory", run_timeout_seconds=0.2) as served:
        async with served.client() as client:
            thread = await client.threads.create()
            with pytest.raises(Exception, match=r"longer than 0\.2 s"):
                await client.runs.wait(thread["thread_id"], "steps", input={"seconds": 5})
            (run,) = await client.runs.list(thread["thread_id"])
            assert run["status"] == "timeout"
            with pytest.raises(Exception, match=r"longer than 0\.2 s"):
                await client.runs.wait(None, "steps", input={"seconds": 5})


async def test_a_step_that_gives_up_waiting_is_not_taken_for_a_run_that_takes_too_long(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/invoke", json=steps(input={"give_up_at": "two"}))
    assert (answer.status_code, answer.json()["detail"]) == (
        500,
        "the graph failed: TimeoutError: two gave up",
    )


async def test_a_run_that_goes_in_circles_stops_at_the_limit_which_is_the_askers_to_raise(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/invoke", json=steps(config={"recursion_limit": 2}))
    assert (answer.status_code, "GraphRecursionError" in answer.json()["detail"]) == (422, True)


async def test_no_free_place_is_answered_with_503_and_a_time() -> None:
    with serving(checkpointer="memory", max_concurrent_runs=1, queue_timeout_seconds=0.1) as served:
        async with httpx.AsyncClient(
            base_url=served.url,
            headers={"X-API-Key": SECRET},
            verify=False,  # noqa: S501
        ) as client:
            slow = asyncio.create_task(client.post("/invoke", json=steps(input={"seconds": 0.2})))
            await asyncio.sleep(0.1)
            refused = await client.post("/invoke", json=steps())
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert (await slow).status_code == 200
            assert (await client.post("/invoke", json=steps())).status_code == 200


async def test_one_key_cannot_keep_the_others_from_a_place() -> None:
    limits: dict[str, Any] = {
        "max_concurrent_runs": 3,
        "max_concurrent_runs_per_caller": 2,
        "queue_timeout_seconds": 5,
    }
    with serving(checkpointer="memory", **limits) as served:
        mine, others = ({"X-API-Key": key.partition(":")[2]} for key in (KEY, OTHER_KEY))
        async with httpx.AsyncClient(base_url=served.url, verify=False) as client:  # noqa: S501
            slow = steps(input={"seconds": 0.2})
            asked = [asyncio.create_task(client.post("/invoke", json=slow, headers=mine)) for _ in range(12)]
            await asyncio.sleep(0.2)
            other = await asyncio.wait_for(client.post("/invoke", json=steps(), headers=others), 2)
            assert other.status_code == 200
            answers = await asyncio.gather(*asked)
            assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 10
            refused = next(answer for answer in answers if answer.status_code == 429)
            assert refused.headers["retry-after"] == "1"
            assert (await client.post("/invoke", json=steps(), headers=mine)).status_code == 200


async def test_a_client_that_leaves_cancels_its_stateless_run(in_memory: Served) -> None:
    async with httpx.AsyncClient(
        base_url=in_memory.url,
        headers={"X-API-Key": SECRET},
        verify=False,  # noqa: S501
    ) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/invoke", json=steps(input={"seconds": 30}), timeout=1.3)
    for _ in range(50):
        await asyncio.sleep(0.02)
        if not any(e.run.payload["input"] == {"seconds": 30} for e in in_memory.service.runner.running):
            return
    raise AssertionError("the run goes on although nobody waits for it")


async def test_browsers_of_other_origins_are_let_in_only_when_named() -> None:
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    for origins, allowed in (("", None), ("https://app.example.com", "https://app.example.com")):
        with serving(checkpointer="memory", cors_origins=origins) as served:
            async with httpx.AsyncClient(base_url=served.url, verify=False) as client:  # noqa: S501
                answer = await client.options("/invoke", headers=asked)
                assert answer.headers.get("access-control-allow-origin") == allowed


async def test_the_request_id_comes_back_and_is_made_where_it_is_missing_or_wild(
    http: httpx.AsyncClient,
) -> None:
    assert (await http.get("/ok", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    wild = (await http.get("/ok", headers={"X-Request-Id": "a b\tc"})).headers["x-request-id"]
    assert len(wild) == 32


async def test_without_a_checkpointer_threads_are_refused_and_runs_answer() -> None:
    with serving(checkpointer="none") as served:
        async with httpx.AsyncClient(
            base_url=served.url,
            headers={"X-API-Key": SECRET},
            verify=False,  # noqa: S501
        ) as client:
            assert (await client.post("/invoke", json=steps())).status_code == 200
            refused = await client.post("/threads", json={})
            assert (refused.status_code, "CHECKPOINTER=none" in refused.json()["detail"]) == (422, True)
            named = await client.post("/invoke", json=steps(thread_id=str(uuid.uuid4())))
            assert named.status_code == 422


async def test_readiness_is_bounded_shared_and_names_what_fails() -> None:
    calls = 0

    async def hangs() -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(60)

    async def works() -> None:
        return None

    checks = [Check("database", hangs, required=True), Check("cache", works, required=True)]
    health = Health(checks)
    answers = await asyncio.wait_for(asyncio.gather(*(health.ready() for _ in range(20))), timeout=3)
    assert answers[0] == (False, {"database": "no answer within 1 s", "cache": "ok"})
    assert calls == 1, "one check serves all who ask within a second"
    optional = Health([Check("cache", hangs, required=False)])
    assert (await optional.ready())[0]
    optional.draining = True
    assert await optional.ready() == (False, {"cache": "no answer within 1 s", "drain": "shutting down"})


async def test_the_five_metrics_count_what_happens(http: httpx.AsyncClient) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    request = {"method": "POST", "endpoint": "/invoke"}
    before = [
        value("agent_requests_total", **request, status="200"),
        value("agent_request_duration_seconds_count", **request),
        value("agent_llm_tokens_total", model="fake", type="input"),
        value("agent_llm_tokens_total", model="fake", type="output"),
    ]
    body = {"input": {"messages": [{"role": "user", "content": "hello"}]}}
    assert (await http.post("/invoke", json=body)).status_code == 200
    after = [
        value("agent_requests_total", **request, status="200"),
        value("agent_request_duration_seconds_count", **request),
        value("agent_llm_tokens_total", model="fake", type="input"),
        value("agent_llm_tokens_total", model="fake", type="output"),
    ]
    grown = [now - then for then, now in zip(before, after, strict=True)]
    assert grown[:2] == [1, 1]
    assert min(grown[2:]) > 0
    assert value("agent_active_requests") == 0
    assert value("agent_run_duration_seconds_count", graph="agent", status="success") > 0


async def test_checkpointer_operations_are_counted(on_postgres: Served) -> None:
    def count(operation: str) -> float:
        found = REGISTRY.get_sample_value("agent_checkpointer_operations_total", {"operation": operation})
        return found or 0.0

    before = count("put")
    async with on_postgres.client() as client:
        thread = await client.threads.create()
        await client.runs.wait(thread["thread_id"], "steps", input={})
    assert count("put") - before == 6, "the input, the start and four steps"


def test_log_lines_are_json_with_ids_and_without_content(
    in_memory: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), httpx.Client(verify=False) as client:  # noqa: S501
        body = {"input": {"messages": [{"role": "user", "content": "a private matter"}]}}
        client.post(
            f"{in_memory.url}/invoke", json=body, headers={"X-API-Key": SECRET, "X-Request-Id": "r-1"}
        )
    formatter = logs.JsonFormatter(content=False)
    lines = [json.loads(formatter.format(record)) for record in caplog.records]
    assert any(line["message"] == "request" and line["endpoint"] == "/invoke" for line in lines)
    assert any(line["message"] == "run ended" and line["status"] == "success" for line in lines)
    assert "a private matter" not in json.dumps(lines)
    assert SECRET not in json.dumps(lines)


@pytest.mark.parametrize("content", [False, True])
def test_texts_of_exceptions_are_in_no_line_of_any_logger_unless_asked_for(content: bool) -> None:
    formatter = logs.JsonFormatter(content=content)
    try:
        raise ValueError("a private matter")
    except ValueError as error:
        problem = error
    traced = (ValueError, problem, problem.__traceback__)
    records = [
        logging.LogRecord("a.library", logging.ERROR, "file", 1, "it failed: %s", (problem,), None),
        logging.LogRecord("uvicorn.error", logging.ERROR, "file", 1, "it failed", (), traced),
        logging.LogRecord(
            "asyncio", logging.ERROR, "file", 1, f"never retrieved\nfuture: {problem!r}", (), None
        ),
        logging.makeLogRecord({"name": "a.library", "msg": "it failed", "problem": problem}),
    ]
    for record in records:
        line = formatter.format(record)
        assert ("a private matter" in line) is content, line
        assert content or "ValueError" in line or record.name == "asyncio"


@pytest.mark.parametrize("path", ["/store/items?key=%00", "/assistants/a%00b"])
async def test_a_url_that_no_storage_can_keep_is_refused(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 422
    assert "U+0000" in answer.json()["detail"]


async def test_an_empty_id_makes_a_path_that_nobody_has(in_memory: Served) -> None:
    async with httpx.AsyncClient(base_url=in_memory.url, headers={"X-API-Key": SECRET}) as client:
        for path in ("/assistants//schemas", "/threads//state"):
            assert (await client.get(path)).status_code == 404, path
