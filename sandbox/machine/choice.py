"""Whether this machine can carry a real node, and what is missing when it cannot."""

import os
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sandbox.common.errors import InputError
from sandbox.common.namespaces import HIDDEN


class Nodes(StrEnum):
    """What pods run on."""

    REAL = "real"
    SIMULATED = "simulated"


def choose(wanted: str | None, folders: tuple[Path, ...]) -> tuple[Nodes, str]:
    """What `NODES` comes to on this machine, and why not real nodes when nobody decided against them.

    Args:
        wanted: `real` or `simulated`; None takes real ones where they can be had.
        folders: where the sandbox keeps its state and its binaries.

    Raises:
        InputError: it names no kind of nodes, or real ones cannot be had here.
    """
    if wanted is not None and wanted not in list(Nodes):
        raise InputError(f"NODES is {wanted!r}: give {' or '.join(Nodes)}, or leave it out")
    if wanted == Nodes.SIMULATED:
        return Nodes.SIMULATED, ""
    found = obstacle(folders)
    if wanted == Nodes.REAL and found:
        raise InputError(f"NODES=real cannot work here: {found}")
    return (Nodes.SIMULATED, str(found)) if found else (Nodes.REAL, "")


@dataclass(frozen=True)
class Obstacle:
    """Why a real node cannot work on a machine."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


def obstacle(folders: tuple[Path, ...]) -> Obstacle | None:
    """Why a real node cannot work here; None when it can.

    Args:
        folders: where the sandbox keeps its state and its binaries.
    """
    if sys.platform != "linux":
        return Obstacle(
            f"a kubelet needs Linux, and this is {sys.platform}", "run it in a virtual machine with Linux"
        )
    if os.geteuid() != 0:
        return Obstacle("namespaces and mounts need root", "sudo -E make up")
    for folder in folders:
        for hidden in HIDDEN:
            if folder.resolve().is_relative_to(hidden):
                return Obstacle(
                    f"{folder} lies in {hidden}, which the node's namespaces hide",
                    "use a checkout elsewhere, and XDG_CACHE_HOME for the cache",
                )
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        return Obstacle(
            f"this machine gives no namespaces ({tried.stderr.strip()})", "a container needs --privileged"
        )
    return None
