"""What is read from the engine: its events and its record."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from sandbox.common.console import Step
from sandbox.engine import checkpoint
from sandbox.engine.events import Watch

NAME = "urn:pulumi:dev::p::kubernetes:core/v1:Secret::keys"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}


def watch() -> Watch:
    return Watch(Step("Deploy", None))


def finished(op: str) -> EngineEvent:
    metadata = {"op": op, "urn": NAME, "type": "kubernetes:core/v1:Secret", "provider": ""}
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, "resOutputsEvent": {"metadata": metadata}})


def diagnostic(message: str, severity: str = "error", urn: str = NAME) -> EngineEvent:
    event = {"message": message, "color": "never", "severity": severity, "urn": urn}
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, "diagnosticEvent": event})


def test_finished_resources_are_counted_by_operation_and_a_replacement_once() -> None:
    seen = watch()
    for op in ("same", "create", "create-replacement", "replace", "delete-replaced"):
        seen(finished(op))
    assert seen.changes == {"same": 1, "create": 1, "replace": 1}
    assert seen.touched == ["create kubernetes:core/v1:Secret keys", "replace kubernetes:core/v1:Secret keys"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each look at the clock sees."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "time", lambda: seconds.pop(0))
    return seconds


def step(
    part: str, op: str, name: str = "keys", *, custom: bool = True, type_: str = "kubernetes:core/v1:Secret"
) -> EngineEvent:
    urn = f"urn:pulumi:dev::p::{type_}::{name}"
    state = {"type": type_, "urn": urn, "custom": custom}
    metadata = {"op": op, "urn": urn, "type": type_, "provider": "", "new": state}
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, part: {"metadata": metadata}})


BEGINS, ENDS = "resourcePreEvent", "resOutputsEvent"


def test_steps_are_timed_from_the_first_one_in_the_order_in_which_they_begin(clock: list[float]) -> None:
    seen = watch()
    clock += [100, 101, 103, 108]
    for event in (
        step(BEGINS, "create", "a"),
        step(BEGINS, "update", "b"),
        step(ENDS, "update", "b"),
        step(ENDS, "create", "a"),
    ):
        seen(event)
    assert [(each.name, each.what, each.start, each.seconds) for each in seen.steps] == [
        ("a", "created", 0, 8),
        ("b", "updated", 1, 2),
    ]
    assert seen.began == 100


@pytest.mark.parametrize(
    ("ops", "steps"),
    [
        # The new one first, the old one at the end of the update.
        (
            ("create-replacement", "delete-replaced"),
            [("replaced", 0, 1), ("deleted after it was replaced", 2, 1)],
        ),
        # A fixed name: the old one first.
        (("delete-replaced", "create-replacement"), [("replaced", 0, 3)]),
    ],
)
def test_a_replacement_has_the_steps_that_the_preview_draws(
    ops: tuple[str, str], steps: list[tuple[str, float, float]], clock: list[float]
) -> None:
    seen = watch()
    clock += [0, 1, 2, 3]
    for op in ops:
        seen(step(BEGINS, op))
        seen(step(ENDS, op))
        seen(step(ENDS, "replace"))
    assert [(each.what, each.start, each.seconds) for each in seen.steps] == steps


def test_what_no_provider_makes_is_no_step() -> None:
    seen = watch()
    seen(step(ENDS, "same"))
    seen(step(ENDS, "create", custom=False))
    seen(step(ENDS, "create", "default_4_21_4", type_="pulumi:providers:random"))
    assert (seen.steps, seen.began) == ([], 0)
    seen(step(ENDS, "update", "aws", type_="pulumi:providers:aws"))
    assert [each.name for each in seen.steps] == ["aws"]


def test_an_error_is_reported_once_with_its_resource_and_without_colours() -> None:
    seen = watch()
    for message in ("<{%reset%}>it is invalid<{%reset%}>", "it is invalid", "update failed", ""):
        seen(diagnostic(message))
    seen(diagnostic("only a hint", severity="warning"))
    seen(diagnostic("the program failed", urn="urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"))
    assert seen.errors == ["keys: it is invalid", "the program failed"]


def record(path: Path, resources: list[dict[str, Any]]) -> Path:
    path.write_text(
        json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": {"resources": resources}}})
    )
    return path


def test_secret_outputs_are_masked_at_any_depth(tmp_path: Path) -> None:
    outputs = {"url": "https://a", "password": SECRET, "nested": {"list": ["a", SECRET]}}
    path = record(
        tmp_path / "dev.json", [{"type": "pulumi:pulumi:Stack", "outputs": outputs}, {"type": "aws:x:Y"}]
    )
    read = checkpoint.read(path)
    assert len(read.resources) == 2
    assert read.outputs == {"url": "https://a", "password": "[secret]", "nested": {"list": ["a", "[secret]"]}}


def test_a_stack_that_was_never_deployed_has_no_outputs(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path / "none.json").outputs == {}
    (tmp_path / "empty.json").write_text(json.dumps({"version": 3, "checkpoint": {"stack": "dev"}}))
    assert checkpoint.read(tmp_path / "empty.json").resources == []
