"""A Helm chart for each agent of a stack.

    python -m manifests.chart --stack dev

Exit codes: 0 written; 1 it cannot be written; 2 the stack file, the program or an option is wrong.
"""

from preview.recording.start import fast_start

# Before anything else is imported: that is what takes the time.
fast_start()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

from manifests import folder  # noqa: E402
from manifests.chart import chart  # noqa: E402
from manifests.objects import cluster_objects  # noqa: E402
from sandbox.common.command import Parser, short, show_error  # noqa: E402
from sandbox.common.errors import SandboxError  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(arguments)
        project: Path = options.project.resolve()
        out: Path = (options.out or project / "build" / "chart" / options.stack).absolute()
        found = cluster_objects(options.stack, project)
        agents = chart.agents_of(found)
        written = {agent: chart.files(found, agent) for agent in agents}
        for agent in agents:
            # Before the first is written.
            folder.check(out / agent, chart.MARKED)
        for agent, files in written.items():
            folder.replace(out / agent, files, chart.MARKED)
    except SandboxError as error:
        show_error(error, "chart", arguments)
        return error.exit_code
    tries = {
        agent: f"helm install {agent} {short(out / agent)} --namespace"
        f" {chart.objects_of(found, agent)[0]['metadata']['namespace']} --create-namespace"
        for agent in agents
    }
    if options.json:
        charts = {agent: {"folder": str(out / agent), "try": tries[agent]} for agent in agents}
        print(json.dumps({"charts": charts}, indent=2))
    else:
        print(f"Written to {short(out)}: a chart for each of {', '.join(agents)}")
        print("\n".join(f"Try: {each}" for each in tries.values()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m manifests.chart",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog="Exit codes: 0 written, 1 it cannot be written, 2 the stack file, the program or an option is wrong.",
    )
    parser.add_argument("--stack", default="dev", help="the stack: names Pulumi.<stack>.yaml (dev)")
    parser.add_argument("--out", type=Path, help="the folder of the charts (build/chart/<stack>)")
    parser.add_argument(
        "--project", type=Path, default=Path.cwd(), help="the folder of Pulumi.yaml (this one)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
