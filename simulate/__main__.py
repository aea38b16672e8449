"""Replay a load trace against a stack's autoscalers, pools and nodes, without a cluster.

    python -m simulate --stack prod --trace office-hours

Exit codes: 0 it was replayed, 2 what was given is wrong, or the program fails.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from preview.recording.start import fast_start

fast_start()

from preview.recording.program import make_plan  # noqa: E402
from sandbox.common.command import WIDTH, Parser, short, show_error  # noqa: E402
from sandbox.common.console import Step, console, step  # noqa: E402
from sandbox.common.errors import SandboxError  # noqa: E402
from simulate.trace import find, load, shipped  # noqa: E402

_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _simulate(_parser().parse_args(arguments))
    except SandboxError as error:
        show_error(error, "simulate", arguments)
        return _USAGE


def _simulate(options: argparse.Namespace) -> int:
    project: Path = options.project.resolve()
    # A program reads what is printed: progress is for people.
    console.quiet = options.json
    path = find(options.trace, Path.cwd())
    trace = load(path)
    with step(f"plan of {options.stack}"):
        plan = make_plan(options.stack, project)
        # Imported after the program has run: an unknown stack is reported sooner.
        from simulate.page import render
        from simulate.replay import SCALERS, replay
        from simulate.stack import scaling_of
        from simulate.summary import as_json, rows

        scaling = scaling_of(plan)
    trace.check([fleet.agent for fleet in scaling.fleets], str(path))
    outcomes = []
    for name in SCALERS:
        with step(f"{trace.name}, scaled by {name}") as shown:

            def progress(share: float, shown: Step = shown) -> None:
                shown.update(done=int(100 * share), total=100)

            outcomes.append(replay(scaling, trace, name, progress))
    out: Path = options.out or project / "build" / "simulate" / f"{options.stack}-{trace.name}.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render(scaling, trace, outcomes))
    if options.json:
        print(as_json(scaling, trace, outcomes, str(out)), end="")
        return 0
    from rich.table import Table

    if not console.is_terminal:
        console.width = WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for outcome in outcomes:
        table.add_column(outcome.name, justify="right")
    for label, values in rows(outcomes):
        table.add_row(label, *values)
    console.print(table)
    for note in scaling.notes:
        console.print(f"[dim]{note}[/]")
    console.print(f"Written to {short(out)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m simulate",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog="Exit codes: 0 it was replayed, 2 what was given is wrong, or the program fails.",
    )
    parser.add_argument("--stack", default="dev", help="the stack: names Pulumi.<stack>.yaml (dev)")
    parser.add_argument(
        "--trace",
        default="office-hours",
        help=f"a CSV file, or a trace that comes with it: {', '.join(shipped())} (office-hours)",
    )
    parser.add_argument(
        "--project", type=Path, default=Path.cwd(), help="the folder of Pulumi.yaml (this one)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="the page (build/simulate/<stack>-<trace>.html)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
