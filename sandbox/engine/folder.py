"""Where a program runs: in its own folder, with its own modules."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Packages of a project that this process may have imported as well, from the folder of the version that runs.
_OF_PROGRAMS = ("components", "images", "stacks")


_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """The program runs in its own folder and finds its own modules first, as under `pulumi up`.

    What reads stack files has been imported by now from this version's `stacks`. A program of another version has a
    `stacks` of its own: this version's is set aside while it runs, and that of the program is forgotten after it.
    """
    before = Path.cwd()
    aside = {name: module for name, module in list(sys.modules.items()) if _hides(name, folder)}
    for name in aside:
        del sys.modules[name]
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)
        foreign = {package for package in _OF_PROGRAMS if _is_foreign(package, folder)}
        for name in [name for name in sys.modules if name.partition(".")[0] in foreign]:
            del sys.modules[name]
        sys.modules.update(aside)


def _is_foreign(package: str, folder: Path) -> bool:
    """Whether the folder has a package of a program of another version."""
    return (folder / package).is_dir() and (folder / package).resolve() != _ROOT / package


def _hides(name: str, folder: Path) -> bool:
    """Whether a loaded module stands before one of the program's own."""
    package = name.partition(".")[0]
    if package not in _OF_PROGRAMS or not (folder / package).is_dir():
        return False
    return not any(
        Path(path).resolve() == (folder / package).resolve() for path in sys.modules[package].__path__
    )
