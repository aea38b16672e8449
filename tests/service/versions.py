"""What the service needs of the packages beside it, where it needs more than it is content with."""

from importlib.metadata import version

import pytest
from packaging.version import Version


def since(package: str, least: str) -> pytest.MarkDecorator:
    """Skips a test of what a package has from this version on only."""
    found = version(package)
    return pytest.mark.skipif(
        Version(found) < Version(least), reason=f"{package} {found} is older than {least}"
    )


STORE = since("langgraph-checkpoint-postgres", "3.2")
"""Namespaces are compared by their parts, expired items are gone at once, threads can be shortened."""
SELECTING = since("langgraph-sdk", "0.4")
USER = since("langgraph", "1.1")
"""Nodes find the user in `runtime.server_info`."""
INTERRUPTS = since("langgraph", "1.1")
"""An interrupt that was answered is not among those that wait any more while others do."""
NAMES = since("langgraph", "1.1")
"""A graph is traced by the name that its copy was given."""
SERDE = since("langgraph-checkpoint", "4.1")
"""The types that come back are chosen by `checkpointer.serde`."""
