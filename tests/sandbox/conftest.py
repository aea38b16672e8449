"""What the sandbox's commands change of a process is undone: a test calls several of them in one."""

from collections.abc import Iterator

import pytest

from sandbox.common.console import console


@pytest.fixture(autouse=True)
def _people_read_it() -> Iterator[None]:
    """A command for programs (`--json`) leaves the output to its document."""
    yield
    console.stderr = False
