"""The preview's time line, and beside it what a rehearsal saw."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preview.change.diff import compare
from preview.change.timing import estimate_update
from preview.report import figures
from preview.report.machine import _text
from sandbox.engine.steps import Measured, What
from sandbox.rehearsal.timeline import foreseen, timeline
from tests.preview.projects import ROOT, project_plan

CONFIG = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DATABASE = "aws:rds/instance:Instance"


def told(
    name: str, what: str, start: float, seconds: float, type_: str = DEPLOYMENT, **more: Any
) -> Mapping[str, Any]:
    """A step of the preview's JSON."""
    return {
        "urn": f"urn::{name}", "name": name, "type": type_, "what": what, "start": start, "seconds": seconds,
        "noticed": [], "after": [], **more,
    }  # fmt: skip


def done(name: str, what: What, start: float, seconds: float, type_: str = DEPLOYMENT) -> Measured:
    return Measured(f"urn::{name}", name, type_, what, start, seconds)


def test_what_was_seen_stands_beside_what_was_expected_in_the_order_in_which_it_was_seen() -> None:
    found = timeline(
        [told("config", "updated", 0, 1, CONFIG), told("pods", "updated", 1, 60)],
        [done("config", What.UPDATED, 0, 0.2, CONFIG), done("pods", What.UPDATED, 0.9, 14)],
    )
    assert found.rows == [
        ("at once", "0 s", "1 s", "config is updated", ""),
        ("after 1 s", "14 s", "1 min", "pods is updated", ""),
    ]
    assert (found.otherwise, found.besides) == ((), 0)


def test_a_failure_is_of_the_step_that_was_under_way_and_contradicts_a_preview_that_expected_none() -> None:
    expected = [told("quiet", "updated", 0, 5), told("loud", "replaced", 5, 60, noticed=["loud is replaced"])]
    seen = [done("quiet", What.UPDATED, 0, 5), done("loud", What.REPLACED, 6, 10)]
    found = timeline(expected, seen, harmed=[-1, 3, 7, 8, 30])
    assert [row[-1] for row in found.rows] == ["1 request or run failed", "2 requests or runs failed"]
    assert found.besides == 2
    assert found.otherwise == ("quiet is updated: callers noticed, and the preview says that they cannot",)


def test_what_only_one_of_the_two_has_is_told() -> None:
    found = timeline(
        [told("moved", "moved", 0, 0), told("config", "updated", 0, 1)], [done("pods", What.CREATED, 0, 3)]
    )
    assert found.otherwise == (
        "pods is created: the preview does not say so",
        "config is updated, says the preview: it was not",
    )


def test_a_step_that_does_not_wait_as_the_preview_says_is_told() -> None:
    expected = [
        told("first", "created", 0, 5),
        told("other", "created", 0, 9),
        told("then", "updated", 5, 1, after=[0]),
    ]
    early = [
        done("then", What.UPDATED, 0, 1),
        done("other", What.CREATED, 3, 1),
        done("first", What.CREATED, 2, 5),
    ]
    assert timeline(expected, early).otherwise == (
        "then is updated before first is created, and the preview says after",
    )
    # What is independent may take longer than expected.
    late = [
        done("first", What.CREATED, 0, 5),
        done("then", What.UPDATED, 5, 1),
        done("other", What.CREATED, 3, 90),
    ]
    assert timeline(expected, late).otherwise == ()


def test_a_deletion_that_is_not_last_is_told() -> None:
    expected = [told("new", "created", 0, 5), told("old", "deleted", 5, 1)]
    early = [done("new", What.CREATED, 0, 5), done("old", What.DELETED, 1, 1)]
    assert timeline(expected, early).otherwise == (
        "old is deleted before new is created, and the preview says after",
    )
    assert (
        timeline(expected, [done("new", What.CREATED, 0, 5), done("old", What.DELETED, 5, 1)]).otherwise == ()
    )


@pytest.mark.parametrize("type_", [DATABASE, "kubernetes:helm.sh/v3:Release"])
def test_what_is_emulated_is_named_and_its_time_is_not(type_: str) -> None:
    found = timeline(
        [told("it", "updated", 0, 600, type_)], [done("it", What.UPDATED, 0, 0.1, type_)], harmed=[0.05]
    )
    assert found.rows == []
    assert [step.title for step in found.emulated] == ["it is updated"]
    assert (found.besides, found.otherwise) == (1, ())


def test_the_words_are_those_of_the_previews_report() -> None:
    before = project_plan("dev")
    pods = next(resource for resource in before.of_type(DEPLOYMENT))
    gone = {urn: resource for urn, resource in before.resources.items() if urn != pods.urn}
    update = estimate_update(compare(before, replace(before, resources=gone)))
    written = json.loads(_text({"steps": update.steps}))["steps"]
    found = timeline(written, [Measured(pods.urn, pods.name, pods.type, What.DELETED, 0, 2)])
    assert [row[3] for row in found.rows] == [row[2] for row in figures.update_rows(update)]
    assert found.otherwise == ()


def test_the_preview_is_asked_for_the_same_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def run(command: list[str], **how: Any) -> "subprocess.CompletedProcess[str]":
        asked.append((command, how["cwd"]))
        return subprocess.CompletedProcess(
            command, 1, '{"comparison": {"timing": {"steps": [{"name": "a"}]}}}', ""
        )

    monkeypatch.setattr(subprocess, "run", run)
    assert foreseen("0123", "prod", tmp_path) == [{"name": "a"}]
    [(command, folder)] = asked
    assert command[1:-1] == [
        "-m", "preview", "--json", "--stack", "prod", "--project", str(tmp_path), "--base", "0123", "--out",
    ]  # fmt: skip
    assert folder == ROOT


@pytest.mark.parametrize(
    ("printed", "words", "why"),
    [
        ('{"error": "no such stack"}', "", "no such stack"),
        ("", "killed", "killed"),
        ("", "", "it ended with 2"),
    ],
)
def test_a_preview_that_is_not_there_says_why(
    printed: str, words: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended = subprocess.CompletedProcess([], 2, printed, words)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    assert foreseen("0123", "dev", tmp_path) == why
