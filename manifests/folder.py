"""Writes a folder whole or not at all, over what this command wrote there before and over nothing else."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sandbox.common.errors import InputError, SandboxError

_MARK = "# Written by `make "


def header(target: str) -> str:
    """The first line of a generated file."""
    return f"{_MARK}{target}`: the stack file and the program are the source, and it is written over.\n"


def replace(folder: Path, files: Mapping[str, str], marked: str) -> None:
    """Write the files, by their paths within the folder.

    Args:
        marked: the file by whose first line a folder is known as one that may be replaced.

    Raises:
        InputError: something else is there.
        SandboxError: it cannot be written.
    """
    check(folder, marked)
    partial, old = (folder.with_name(f".{folder.name}.{what}{os.getpid()}") for what in ("new", "old"))
    try:
        for path, text in files.items():
            file = partial / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise SandboxError(f"{folder} cannot be written: {error}") from None
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)


def check(folder: Path, marked: str) -> None:
    """Raise InputError if `replace` would refuse the folder."""
    if folder.exists() and not _ours(folder, marked):
        raise InputError(
            f"{folder} is there, and was not written by this command: name a folder that is new or empty"
        )


def _ours(folder: Path, marked: str) -> bool:
    if not folder.is_dir():
        return False
    file = folder / marked
    return not any(folder.iterdir()) or (file.is_file() and file.read_text().startswith(_MARK))
