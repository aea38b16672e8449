"""Prometheus metrics of the service. The first five names are the ones that dashboards and alerts use."""

from typing import Any, TypeVar

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

requests = Counter("agent_requests", "HTTP requests answered.", ["method", "endpoint", "status"])
request_seconds = Histogram(
    "agent_request_duration_seconds",
    "From the first byte of a request to the last byte of its answer.",
    ["method", "endpoint"],
    buckets=_SECONDS,
)
active_requests = Gauge("agent_active_requests", "HTTP requests in progress.")
llm_tokens = Counter("agent_llm_tokens", "Tokens that models reported.", ["model", "type"])
checkpointer_operations = Counter(
    "agent_checkpointer_operations", "Operations on the checkpointer.", ["operation"]
)

run_seconds = Histogram(
    "agent_run_duration_seconds", "Execution of a run.", ["graph", "status"], buckets=_SECONDS
)
queue_seconds = Histogram(
    "agent_run_queue_seconds", "Wait of a run for a free place.", ["graph"], buckets=_SECONDS
)
active_runs = Gauge("agent_active_runs", "Runs that this process executes.")
pending_runs = Gauge(
    "agent_pending_runs", "Runs that wait for any process. Scale on the maximum, not the sum."
)
open_runs = Gauge(
    "agent_open_runs",
    "Runs that wait or execute, in all processes: each tells the same. KEDA scales on it. With CHECKPOINTER=postgres.",
)
crons = Counter("agent_crons", "Crons that were due, by whether their run was made.", ["outcome"])
loop_lag = Histogram(
    "agent_event_loop_lag_seconds",
    "How late the event loop answers, asked four times a second.",
    buckets=_SECONDS,
)
loop_blocked = Counter(
    "agent_event_loop_blocked_seconds",
    "For how long the event loop was blocked for over a second.",
    ["graph"],
)
sync_threads = Gauge(
    "agent_sync_threads", "Nodes and tools that are not async: in a thread, or waiting for one.", ["state"]
)
webhooks = Counter("agent_webhooks", "Tries to deliver a webhook, by what became of them.", ["outcome"])
pool_connections = Gauge("agent_pool_connections", "Database connections of this process.", ["state"])
pool_waiting = Gauge("agent_pool_waiting", "Requests that wait for a database connection.")

Metric = TypeVar("Metric", Counter, Gauge, Histogram)

_series: dict[tuple[Any, ...], Any] = {}


def series(metric: Metric, *labels: str | int) -> Metric:
    """The series of a metric with these label values, kept: to find it by `labels` takes as long as ten counts."""
    key = (metric, labels)
    found: Metric | None = _series.get(key)
    if found is None:
        found = _series[key] = metric.labels(*labels)
    return found
