"""The plan to compare with: a file, or the program of another commit, run as that commit has it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from preview.recording.plan import Plan
from sandbox.common.errors import InputError
from sandbox.engine import commit

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class _Making:
    """A plan that another process makes meanwhile."""

    reference: str
    process: subprocess.Popen[str]

    def result(self) -> Plan | None:
        text, words = self.process.communicate()
        if self.process.returncode == _NO_SUCH_STACK:
            return None
        if self.process.returncode:
            raise InputError(f"the program of {self.reference} cannot be previewed: {words.strip()}")
        return Plan.from_json(text, self.reference)


# The exit code of the other process for a stack that the commit does not have.
_NO_SUCH_STACK = 3


@contextmanager
def base_plan(reference: str, stack: str, project_dir: Path) -> Iterator["Base"]:
    """The plan of ``reference``: a ``plan.json``, or a git ref whose program is started at once, beside this one.

    Raises:
        InputError: there is no such file or commit, or its program cannot be previewed.
    """
    if reference.endswith(".json"):
        yield Base(stored=_read(Path(reference), stack))
        return
    with tempfile.TemporaryDirectory(prefix="preview-base-") as folder:
        exported = commit.export(reference, project_dir, Path(folder), wrong="neither a plan.json nor a")
        command = [sys.executable, "-m", "preview.recording.base", stack, str(exported.project)]
        with subprocess.Popen(
            command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield Base(making=_Making(reference, process))
            finally:
                process.kill()


@dataclass(frozen=True)
class Base:
    """A plan that is there, or that is being made."""

    stored: Plan | None = None
    making: _Making | None = None

    def plan(self, stack: str, project: str, region: str) -> Plan:
        """The plan; without resources where the base does not have the stack.

        Raises:
            InputError: the base's program cannot be previewed.
        """
        found = self.making.result() if self.making else self.stored
        return found or Plan(project, stack, region=region, production=False, resources={}, outputs={})


def _read(path: Path, stack: str) -> Plan:
    try:
        text = path.read_text()
    except OSError as error:
        raise InputError(f"--base {path} cannot be read: {error.strerror}") from None
    plan = Plan.from_json(text, str(path))
    if plan.stack != stack:
        raise InputError(f"--base {path} is a plan of the stack {plan.stack}, not of {stack}")
    return plan


def _main(stack: str, folder: Path) -> int:
    """The other process: this version's recorder and emulated answers, the base's program."""
    from preview.recording.program import make_plan
    from preview.recording.start import fast_start

    fast_start()
    if not (folder / f"Pulumi.{stack}.yaml").exists():
        return _NO_SUCH_STACK
    # These are loaded, and stay; the program's own packages are to come from its folder.
    import preview.recording.recorder  # noqa: F401

    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]
    try:
        sys.stdout.write(make_plan(stack, folder).to_json())
    except Exception as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], Path(sys.argv[2])))
