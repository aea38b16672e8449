"""What is read from the engine: its events and its record."""

import json
from pathlib import Path
from typing import Any

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
