"""What the commands of this project have in common."""

import argparse
from pathlib import Path
from typing import NoReturn

from sandbox.common.errors import InputError

WIDTH = 140
"""Of what goes to a file or a pipe, which have no width of their own."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors look like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help lists the options)")


def short(path: Path) -> str:
    """A path as its reader would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
