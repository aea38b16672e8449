"""The plan to compare with: a file, or the program of another commit, run as that commit has it."""

import tempfile
from pathlib import Path

from preview.recording.plan import Plan
from preview.recording.program import make_plan
from sandbox.common.errors import InputError, SandboxError
from sandbox.engine import commit, stackfile


def base_plan(reference: str, stack: str, project_dir: Path, region: str) -> Plan:
    """The plan of ``reference``, a ``plan.json`` or a git ref; without resources where that does not have the stack.

    A ref's program is run in this process, from a copy of its files: Pulumi's SDK, which takes most of the time, is
    imported once for both.

    Args:
        region: of a plan without resources.

    Raises:
        InputError: there is no such file or commit, or its program cannot be previewed.
    """
    if reference.endswith(".json"):
        return _read(Path(reference), stack)
    with tempfile.TemporaryDirectory(prefix="preview-base-") as folder:
        exported = commit.export(reference, project_dir, Path(folder), wrong="neither a plan.json nor a")
        if not (exported.project / f"Pulumi.{stack}.yaml").exists():
            project = stackfile.project_name(project_dir)
            return Plan(project, stack, region=region, production=False, resources={}, outputs={})
        try:
            return make_plan(stack, exported.project)
        except SandboxError as error:
            raise InputError(f"the program of {reference} cannot be previewed: {error}") from None


def _read(path: Path, stack: str) -> Plan:
    try:
        text = path.read_text()
    except OSError as error:
        raise InputError(f"--base {path} cannot be read: {error.strerror}") from None
    plan = Plan.from_json(text, str(path))
    if plan.stack != stack:
        raise InputError(f"--base {path} is a plan of the stack {plan.stack}, not of {stack}")
    return plan
