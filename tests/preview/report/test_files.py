"""The files together: none of them knows a secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from preview.recording.plan import PlannedResource, Secret
from preview.report.files import write
from preview.report.review import review
from tests.conftest import ROOT, recorded
from tests.preview.projects import plan_of

# Shorter ones are words that stand in many places, such as the emulated registry's user.
_SHORTEST = 16


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_secret_of_the_program_is_in_any_file(stack: str, tmp_path: Path) -> None:
    program = recorded(stack)
    secrets = {
        value
        for resource in program.resources.values()
        for value in _secrets(
            [dict(resource.inputs), dict(resource.outputs) if _is_made_up(resource) else {}]
        )
        if len(value) >= _SHORTEST
    }
    # A password for each login, and the connection strings that hold them.
    assert len(secrets) >= 4 + 3 * len(plan_of(stack).agents)
    write(review(plan_of(stack), ROOT), tmp_path)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"plan.json", "report.md", "report.html"} <= {file.name for file in files}
    for file in files:
        text = file.read_text()
        assert not [secret for secret in secrets if secret in text], file.name


def _is_made_up(resource: PlannedResource) -> bool:
    """Whether its outputs are passwords; of others the provider marks whole properties, with what is plain in them."""
    return resource.package == "random"


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _strings(value.value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value if isinstance(value, list) else value.values():
            yield from _strings(item)
