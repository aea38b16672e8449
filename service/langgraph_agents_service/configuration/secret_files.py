"""Notices when the mounted secret files change. Kubernetes swaps them all at once, behind a symbolic link."""

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from langgraph_agents_service.configuration.settings import Settings

POLL_SECONDS = 2.0

log = logging.getLogger(__name__)


def read(folder: Path) -> dict[str, str]:
    """The files of the folder by name, without the hidden ones that Kubernetes keeps there."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path.read_text().strip()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".")
    }


def export(folder: Path) -> None:
    """Put secrets that are not the service's own, such as OPENAI_API_KEY, where their libraries look for them."""
    for name, value in read(folder).items():
        if name.lower() not in Settings.model_fields:
            os.environ[name] = value


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for name, value in read(folder).items():
        digest.update(f"{name}\0{value}\0".encode())
    return digest.hexdigest()


async def watch(folder: Path, changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` after each change, until cancelled. It is called again if it fails."""
    seen = await asyncio.to_thread(_fingerprint, folder)
    while True:
        await asyncio.sleep(POLL_SECONDS)
        try:
            # A link that is being swapped can make a file vanish for a moment: look again next time.
            now = await asyncio.to_thread(_fingerprint, folder)
            if now != seen:
                await changed()
                seen = now
        except Exception as error:
            log.error("changed secrets could not be taken over", extra={"error": type(error).__name__})
