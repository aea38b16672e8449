"""Paths that are not like the others."""

from starlette.types import Scope

OPEN_PATHS = frozenset({"/health", "/ready", "/ok"})
"""Answered without a key, and not logged."""


def path_of(scope: Scope) -> str:
    """The path below the prefix that the application is mounted at."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(prefix) if prefix and path.startswith(f"{prefix}/") else path
