"""Whether this machine can carry a real node, and what is missing when it cannot."""

import os
import subprocess
import sys
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
    obstacle = _obstacle(folders)
    if wanted == Nodes.REAL and obstacle:
        raise InputError(f"NODES=real cannot work here: {obstacle}")
    return (Nodes.SIMULATED, obstacle) if obstacle else (Nodes.REAL, "")


def _obstacle(folders: tuple[Path, ...]) -> str:
    """Why a real node cannot work here, with the remedy; empty when it can."""
    if sys.platform != "linux":
        return f"a kubelet needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "namespaces and mounts need root: run as root (sudo -E make up)"
    for folder in folders:
        for hidden in HIDDEN:
            if folder.resolve().is_relative_to(hidden):
                return (
                    f"{folder} lies in {hidden}, which the node's namespaces hide: use a checkout elsewhere"
                )
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        return f"this machine gives no namespaces ({tried.stderr.strip()}): a container needs --privileged"
    return ""
