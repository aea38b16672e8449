"""compose.dev.yaml: the sources that images are made of, mounted over what the images have of them."""

from collections.abc import Mapping
from typing import Any

from compose.images import AgentImage
from stacks.agent_settings import Agent

# Tools write these while people work, and nothing of them is run.
_IGNORED = ("__pycache__/", ".git/", ".venv/", "node_modules/", ".langgraph_api/")


def development_file(agents: tuple[Agent, ...], images: Mapping[str, AgentImage]) -> dict[str, Any]:
    """The file as data: one container of each agent, restarted as soon as a source changes.

    Packages are those of the image: after a change of them the folder is written anew.
    """
    services: dict[str, Any] = {}
    for agent in agents:
        image = images[agent.name]
        sources = [
            {"type": "bind", "source": str(path), "target": target, "read_only": True}
            for target, path in image.sources.items()
        ]
        watched = [
            {"path": str(path), "action": "restart", "ignore": list(_IGNORED)}
            for path in image.sources.values()
        ]
        if not sources:
            continue
        fleets = [agent.name, *([f"{agent.name}-worker"] if agent.workers else [])]
        services[f"{agent.name}-migrate"] = {"volumes": sources}
        for fleet in fleets:
            services[fleet] = {
                "volumes": sources,
                "deploy": {"replicas": 1},
                # Who changes the code does not wait for the runs of the old one: they go on with the new one.
                "stop_grace_period": "3s",
                "develop": {"watch": watched},
            }
    return {"services": services}
