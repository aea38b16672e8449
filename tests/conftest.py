"""Both stacks, recorded once for all tests that look at them."""

import functools
import json
import os
import runpy
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml

from preview.recording.recorder import Recording, record

ROOT = Path(__file__).parents[1]
TODAY = date(2026, 11, 27)

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile(
    "any machine",
    hypothesis.settings.get_profile(hypothesis.settings.get_current_profile_name()),
    deadline=None,
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _on_one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions that the stacks use go out of support one day, and no test fails because that day has come."""
    monkeypatch.setattr("policies.day.today", lambda: TODAY)


@pytest.fixture(autouse=True, scope="session")
def _in_the_project_folder() -> Iterator[None]:
    """Pulumi runs a program in the folder of Pulumi.yaml."""
    before = Path.cwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)


@functools.cache
def recorded(stack: str) -> Recording:
    """The unmodified program with ``Pulumi.<stack>.yaml``."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return record_with(stack, config["langgraph-agents:settings"])


def record_with(
    stack: str, settings: Mapping[str, Any], api_keys: Mapping[str, Any] | None = None
) -> Recording:
    """The unmodified program with other settings."""
    config = {"aws:region": "eu-central-1", "langgraph-agents:settings": json.dumps(settings)}
    if api_keys:
        config["langgraph-agents:apiKeys"] = json.dumps(api_keys)

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    return record(
        program,
        project="langgraph-agents",
        stack=stack,
        config=config,
        secret_keys=["langgraph-agents:apiKeys"],
    )


@pytest.fixture(params=["dev", "prod"])
def stack(request: pytest.FixtureRequest) -> Recording:
    """Each of the repository's stacks in turn."""
    return recorded(request.param)


@pytest.fixture
def dev() -> Recording:
    """The development stack."""
    return recorded("dev")


@pytest.fixture
def prod() -> Recording:
    """The production stack."""
    return recorded("prod")


@pytest.fixture
def record_resources() -> Callable[[Callable[[], Any]], Recording]:
    """Record what a function makes, by itself."""

    def run(make: Callable[[], Any]) -> Recording:
        return record(lambda: make() and None, project="project", stack="test")

    return run
