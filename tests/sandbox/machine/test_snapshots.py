"""Layers that nodes share, with a containerd that keeps its snapshots in folders and no more."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from sandbox.machine import snapshots
from sandbox.machine.snapshots import Snapshots, chain

LAYERS = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
NAMES = chain(LAYERS)


class Node:
    """What `ctr snapshots` does, as far as it is asked here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parents: dict[str, str] = {}
        self.active: dict[str, tuple[str, str]] = {}

    def fs(self, name: str) -> Path:
        return self._of(name) / "fs"

    def _of(self, name: str) -> Path:
        # A colon would part the folders of an overlay.
        return self.folder / name.replace(":", "-")

    def unpacked(self, name: str, parent: str = "") -> Path:
        self.parents[name] = parent
        self.fs(name).mkdir(parents=True)
        return self.fs(name)

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        _, verb, *rest = arguments
        answer = getattr(self, f"_{verb}")(*[value for value in rest if value != "--mounts"])
        return subprocess.CompletedProcess(arguments, 0 if answer is not None else 1, answer or "", "")

    def _ls(self) -> str:
        return "KEY PARENT KIND\n" + "".join(
            f"{name} {parent} Committed\n" for name, parent in self.parents.items()
        )

    def _prepare(self, key: str, parent: str = "") -> str | None:
        if key in self.active or (parent and parent not in self.parents):
            return None
        self.active[key] = ("prepare", parent)
        self.fs(key).mkdir(parents=True)
        if not parent:
            return json.dumps([{"Type": "bind", "Source": str(self.fs(key)), "Options": ["rw", "rbind"]}])
        return self._overlay(parent, f"upperdir={self.fs(key)}")

    def _view(self, key: str, name: str) -> str | None:
        if key in self.active or name not in self.parents:
            return None
        self.active[key] = ("view", name)
        if not self.parents[name]:
            return json.dumps([{"Type": "bind", "Source": str(self.fs(name)), "Options": ["ro", "rbind"]}])
        return self._overlay(name)

    def _overlay(self, top: str, *more: str) -> str:
        lower = [str(self.fs(top))]
        while top := self.parents[top]:
            lower.append(str(self.fs(top)))
        options = ["index=off", *more, f"lowerdir={':'.join(lower)}"]
        return json.dumps([{"Type": "overlay", "Source": "overlay", "Options": options}])

    def _commit(self, name: str, key: str) -> str:
        _, self.parents[name] = self.active.pop(key)
        self._of(key).rename(self._of(name))
        return ""

    def _rm(self, key: str) -> str:
        self.active.pop(key, None)
        return ""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """With both layers, as one node unpacked them."""
    node = Node(tmp_path / "first")
    (node.unpacked(NAMES[0]) / "lower").write_text("lower")
    (node.unpacked(NAMES[1], NAMES[0]) / "upper").write_text("upper")
    Snapshots(node, tmp_path / "layers").keep(NAMES)
    assert not node.active
    return tmp_path / "layers"


def test_a_chain_names_each_layer_with_all_below_it() -> None:
    # From the image specification: ChainID(L0|...|Ln) = Digest(ChainID(L0|...|Ln-1) + " " + DiffID(Ln)).
    assert NAMES[0] == LAYERS[0]
    assert NAMES[1] == "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"


def test_another_node_gets_the_layers_without_copies(cache: Path, tmp_path: Path) -> None:
    node = Node(tmp_path / "second")
    assert Snapshots(node, cache).lend(NAMES) == 2
    assert node.parents == {NAMES[0]: "", NAMES[1]: NAMES[0]}
    assert (node.fs(NAMES[0]) / "lower").read_text() == "lower"
    assert (node.fs(NAMES[1]) / "upper").samefile(cache / NAMES[1] / "fs" / "upper")
    assert not node.active


def test_a_layer_above_one_that_is_missing_is_not_lent(cache: Path, tmp_path: Path) -> None:
    (cache / NAMES[0]).rename(cache / "away")
    node = Node(tmp_path / "second")
    assert Snapshots(node, cache).lend(NAMES) == 0
    assert not node.parents


def test_what_the_node_has_stays_as_it_is(cache: Path, tmp_path: Path) -> None:
    node = Node(tmp_path / "second")
    node.unpacked(NAMES[0])
    assert Snapshots(node, cache).lend(NAMES) == 2
    assert not list(node.fs(NAMES[0]).iterdir())


def test_a_node_in_another_file_system_unpacks_by_itself(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_linked", lambda *_: False)
    node = Node(tmp_path / "second")
    there = Snapshots(node, cache)
    assert there.lend(NAMES) == 0
    assert not node.active
    assert not node.parents
    there.keep([*NAMES, "sha256:other"])
    assert not (cache / "sha256:other").exists()


def test_layers_that_nobody_has_used_for_a_week_go(cache: Path, tmp_path: Path) -> None:
    for name in NAMES:
        os.utime(cache / name, (0, time.time() - 8 * 24 * 3600))
    node = Node(tmp_path / "second")
    node.unpacked(NAMES[0])
    Snapshots(node, cache).keep(NAMES[:1])
    assert [path.name for path in cache.iterdir()] == NAMES[:1]
