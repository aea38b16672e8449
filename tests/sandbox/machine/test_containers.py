"""Images that are taken in by containerd, of which the lower layers may be there already."""

import io
import subprocess
from collections.abc import Callable, Set
from pathlib import Path
from typing import IO, Any

import pytest

from sandbox.machine import containers, layout
from sandbox.machine.containers import Containers
from sandbox.machine.layout import Layer

EMPTY, BASE, OWN = (Layer(f"sha256:{name}", f"sha256:{name}-content") for name in ("empty", "base", "own"))


def test_a_layer_that_is_there_and_comes_again_above_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Set[str]] = []

    class Snapshots:
        def __init__(self, *_: Any) -> None:
            pass

        def lend(self, _names: Any) -> int:
            return 2

        def keep(self, _names: Any) -> None:
            pass

    def nothing_is_there(*_: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], 0, stdout="")

    def read(write: Callable[[IO[bytes]], None]) -> None:
        write(io.BytesIO())

    monkeypatch.setattr(containers, "Snapshots", Snapshots)
    monkeypatch.setattr(layout, "layers", lambda *_: [BASE, EMPTY, OWN, EMPTY])
    monkeypatch.setattr(layout, "write", lambda *_, known: sent.append(known))
    taken = Containers.__new__(Containers)
    monkeypatch.setattr(taken, "_control", nothing_is_there)
    monkeypatch.setattr(taken, "_import", read)
    taken.take_in(Path("images"), "sha256:manifest", "name", Path("unpacked"))
    assert sent == [{BASE.digest}]
