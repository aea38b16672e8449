"""What the preview costs: the whole command beside a bare import of the SDK, and its growth from 1 to 1,000 agents.

    python -m bench.preview

Each line is a process of its own, warm (bytecode and page cache). The two sides of a comparison take turns in one
run, so that a busy machine slows both; the best round of each counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
_SIZES = (1, 10, 100, 1000)
_SMALL = 10
# Goals of the preview: docs/preview.md.
_AT_MOST_OF_BARE = 1.2
_AT_MOST_OF_TEN = 1.2

_LOADED = """
import json, sys
from pathlib import Path
from preview.recording.program import make_plan
make_plan(sys.argv[1], Path.cwd())
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0].startswith("pulumi"))))
"""


@dataclass(frozen=True)
class Measured:
    """One run of a process."""

    seconds: float
    cpu: float
    mebibytes: float


def main() -> None:
    """Measure, print, and exit with 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.preview", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each side; the best counts")
    parser.add_argument(
        "--agents", type=int, nargs="*", default=list(_SIZES), help="sizes of the growing stack"
    )
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}", flush=True)
    met = [start(stack, options.rounds) for stack in ("dev", "prod")]
    if options.agents:
        met.append(growth(options.agents, options.rounds))
    sys.exit(0 if all(met) else 1)


def start(stack: str, rounds: int) -> bool:
    """The whole command, without a base and with one, beside a process that only imports the SDK that it uses.

    The base is the last commit, whose files have no bytecode, as those of any base.
    """
    loaded = subprocess.run(
        [sys.executable, "-c", _LOADED, stack], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = ", ".join(json.loads(loaded.stdout))
    with tempfile.TemporaryDirectory() as out:
        preview = [sys.executable, "-m", "preview", "--stack", stack, "--out", out]
        sides = {
            f"bare import for {stack}": [sys.executable, "-c", f"import {modules}"],
            f"make preview STACK={stack}": preview,
            "the same with BASE=HEAD": [*preview, "--base", "HEAD"],
        }
        runs = [[run(command) for command in sides.values()] for _ in range(rounds)]
    fastest = [min(side, key=lambda measured: measured.cpu) for side in zip(*runs, strict=True)]
    for name, measured in zip(sides, fastest, strict=True):
        show(name, measured)
    bare, *previews = (measured.cpu for measured in fastest)
    met = True
    for name, cpu in zip(list(sides)[1:], previews, strict=True):
        ratio = cpu / bare
        met &= verdict(
            f"{name} takes {ratio:.2f} x the bare import", ratio <= _AT_MOST_OF_BARE, _AT_MOST_OF_BARE
        )
    return met


def growth(sizes: list[int], rounds: int) -> bool:
    """Stacks of more and more agents, and what each agent adds to the smallest.

    The difference between the small ones is a second or two: they are run ``rounds`` times, and the best counts.
    """
    measured: dict[int, Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            project = Path(folder) / str(size)
            project.mkdir()
            grown(project, size)
            command = [sys.executable, "-m", "preview", "--stack", "dev", "--project", str(project)]
            runs = [run(command) for _ in range(rounds if size <= _SMALL else 1)]
            measured[size] = min(runs, key=lambda one: one.cpu)
            show(f"{size} agents", measured[size])
    if not {1, 10, 1000} <= measured.keys():
        return True
    met = []
    for what, of in (("time", "cpu"), ("memory", "mebibytes")):
        # What the first agent needs is mostly the SDK and the platform.
        first = getattr(measured[1], of)
        ten, thousand = ((getattr(measured[size], of) - first) / (size - 1) for size in (10, 1000))
        ratio = thousand / ten
        met.append(
            verdict(f"{what} an agent at 1,000 is {ratio:.2f} x that at 10", ratio <= _AT_MOST_OF_TEN, 1.2)
        )
    return all(met)


def grown(project: Path, agents: int) -> None:
    """The repository's project with so many agents."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    settings = content["config"]["langgraph-agents:settings"]
    settings["agents"] = [
        {"name": f"agent-{number}", "host": f"agent-{number}.dev.agents.example.com", "model": "fake"}
        for number in range(agents)
    ]
    settings["defaults"] = {"replicas": {"min": 1, "max": 1}, "pool": {"minSize": 0, "maxSize": 2}}
    settings["database"] |= {"instanceClass": "db.r7g.16xlarge"}
    (project / "Pulumi.dev.yaml").write_text(yaml.safe_dump(content))
    # No RDS instance takes the connections of a thousand agents: here one does.
    (project / "__main__.py").write_text(
        "import runpy\nfrom unittest import mock\n"
        "with mock.patch('stacks.rules.max_connections', return_value=10**6):\n"
        f"    runpy.run_path({str(ROOT / '__main__.py')!r}, run_name='__main__')\n"
    )
    for name in ("Pulumi.yaml", "service"):
        (project / name).symlink_to(ROOT / name)


def run(command: list[str]) -> Measured:
    """Run a process to its end; 1 is a policy's finding, and as good as 0 here."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    words = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command[:4])} failed: {words[:2000]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(time.monotonic() - began, cpu, usage.ru_maxrss / 1024)


def show(name: str, measured: Measured) -> None:
    """A line of the table."""
    print(
        f"{name:<24}{measured.seconds:8.2f} s {measured.cpu:8.2f} s CPU {measured.mebibytes:8.0f} MiB",
        flush=True,
    )


def verdict(sentence: str, met: bool, goal: float) -> bool:
    """Say whether a goal is met."""
    print(f"{'met   ' if met else 'missed'}  {sentence} (goal: at most {goal})", flush=True)
    return met


if __name__ == "__main__":
    main()
