"""Shows the state of the service: logs, metrics, traces, readiness."""
