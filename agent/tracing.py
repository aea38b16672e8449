"""OpenTelemetry traces of requests and runs, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector."""

from fastapi import FastAPI

from agent.settings import Settings


def trace_requests(app: FastAPI, settings: Settings) -> None:
    """Export a span for each request and, below it, for each run. Imports OpenTelemetry's SDK only then."""
    if not settings.otel_exporter_otlp_endpoint:
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "langgraph-agent"}))
    endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    trace.set_tracer_provider(provider)
    # Resource.create honours OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, which the workload may set.
    FastAPIInstrumentor.instrument_app(
        app, excluded_urls="health,ready,ok", exclude_spans=["send", "receive"]
    )
