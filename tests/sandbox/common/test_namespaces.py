"""The namespaces of a node, without any: what is asked of processes that come and go meanwhile."""

from pathlib import Path
from typing import cast

import psutil
import pytest

from sandbox.common import namespaces, processes
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State


class Gone:
    """A process that ends between being found and being looked at."""

    pid = 2**22 + 1

    def name(self) -> str:
        raise psutil.NoSuchProcess(self.pid)


def test_a_process_that_ends_while_the_namespaces_start_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path, "dev")
    state.create()
    gone = cast(psutil.Process, Gone())
    monkeypatch.setattr(processes, "running", lambda _id: {namespaces.ROLE: [gone]})
    assert not Namespaces(state).exist()
