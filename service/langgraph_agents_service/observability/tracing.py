"""OpenTelemetry traces of requests and runs, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector."""

from fastapi.telemetry import TelemetryConfig

from langgraph_agents_service.configuration.settings import Settings


def telemetry(settings: Settings, *, untraced: frozenset[str]) -> TelemetryConfig:
    """What FastAPI is to trace: each request but those of the paths `untraced`. Runs have spans below them.

    Imports OpenTelemetry's SDK only where there is a collector.
    """
    # FastAPI's metrics would be a second set, and its logs hold the texts of exceptions.
    off: TelemetryConfig = {"metrics": False, "logs": False, "operation_spans": False}
    if not settings.otel_exporter_otlp_endpoint:
        return {**off, "tracing": False}
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Resource.create honours OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, which the workload may set.
    provider = TracerProvider(resource=Resource.create({"service.name": "langgraph-agent"}))
    endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    trace.set_tracer_provider(provider)
    return {**off, "tracer_provider": provider, "exclude": lambda scope: scope.get("path") in untraced}
