"""What a container build sees of a folder, and a digest of it: pure functions over files."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Hex digits of SHA-256: 64 bits, so that even a million images hardly share one.
_DIGITS = 16


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    keep: bool
    """An exception (``!``), which takes back what an earlier rule left out."""


def content_hash(context: Path, dockerfile: Path, *, salt: Sequence[str] = ()) -> str:
    """A hash that is the same for the same build, and another one when any file of it changes.

    It covers the names, contents and executable bits of all files that `.dockerignore` lets through, and the
    Dockerfile itself. A `.dockerignore` named after the Dockerfile goes before that of the folder, as BuildKit
    has it.

    Args:
        context: the folder that is sent to the builder.
        dockerfile: the Dockerfile, inside or outside of it.
        salt: whatever else decides what is built, such as platforms.

    Raises:
        ValueError: the folder or the Dockerfile does not exist.
    """
    if not context.is_dir():
        raise ValueError(
            f"context is {context}: no such folder; name the one that the Dockerfile copies from"
        )
    if not dockerfile.is_file():
        raise ValueError(f"dockerfile is {dockerfile}: no such file; name the Dockerfile to build")
    digest = hashlib.sha256()
    for part in salt:
        _add(digest, part.encode())
    _add(digest, dockerfile.read_bytes())
    for path in sent_files(context, dockerfile):
        file = context / path
        _add(digest, str(path).encode())
        if file.is_symlink():
            _add(digest, b"link", str(file.readlink()).encode())
        else:
            executable = b"x" if file.stat().st_mode & 0o111 else b"-"
            _add(digest, executable, file.read_bytes())
    return digest.hexdigest()[:_DIGITS]


def sent_files(context: Path, dockerfile: Path) -> list[PurePosixPath]:
    """The files that a build of ``dockerfile`` is sent, sorted, as paths within ``context``."""
    return context_files(context, _ignore_lines(context, dockerfile))


def context_files(context: Path, ignore_lines: Iterable[str]) -> list[PurePosixPath]:
    """The files that a builder is sent, sorted, as paths within ``context``."""
    rules = list(_rules(ignore_lines))
    found = (path for path in context.rglob("*") if path.is_symlink() or path.is_file())
    relative = (PurePosixPath(path.relative_to(context).as_posix()) for path in found)
    return sorted(path for path in relative if not _ignored(path, rules))


def _add(digest: "hashlib._Hash", *parts: bytes) -> None:
    # Lengths keep "ab" + "c" and "a" + "bc" apart.
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)


def _ignore_lines(context: Path, dockerfile: Path) -> list[str]:
    for file in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if file.is_file():
            return file.read_text().splitlines()
    return []


def _ignored(path: PurePosixPath, rules: Sequence[_Rule]) -> bool:
    """The last rule that matches the path, or a folder that it is in, decides."""
    names = [str(path), *(str(parent) for parent in path.parents if parent.name)]
    ignored = False
    for rule in rules:
        if any(rule.pattern.fullmatch(name) for name in names):
            ignored = not rule.keep
    return ignored


def _rules(lines: Iterable[str]) -> Iterator[_Rule]:
    """https://docs.docker.com/build/concepts/context/#dockerignore-files"""
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        text = line.strip()
        keep = text.startswith("!")
        pattern = str(PurePosixPath(text.removeprefix("!").strip().lstrip("/")))
        yield _Rule(re.compile(_regex(pattern)), keep)


# Unlike .gitignore's, these patterns are anchored to the context, and only ** crosses a slash.
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^]]+\]|\\.|.", re.DOTALL)
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _regex(pattern: str) -> str:
    parts = []
    for token in _TOKEN.findall(pattern):
        if token in _MEANING:
            parts.append(_MEANING[token])
        elif token.startswith("[") and len(token) > 1:
            parts.append(token)
        else:
            parts.append(re.escape(token[-1]))
    return "".join(parts)
