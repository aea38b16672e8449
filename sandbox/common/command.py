"""What the commands of this project have in common."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sandbox.common.errors import InputError

WIDTH = 140
"""Of what goes to a file or a pipe, which have no width of their own."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors look like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help lists the options)")


def show_error(error: Exception, command: str, arguments: Sequence[str]) -> None:
    """Say why a command ends; as JSON where its arguments, which may be what is wrong, ask for that."""
    if "--json" in arguments:
        print(json.dumps({"error": str(error)}, indent=2, ensure_ascii=False))
    else:
        print(f"{command}: {error}", file=sys.stderr)


def stacks_of(project: Path) -> list[str]:
    """The stacks of a project that have a file, by name."""
    return sorted(file.name.split(".")[1] for file in project.glob("Pulumi.*.yaml"))


def short(path: Path) -> str:
    """A path as its reader would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
