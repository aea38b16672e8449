"""The unpacked layers of images, which the nodes of this machine share by hard links.

Unpacking an image makes tens of thousands of files, which takes longer than all the rest of bringing it. Nobody writes
to a layer, so that one copy serves all nodes.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from sandbox.machine.cache import forget_unused

_WORKING = "sandbox-layer"

Control = Callable[..., "subprocess.CompletedProcess[str]"]


def chain(layers: Sequence[str]) -> list[str]:
    """The names of an image's snapshots, given the digests of its unpacked layers: OCI's chain ids."""

    def above(below: str, layer: str) -> str:
        return f"sha256:{hashlib.sha256(f'{below} {layer}'.encode()).hexdigest()}"

    return list(accumulate(layers, above))


class Snapshots:
    """Those of one node's containerd.

    Args:
        control: runs `ctr` with these arguments.
        cache: the folder of the layers, in the file system of the node; elsewhere containerd unpacks as ever.
    """

    def __init__(self, control: Control, cache: Path) -> None:
        self._control = control
        self._cache = cache

    def lend(self, names: Sequence[str]) -> int:
        """Give the node what the cache has of an image; returns how many of its first layers the node has then."""
        listed = self._control("snapshots", "ls").stdout.splitlines()
        there = {line.split()[0] for line in listed if line.split()}
        for number, (parent, name) in enumerate(pairwise(["", *names])):
            if name not in there and not self._link(name, parent):
                return number
        return len(names)

    def keep(self, names: Sequence[str]) -> None:
        """Keep the layers of an image that the node has unpacked, and forget what nobody has used for a week."""
        self._cache.mkdir(parents=True, exist_ok=True)
        for name in names:
            kept = self._cache / name
            if not kept.exists() and not self._copy(name, kept):
                return
            os.utime(kept)
        forget_unused(self._cache)

    def _link(self, name: str, parent: str) -> bool:
        kept = self._cache / name
        if not kept.exists():
            return False
        prepared = self._control("snapshots", "prepare", "--mounts", _WORKING, *([parent] if parent else []))
        folder = _own_folder(prepared.stdout)
        if folder is None or not _linked(kept / "fs", folder):
            self._control("snapshots", "rm", _WORKING)
            return False
        return self._control("snapshots", "commit", name, _WORKING).returncode == 0

    def _copy(self, name: str, kept: Path) -> bool:
        folder = _own_folder(self._control("snapshots", "view", "--mounts", _WORKING, name).stdout)
        partial = kept.with_name(f".{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "fs").mkdir(parents=True)
        done = folder is not None and _linked(folder, partial / "fs")
        self._control("snapshots", "rm", _WORKING)
        if done:
            partial.rename(kept)
        return done


def _own_folder(mounts: str) -> Path | None:
    """The folder of the newest layer among what containerd would mount: the one above all others."""
    try:
        (mount,) = json.loads(mounts)
    except ValueError:
        return None
    if mount["Type"] == "bind":
        return Path(mount["Source"])
    options = dict(option.partition("=")[::2] for option in mount["Options"])
    return Path(options.get("upperdir") or options["lowerdir"].split(":")[0])


def _linked(source: Path, target: Path) -> bool:
    """Whether everything below `source` is below `target` too now; not where they are on two file systems."""
    if source.stat().st_dev != target.stat().st_dev:
        return False
    command = ["cp", "--archive", "--link", f"{source}/.", str(target)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
