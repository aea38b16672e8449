"""Write a folder that runs a stack's agents on a laptop or one server, by Docker Compose.

    python -m compose --stack dev

Exit codes: 0 it is written; 1 an agent's project cannot be built; 2 what was given is wrong.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from compose.services import names_of
from compose.writing import COMPOSE, Written, write
from sandbox.common.command import Parser, short, show_error
from sandbox.common.console import console
from sandbox.common.errors import InputError, SandboxError
from stacks.loading import SettingsError
from stacks.of_stack import NamedStack, read_stack
from stacks.reading import StackFileError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(arguments)
        # A program reads what is printed: progress is for people.
        console.quiet = options.json
        try:
            named = read_stack(options.stack)
            folder = options.out or Path("build") / "compose" / options.stack
            written = write(named, options.stack, folder)
        except (StackFileError, SettingsError) as error:
            raise InputError(str(error)) from None
    except SandboxError as error:
        show_error(error, "compose", arguments)
        return error.exit_code
    print(_json(named, written) if options.json else _told(named, written))
    return 0


def _told(named: NamedStack, written: Written) -> str:
    folder = short(written.folder)
    lines = [f"Written to {folder}: {', '.join(agent.name for agent in named.settings.agents)}."]
    lines += written.notes
    if written.unfilled:
        lines.append("These files are empty, and agents need a value in each:")
        lines += [f"  {folder}/{each.path}" for each in written.unfilled]
    lines.append(f"docker compose -f {folder}/{COMPOSE} up --build --wait")
    return "\n".join(lines)


def _json(named: NamedStack, written: Written) -> str:
    return json.dumps(
        {
            "folder": str(written.folder),
            "agents": {
                agent.name: {"services": names_of(agent), "hosts": [agent.host, f"{agent.name}.localhost"]}
                for agent in named.settings.agents
            },
            "notes": written.notes,
            "unfilled": [f"{written.folder}/{each.path}" for each in written.unfilled],
        },
        indent=2,
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m compose",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog="Exit codes: 0 it is written, 1 an agent's project cannot be built, 2 what was given is wrong.",
    )
    parser.add_argument("--stack", default="dev", help="the stack: names Pulumi.<stack>.yaml (dev)")
    parser.add_argument("--out", type=Path, help="the folder (build/compose/<stack>)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
