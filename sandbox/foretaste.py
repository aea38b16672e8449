"""What `make up` is about to make, told within seconds, while binaries build and the control plane starts."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.console import console

_HERE = Path(__file__).resolve().parent.parent
# A policy's finding does not keep anybody from trying a stack on this machine.
_SHOWN = (0, 1)


@contextmanager
def told(project: Path, stack: str) -> Iterator[None]:
    """Preview the stack beside whatever is done meanwhile, and print the result as soon as it is there.

    A preview that fails says nothing: the deployment is about to fail for the same reason, and tells it.
    """
    command = [sys.executable, "-m", "preview", "--brief", "--stack", stack, "--project", str(project)]
    with subprocess.Popen(
        command, cwd=_HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        teller = threading.Thread(target=_tell, args=(process,), name="preview")
        teller.start()
        try:
            yield
        except BaseException:
            process.kill()
            raise
        finally:
            teller.join()


def _tell(process: "subprocess.Popen[str]") -> None:
    words = process.stdout.read() if process.stdout else ""
    if process.wait() in _SHOWN:
        console.print(words.rstrip(), markup=False)
