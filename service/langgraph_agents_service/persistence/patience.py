"""How long runs wait for a server that is away, and how they try again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

PATIENCE_SECONDS = 60
"""How long a run in flight waits for its storage to come back: an RDS failover takes "typically 60-120
seconds" for Multi-AZ instances and under 35 for clusters (Amazon RDS user guide); a restart takes seconds."""

Result = TypeVar("Result")


async def again(
    attempt: Callable[[], Awaitable[Result]], on: tuple[type[Exception], ...], seconds: float
) -> Result:
    """After it has failed once: try for so long, at growing intervals, while it raises one of these errors. Raises the
    last one."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(on),
        stop=stop_after_delay(seconds),
        wait=wait_exponential_jitter(multiplier=0.05, max=2, jitter=0.05),
        reraise=True,
    )
    return await retrying(attempt)
