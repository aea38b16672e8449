"""What `make up` is about to make, shown within seconds, while binaries build and the control plane starts."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.common.console import console

_ROOT = Path(__file__).resolve().parents[2]
# A policy's finding does not keep anybody from trying a stack on this machine.
_SHOWN = (0, 1)


class Outline:
    """A preview in a process of its own, which prints what it finds as soon as it is there."""

    def __init__(self, project: Path, stack: str) -> None:
        command = [sys.executable, "-m", "preview", "--brief", "--stack", stack, "--project", str(project)]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._printer = threading.Thread(target=self._show, name="preview")
        self._printer.start()

    def succeeded(self) -> bool:
        """Whether the stack can be previewed; waits until that is known."""
        self._printer.join()
        return self._process.returncode in _SHOWN

    def stop(self) -> None:
        self._process.kill()
        self._printer.join()

    def _show(self) -> None:
        words, _ = self._process.communicate()
        if self._process.returncode in _SHOWN:
            console.print(words.rstrip(), markup=False)


@contextmanager
def shown(project: Path, stack: str) -> Iterator[Outline]:
    """Preview the stack beside whatever is done meanwhile.

    A preview that fails says nothing: the deployment is about to fail for the same reason, and tells it.
    """
    preview = Outline(project, stack)
    try:
        yield preview
        preview.succeeded()
    finally:
        preview.stop()
