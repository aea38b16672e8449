"""The exact packages of an image: the service's and the project's, resolved together by uv, each with its hashes."""

import configparser
import hashlib
import os
import re
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from images import uv
from images.source import Source
from langgraph_agents_service.projects.config import ProjectError
from langgraph_agents_service.projects.requirements import undeclared

LOCK = "langgraph-agents.lock"
"""Beside langgraph.json: what was resolved, for what, so that every later build installs the same."""

SERVICE = Path(__file__).parents[1] / "service"

_RECIPE = "1"
"""Another number for another way to resolve the same inputs."""
_MARK = "# inputs: "
_OTHER = "# other than uv.lock: "
# The glibc of the oldest base.
_PLATFORMS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Resolution:
    """Requirements, as pip reads them."""

    hashed: str
    """`name==version` with hashes."""
    repositories: str
    """`name @ git+https://...@commit`; a commit takes the place of a hash."""
    locked: bool
    """Whether it comes from the lock beside the project."""
    others: tuple[str, ...] = ()
    """What differs from the project's own lock, as `name 1.0 -> 1.1`: the service needs it."""


def resolve(source: Source, platform: str) -> Resolution:
    """The lock beside the project, or else what uv resolves now, once for the same inputs.

    Args:
        platform: linux/amd64 or linux/arm64.

    Raises:
        ProjectError: what the project and the service ask for does not go together, or the lock is of other inputs.
    """
    inputs = _inputs(source, platform)
    lock = source.project.folder / LOCK
    if lock.is_file():
        text = lock.read_text()
        if f"{_MARK}{inputs}" not in text.splitlines():
            raise ProjectError(
                f"{lock} is of other inputs than the project and the service have now: write it anew with `make "
                "lock-source`, or remove it"
            )
        return _parted(text, locked=True)
    known = uv.cache() / "resolved" / f"{inputs}.txt"
    if not known.is_file():
        text = _compile(source, platform)
        known.parent.mkdir(parents=True, exist_ok=True)
        partial = known.with_suffix(f".{os.getpid()}")
        partial.write_text(text)
        partial.rename(known)
    return _parted(known.read_text(), locked=False)


def write_lock(source: Source, platform: str) -> Path:
    """Resolve anew, and keep the result beside the project. Raises ProjectError."""
    lock = source.project.folder / LOCK
    head = (
        "# Written by `make lock-source`. The image of this project has exactly these packages.\n"
        f"{_MARK}{_inputs(source, platform)}\n"
    )
    text = head + _compile(source, platform)
    lock.write_text(text)
    return lock


def _inputs(source: Source, platform: str) -> str:
    """A digest of all that decides the resolution."""
    digest = hashlib.sha256()
    texts = [
        _RECIPE,
        source.python,
        platform,
        *_service(),
        *sorted(source.declared.packages),
        *_indexes(source),
    ]
    for text in (*texts, *(file.read_text() for file in (*source.declared.files, *_locks(source)))):
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()


def _service() -> list[str]:
    project = tomllib.loads((SERVICE / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["valkey"]]


def _locks(source: Source) -> list[Path]:
    return [lock for folder in source.declared.folders if (lock := folder / "uv.lock").is_file()]


def _compile(source: Source, platform: str) -> str:
    held = _held(source)
    _refuse_old(source, held)
    text = _asked(source, platform, held, [])
    if more := undeclared(_versions(text)):
        text = _asked(source, platform, held, more)
    found = _versions(text)
    others = [
        f"{_OTHER}{name} {version} -> {found[name]}\n"
        for name, version in sorted(held.items())
        if name in found and found[name] != version
    ]
    return "".join(others) + text


def _held(source: Source) -> dict[str, str]:
    """What the project's own locks hold, by name."""
    found: dict[str, str] = {}
    for lock in _locks(source):
        try:
            text = uv.run(["export", *_EXPORT, "--directory", str(lock.parent)], folder=source.project.folder)
        except uv.UvError as error:
            raise ProjectError(
                f"{lock} cannot be used: bring it up to date with `uv lock --directory {lock.parent}`, or remove it. uv"
                f" says:\n{error}"
            ) from None
        found |= _versions(text)
    return found


def _refuse_old(source: Source, held: dict[str, str]) -> None:
    """A lock of before LangGraph 1.0 is not passed over: the project may not run with a newer one."""
    version = held.get("langgraph", "1")
    if version.startswith("0."):
        raise ProjectError(
            f"{', '.join(map(str, _locks(source)))} holds langgraph {version}, and the service runs with 1.0.6 or "
            "newer: try the project with it, and raise it by `uv lock --upgrade-package langgraph`"
        )


def _versions(text: str) -> dict[str, str]:
    return {name.lower().replace("_", "-"): version for name, version in _PINNED.findall(text)}


_EXPORT = (
    *("--frozen", "--no-dev", "--no-hashes", "--no-header", "--no-annotate", "--no-emit-workspace"),
    *("--format", "requirements-txt"),
)


def _asked(source: Source, platform: str, held: dict[str, str], limits: list[str]) -> str:
    """What uv resolves. It prefers the versions that it finds in the file that it writes, and takes others where these
    cannot go beside the service."""
    arguments = ["pip", "compile", "--generate-hashes", "--no-header", "--no-annotate"]
    arguments += [
        "--python-version",
        source.python,
        "--python-platform",
        _PLATFORMS[platform],
        *_indexes(source),
    ]
    with tempfile.TemporaryDirectory() as folder:
        output, constraints = Path(folder, "requirements.txt"), Path(folder, "constraints.txt")
        output.write_text("".join(f"{name}=={version}\n" for name, version in held.items()))
        constraints.write_text("\n".join(limits))
        arguments += ["--output-file", str(output), "--constraints", str(constraints)]
        files = map(str, source.declared.files)
        _uv(source, [*arguments, "-", *files], stdin="\n".join([*_service(), *source.declared.packages]))
        return output.read_text()


def _indexes(source: Source) -> list[str]:
    """Those of the project's pip configuration, which uv does not read."""
    if not source.project.pip_config_file:
        return []
    config = configparser.ConfigParser()
    config.read(source.project.folder / source.project.pip_config_file)
    options = []
    for key, option in (("index-url", "--index-url"), ("extra-index-url", "--extra-index-url")):
        for url in config.get("global", key, fallback="").split():
            options += [option, url]
    return options


def _uv(source: Source, arguments: list[str], stdin: str = "") -> str:
    try:
        # Relative paths within requirements files mean the project's folder.
        return uv.run(arguments, folder=source.project.folder, stdin=stdin)
    except uv.UvError as error:
        raise ProjectError(
            f"{source.project.file}: what it asks for cannot be installed beside the service, which needs "
            f"{', '.join(one for one in _service() if one.startswith(('langgraph', 'langchain')))}. Change what "
            f"{', '.join(map(str, source.declared.files)) or 'dependencies'} holds. uv says:\n{error}"
        ) from None


def _parted(text: str, *, locked: bool) -> Resolution:
    """Folders of the project are not installed: the service imports them from where they lie."""
    hashed, repositories = [], []
    for entry in re.split(r"\n(?=\S)", text.strip()):
        if _PINNED.match(entry):
            hashed.append(entry)
        elif " @ git+" in entry:
            repositories.append(entry)
    others = tuple(line.removeprefix(_OTHER) for line in text.splitlines() if line.startswith(_OTHER))
    return Resolution("\n".join(hashed) + "\n", "\n".join(repositories), locked, others)
