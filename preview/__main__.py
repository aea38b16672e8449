"""What a stack would be made of, without an engine, a network or credentials.

    python -m preview --stack prod [--base main]
    python -m preview explain NAME --stack prod

Exit codes: 0 fine, 1 a policy has findings, or a change would be refused or lose data by mistake, 2 there is no preview
(what was given is wrong, or the program fails), 3 Pulumi's own preview says otherwise, whatever else was found.
"""

from preview.recording.start import fast_start

# Before anything else is imported: that is what takes the time.
fast_start()

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from preview.recording.base import base_plan  # noqa: E402
from preview.recording.plan import Plan  # noqa: E402
from preview.recording.program import make_plan  # noqa: E402
from sandbox.common.command import WIDTH, Parser, short, show_error  # noqa: E402
from sandbox.common.errors import InputError, SandboxError  # noqa: E402
from sandbox.engine import stackfile  # noqa: E402

if TYPE_CHECKING:
    from preview.change.engine import EnginePreview

_FINDINGS = 1
_USAGE = 2
_OTHERWISE = 3
# Characters of a GitHub comment.
_COMMENT = 65_536


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(arguments)
        if options.command == "explain":
            return _explain(options)
        return _preview(options)
    except SandboxError as error:
        show_error(error, "preview", arguments)
        return _USAGE


def _preview(options: argparse.Namespace) -> int:
    project_dir: Path = options.project.resolve()
    out: Path = options.out or project_dir / "build" / "preview" / options.stack
    engine = _engine(options, project_dir)
    plan, base = _plans(options, project_dir)
    # Imported once the program has run: bad input is reported sooner.
    from preview.report.files import write
    from preview.report.review import review

    reviewed = review(plan, project_dir, base, options.base or "", engine)
    files = write(reviewed, out, options.limit)
    if options.json:
        from preview.report.machine import review_as_json

        print(review_as_json(reviewed, {what: str(path) for what, path in files.items()}), end="")
    else:
        from rich.console import Console

        from preview.report.terminal import show, show_briefly

        console = Console(highlight=False, soft_wrap=True, emoji=False)
        if not console.is_terminal:
            console.width = WIDTH
        (show_briefly if options.brief else show)(reviewed, console)
        console.print(f"Written to {short(out)}: {', '.join(path.name for path in files.values())}")
    if reviewed.comparison and reviewed.comparison.engine and reviewed.comparison.engine.disagreements:
        return _OTHERWISE
    impact = reviewed.comparison.impact if reviewed.comparison else None
    wrong = impact is not None and (impact.refused or impact.errors)
    return _FINDINGS if reviewed.findings or wrong else 0


def _engine(options: argparse.Namespace, project_dir: Path) -> "EnginePreview | None":
    if options.pulumi_preview is None:
        return None
    if not options.base:
        raise InputError(
            "--pulumi-preview is of a change: name by --base what is deployed, a git ref or the plan.json of a preview"
        )
    from preview.change.engine import read

    return read(options.pulumi_preview, stackfile.project_name(project_dir), options.stack)


def _plans(options: argparse.Namespace, project_dir: Path) -> tuple[Plan, Plan | None]:
    if not options.base:
        return make_plan(options.stack, project_dir), None
    # A misspelt stack is reported at once.
    region = str(stackfile.load(project_dir, options.stack).config.get("aws:region", ""))
    base = base_plan(options.base, options.stack, project_dir, region)
    return make_plan(options.stack, project_dir, base), base


def _explain(options: argparse.Namespace) -> int:
    from preview.exposure import exposure
    from preview.report.explain import explain

    plan = make_plan(options.stack, options.project.resolve())
    explanations = explain(plan, exposure(plan), options.name)
    if options.json:
        from preview.report.machine import explanations_as_json

        print(explanations_as_json(explanations), end="")
        return 0
    from rich.console import Console

    from preview.report.terminal import show_explanation

    console = Console(highlight=False, soft_wrap=True, emoji=False)
    for number, explanation in enumerate(explanations):
        if number:
            console.print()
        show_explanation(explanation, console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m preview",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog="Exit codes: 0 fine, 1 a policy has findings, or a change would be refused or lose data by mistake,"
        " 2 there is no preview, 3 Pulumi's own preview says otherwise.",
    )
    _common(parser, stack="dev", project=Path.cwd(), json=False)
    parser.add_argument("--base", help="compare with a git ref, or with the plan.json of another preview")
    parser.add_argument(
        "--pulumi-preview",
        metavar="FILE",
        type=Path,
        help="compare with what `pulumi preview --json` wrote of the same change",
    )
    parser.add_argument(
        "--limit", type=int, default=_COMMENT, help=f"characters of report.md: a comment's ({_COMMENT})"
    )
    parser.add_argument("--brief", action="store_true", help="print a few lines; the files hold the rest")
    parser.add_argument("--out", type=Path, help="the folder of the files (build/preview/<stack>)")
    parser.set_defaults(command="preview")
    explain = parser.add_subparsers(title="commands").add_parser(
        "explain", help="what made a resource, what it needs, what needs it, who reaches it"
    )
    # Where an option is not given after the command, what was given before it holds.
    _common(explain, stack=argparse.SUPPRESS, project=argparse.SUPPRESS, json=argparse.SUPPRESS)
    explain.add_argument("name", help="a logical name, a URN, or the name of an object or in AWS")
    explain.set_defaults(command="explain")
    return parser


def _common(parser: argparse.ArgumentParser, *, stack: object, project: object, json: object) -> None:
    parser.add_argument("--stack", default=stack, help="the stack: names Pulumi.<stack>.yaml (dev)")
    parser.add_argument("--project", type=Path, default=project, help="the folder of Pulumi.yaml (this one)")
    parser.add_argument("--json", action="store_true", default=json, help="print JSON")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Taking half a million objects apart one by one before the end takes as long as the recording.
    os._exit(code)
