"""The day on which a plan is judged: it decides which versions are supported, and which exceptions have expired."""

from datetime import UTC, date, datetime


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()
