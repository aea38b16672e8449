"""How long the engine's own `up` of many agents takes on simulated nodes, and what of it takes longest.

    python -m bench.agents

Each agent has an image of its own, so that nothing is built and none is started as a process; the connections to the
database are pooled, since a small one has not enough for each agent. AWS is emulated and answers at once: what is
measured is the program, the engine, its state and the API server.
"""

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.projects import ROOT, copied, down, edited, up

_LONGEST = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.agents", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--agents", type=int, nargs="*", default=[10, 100], help="how many, each run anew")
    for count in parser.parse_args().agents:
        with tempfile.TemporaryDirectory(prefix="bench-agents-", dir=ROOT) as folder:
            here = Path(folder)
            copied(here)
            with edited(here) as settings:
                settings["database"].update(pooler="pgbouncer", instanceClass="db.t4g.medium")
                settings["agents"] = [_agent(number) for number in range(count)]
            try:
                began = time.monotonic()
                done = json.loads(up(here, "--nodes", "simulated", "--json"))
                _tell(count, time.monotonic() - began, done["steps"])
                began = time.monotonic()
                up(here, "--nodes", "simulated", "--json")
                print(f"  a repeat without changes: {time.monotonic() - began:.1f} s", flush=True)
            finally:
                down(here)


def _agent(number: int) -> dict[str, Any]:
    name = f"agent-{number}"
    image = f"registry.example.com/team/{name}@sha256:{number:064x}"
    return {"name": name, "host": f"{name}.dev.agents.example.com", "image": image}


def _tell(count: int, seconds: float, steps: Sequence[dict[str, Any]]) -> None:
    lasted = max(step["start"] + step["seconds"] for step in steps)
    print(
        f"{count} agents: `up` of {len(steps)} resources in {seconds:.1f} s, {lasted:.1f} s of them the update's steps"
    )
    of_type: defaultdict[str, float] = defaultdict(float)
    for step in steps:
        of_type[step["type"]] += step["seconds"]
    counts = Counter(step["type"] for step in steps)
    together = sum(of_type.values())
    print(
        f"  of the places that the engine works in, {together / lasted:.1f} were taken at a time; the longest by type:"
    )
    for type_, total in sorted(of_type.items(), key=lambda item: -item[1])[:_LONGEST]:
        print(f"    {type_}: {counts[type_]}, {total:.0f} s together, {total / counts[type_]:.2f} s each")


if __name__ == "__main__":
    main()
