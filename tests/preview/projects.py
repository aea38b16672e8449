"""Projects for tests: the repository's own program, with another stack file or with a part of it changed."""

import functools
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from preview.recording.plan import Plan
from preview.recording.program import make_plan

ROOT = Path(__file__).parents[2]

Settings = dict[str, Any]
IMAGE = f"registry.example.com/agent@sha256:{'0' * 64}"


@functools.cache
def plan_of(stack: str) -> Plan:
    """The plan of one of the repository's stacks."""
    return make_plan(stack, ROOT)


@functools.cache
def project_plan(stack: str) -> Plan:
    """The plan of ``project`` unchanged."""
    with tempfile.TemporaryDirectory() as folder:
        return make_plan(stack, project(Path(folder), stack))


def stack_file(stack: str) -> dict[str, Any]:
    """``Pulumi.<stack>.yaml`` as data, a copy of one's own."""
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    return content


def project(
    folder: Path,
    stack: str = "dev",
    settings: Callable[[Settings], object] = lambda settings: None,
    program: str = "",
) -> Path:
    """The repository's project in ``folder``, changed.

    Args:
        settings: changes the settings in place.
        program: Python that runs around the program: a context manager called ``changed``.
    """
    content = stack_file(stack)
    # A ready image, so that a test that compares does not depend on who edits the agent meanwhile.
    content["config"]["langgraph-agents:settings"].setdefault("defaults", {})["image"] = IMAGE
    settings(content["config"]["langgraph-agents:settings"])
    (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(content))
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / "service").symlink_to(ROOT / "service")
    around = textwrap.dedent(program) or "from contextlib import nullcontext as changed\n"
    (folder / "__main__.py").write_text(
        f"import runpy\n{around}\nwith changed():\n"
        f"    runpy.run_path({str(ROOT / '__main__.py')!r}, run_name='__main__')\n"
    )
    return folder
