"""Readiness: are the servers there that this process cannot do without?"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

CHECK_SECONDS = 1.0
"""A check that takes longer has failed; an answer that is younger is given again."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    run: Callable[[], Awaitable[object]]
    required: bool
    """Whether the process is of no use without it."""


class Health:
    """Runs all checks side by side, at most once a second however many ask."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks
        self._lock = asyncio.Lock()
        self._at = -CHECK_SECONDS
        self._results: dict[str, str] = {}
        self.draining = False

    async def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether requests are welcome, and the result of each check: `ok` or what is wrong."""
        async with self._lock:
            if time.monotonic() - self._at >= CHECK_SECONDS:
                results = await asyncio.gather(*(self._result(check) for check in self._checks))
                self._results = dict(zip((check.name for check in self._checks), results, strict=True))
                self._at = time.monotonic()
        results_and_drain = {**self._results, **({"drain": "shutting down"} if self.draining else {})}
        failed = [c.name for c in self._checks if c.required and self._results[c.name] != "ok"]
        return not failed and not self.draining, results_and_drain

    @staticmethod
    async def _result(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check.run()
        except TimeoutError:
            return f"no answer within {CHECK_SECONDS:g} s"
        except Exception as error:  # its text may hold addresses and names: the type says enough
            return type(error).__name__
        return "ok"
