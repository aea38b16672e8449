"""What a process shows of itself over real ports: metrics for Prometheus, traces for a collector."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from langgraph_agents_service.ports import free_port
from tests.service.processes import processes
from tests.service.serving import KEY
from tests.service.versions import NAMES

HEADERS = {"X-API-Key": KEY.partition(":")[2]}
WORDS = "What is 6 * 7, says Rumpelstiltskin?"
QUESTION = {"assistant_id": "agent", "input": {"messages": [{"role": "user", "content": WORDS}]}}


@contextmanager
def collecting(path: str) -> Iterator[tuple[str, list[bytes]]]:
    """A server that traces are sent to: its address, and the bodies that have come to the path."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the base class calls it so
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == path:
                received.append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def spans_of(bodies: list[bytes]) -> list[Span]:
    return [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_collector_sees_the_request_and_below_it_the_run_but_no_content() -> None:
    with collecting("/v1/traces") as (endpoint, received):
        settings = {"checkpointer": "memory", "otel_exporter_otlp_endpoint": endpoint}
        with processes(1, drain_timeout_seconds=0, **settings) as (process,):
            answer = httpx.post(f"{process.url}/invoke", json=QUESTION, headers=HEADERS, timeout=20)
            assert answer.status_code == 200
            failing = {"assistant_id": "steps", "input": {"fail_at": "one"}}
            httpx.post(f"{process.url}/invoke", json=failing, headers=HEADERS, timeout=20)
            process.terminate()
            process.wait()
    spans = spans_of(received)
    (run,) = [span for span in spans if span.name == "run agent"]
    (failed,) = [span for span in spans if span.name == "run steps"]
    request, other = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert len(spans) == 4, "probes are left out"
    assert (failed.status.code, failed.status.message) == (2, "RuntimeError")
    assert failed.parent_span_id == other.span_id
    assert request.name == "POST /invoke"
    assert (run.trace_id, run.parent_span_id) == (request.trace_id, request.span_id)
    assert answer.json()["run_id"] in str(run.attributes)
    assert b"langgraph-agent" in received[0], "the service's name"
    for secret in (b"Rumpelstiltskin", b"tool says", b"one failed", HEADERS["X-API-Key"].encode()):
        assert not any(secret in value for value in _texts(spans))


@NAMES
@pytest.mark.parametrize("content", [False, True])
def test_langsmith_sees_runs_by_its_own_variables_and_content_only_where_asked(content: bool) -> None:
    with collecting("/runs/multipart") as (endpoint, received):
        variables = {
            "langsmith_tracing": "true",
            "langsmith_api_key": "lsv2_key",
            "langsmith_endpoint": endpoint,
            "langsmith_disable_run_compression": "true",
        }
        settings = {"checkpointer": "memory", "log_content": content, **variables}
        with processes(1, drain_timeout_seconds=0, **settings) as (process,):
            answer = httpx.post(f"{process.url}/invoke", json=QUESTION, headers=HEADERS, timeout=20)
            failing = {"assistant_id": "steps", "input": {"fail_at": "one"}}
            httpx.post(f"{process.url}/invoke", json=failing, headers=HEADERS, timeout=20)
            process.terminate()
            process.wait()
    whole = b"".join(received)
    for known in (b'"name":"agent"', answer.json()["run_id"].encode(), b"RuntimeError"):
        assert known in whole, known
    for text in (b"Rumpelstiltskin", b"one failed"):
        assert (text in whole) == content, text


def _texts(spans: list[Span]) -> list[bytes]:
    """Every text that the spans carry."""
    return [
        text.encode()
        for span in spans
        for text in (
            span.name,
            span.status.message,
            *(pair.value.string_value for pair in span.attributes),
            *(pair.value.string_value for event in span.events for pair in event.attributes),
        )
    ]


def test_metrics_are_on_a_port_of_their_own() -> None:
    metrics_port = free_port()
    with processes(1, checkpointer="memory", metrics_port=metrics_port) as (process,):
        assert httpx.post(f"{process.url}/invoke", json=QUESTION, headers=HEADERS).status_code == 200
        page = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics")
        assert httpx.get(f"{process.url}/metrics", headers=HEADERS).status_code == 501
    assert page.headers["content-type"].startswith("text/plain")
    for line in (
        'agent_requests_total{endpoint="/invoke",method="POST",status="200"} 1.0',
        'agent_request_duration_seconds_count{endpoint="/invoke",method="POST"} 1.0',
        "agent_active_requests 0.0",
        'agent_run_duration_seconds_count{graph="agent",status="success"} 1.0',
        'agent_run_queue_seconds_count{graph="agent"} 1.0',
        "agent_active_runs 0.0",
    ):
        assert line in page.text.splitlines(), line
    for name in ("llm_tokens", "checkpointer_operations", "pool_connections", "pool_waiting", "pending_runs"):
        assert f"# TYPE agent_{name}" in page.text
    assert 'agent_llm_tokens_total{model="fake",type="output"}' in page.text
    assert "Rumpelstiltskin" not in page.text
