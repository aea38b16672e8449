"""The custom resource definitions of the add-ons that a real cluster would bring."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.cluster.api import Api
from sandbox.common.errors import SandboxError

_ESTABLISHED_SECONDS = 120.0
# A server that was killed while it set a definition up does not take it up again by itself, only at a change of it.
_NUDGE_SECONDS = 1.0
_NUDGED = "langgraph-agents/nudged"


def ensure(api: Api, folder: Path) -> None:
    """Apply the CRDs (`*.json`) of a folder and wait until the server serves them.

    Raises:
        SandboxError: one is not served in time.
    """
    definitions = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda definition: _establish(api, definition), definitions))


def _establish(api: Api, definition: dict[str, Any]) -> None:
    began = nudged = time.monotonic()
    live = api.apply(definition, force=True)
    while not _established(live):
        now = time.monotonic()
        if now - began > _ESTABLISHED_SECONDS:
            raise SandboxError(
                f"the API server does not serve {definition['metadata']['name']}: {live.get('status')}"
            )
        if now - nudged > _NUDGE_SECONDS:
            nudged = now
            metadata = definition["metadata"]
            annotations = {**metadata.get("annotations", {}), _NUDGED: f"after {now - began:.1f} s"}
            metadata = {**metadata, "annotations": annotations}
            api.apply({**definition, "metadata": metadata}, force=True)
        time.sleep(0.1)
        live = (
            api.get(definition["apiVersion"], definition["kind"], None, definition["metadata"]["name"]) or {}
        )


def _established(live: dict[str, Any]) -> bool:
    conditions = live.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
