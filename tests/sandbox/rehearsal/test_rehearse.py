"""What a rehearsal tells the reviewer of a change."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.cluster.agents import Reached
from sandbox.cluster.api import Api
from sandbox.common.errors import InputError, SandboxError
from sandbox.common.state import State
from sandbox.engine.steps import What
from sandbox.rehearsal import rehearse
from sandbox.rehearsal.load import Load, Observed
from sandbox.rehearsal.rehearse import Rehearsal, Seen
from sandbox.rehearsal.timeline import timeline
from tests.sandbox.fakes import FakeApi
from tests.sandbox.rehearsal.test_timeline import done, told


def rehearsal(observed: Observed | None = None, **changed: Any) -> Rehearsal:
    load = (observed or Observed(seconds=[0.1, 0.2], runs=3)).summary()
    settings: dict[str, Any] = {
        "stack": "dev",
        "base": "0123456789abcdef",
        "seconds": 21.0,
        "changes": {"update": 2, "replace": 1},
        "touched": ["update a:b:C x", "update a:b:C y", "replace a:b:D z"],
        "agents": [Seen("support", 1, speaks=True, load=load)],
    }
    return Rehearsal(**settings | changed)


def test_a_change_that_no_caller_noticed_is_clean() -> None:
    done = rehearsal()
    assert done.clean
    text = done.to_markdown()
    assert "no caller noticed" in text
    assert "Deployed over `0123456789ab` on real pods, under constant load, in 21 s, then restarted:" in text
    assert "1 replace, 2 update." in " ".join(text.split())
    assert "| support | 1 | 2 | 0 | 0 | 0.2 s | 3 | 0 | 0 |" in text
    assert "Replaced: a:b:D z" in text


@pytest.mark.parametrize("observed", [Observed(failures=["`503` later"]), Observed(lost=["5 steps of 4"])])
def test_a_failed_request_or_a_lost_run_is_reported_with_its_words(observed: Observed) -> None:
    done = rehearsal(observed)
    assert not done.clean
    assert "callers would notice" in done.to_markdown()
    assert f"- `{(observed.failures + observed.lost)[0]}`".replace("`503`", "'503'") in done.to_markdown()


def test_slow_answers_and_resumed_runs_harm_nobody() -> None:
    assert rehearsal(Observed(seconds=[3.0], runs=1, resumed=1)).clean


def test_a_change_that_does_not_deploy_is_reported_with_the_reason() -> None:
    done = rehearsal(error="support: ErrImagePull", changes={}, touched=[])
    assert not done.clean
    assert "it does not deploy" in done.to_markdown()
    assert "support: ErrImagePull" in done.to_markdown()


def test_the_time_line_is_a_part_of_the_report_and_of_the_data() -> None:
    seen = timeline(
        [told("config", "updated", 0, 1), told("late", "created", 0, 1)],
        [
            done("config", What.UPDATED, 0, 2.24),
            done("database", What.UPDATED, 0, 0.1, "aws:rds/instance:Instance"),
        ],
        harmed=[1.0, 9.0],
    )
    finished = rehearsal(timeline=seen)
    text = finished.to_markdown()
    assert "| at once | 2 s | 1 s | config is updated | 1 request or run failed |" in text
    assert "emulated here, so that its time says nothing: database is updated." in text
    assert "1 requests or runs failed while none of these was under way" in text
    assert "- **Not as the preview says:** late is created, says the preview: it was not" in text
    [config, _, late] = json.loads(finished.to_json())["timeline"]["steps"]
    assert config["seen"] == {"start": 0, "seconds": 2.2, "noticed": ["1 request or run failed"]}
    assert (config["what"], config["expected"]["seconds"], late["seen"]) == ("updated", 1, None)


def test_without_a_preview_the_steps_are_told_alone() -> None:
    steps = [asdict(done("config", What.UPDATED, 0, 2))]
    alone = rehearse._timeline("no such stack", {"began": 0.0, "steps": steps}, Load([]))
    assert (len(alone.steps), alone.otherwise) == (1, ())
    text = rehearsal(timeline=alone, unpreviewed="no such\nstack").to_markdown()
    assert "There is no preview to compare with: no such stack" in text
    assert "| at once | 2 s |  | config is updated |  |" in text


def test_failures_are_placed_by_the_clock_of_the_update() -> None:
    load = Load([Reached("http://agent", "key")])
    load.observed[0].harmed.append(103.0)
    steps = [asdict(done("pods", What.UPDATED, 2, 5))]
    found = rehearse._timeline([told("pods", "updated", 0, 60)], {"began": 100.0, "steps": steps}, load)
    assert found.steps[0].seen is not None
    assert found.steps[0].seen.noticed == ("1 request or run failed",)


def test_data_has_a_version_and_the_verdict() -> None:
    observed = json.loads(rehearsal().to_json())
    assert (observed["version"], observed["clean"]) == (1, True)
    assert observed["agents"][0]["load"]["served"] == 2


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for command in (
        ["init", "--quiet"],
        [
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "x",
        ],
    ):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


def test_an_unknown_base_or_one_without_the_stack_is_refused_before_anything_starts(
    project: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--base nowhere is no commit of the repository"):
        rehearse.rehearse("nowhere", "dev", project, tmp_path / "state", tmp_path)
    with pytest.raises(InputError, match=r"--base HEAD has no Pulumi\.dev\.yaml"):
        rehearse.rehearse("HEAD", "dev", project, tmp_path / "state", tmp_path)
    assert not (tmp_path / "state").exists()


def test_what_an_earlier_rehearsal_left_is_reported_with_the_command_that_removes_it(
    project: Path, tmp_path: Path
) -> None:
    State(tmp_path / "state", "dev").create()
    with pytest.raises(SandboxError, match="python -m sandbox down --state"):
        rehearse.rehearse("HEAD", "dev", project, tmp_path / "state", tmp_path)


def test_a_pod_that_is_ending_counts_as_rolled() -> None:
    api = FakeApi()
    for uid, more in (("1", {"deletionTimestamp": "now"}), ("2", {})):
        labels = {"app.kubernetes.io/component": "server", "app.kubernetes.io/name": "support"}
        api.objects["Pod", "a", uid] = {"metadata": {"uid": uid, "labels": labels, **more}}
    assert rehearse._pods(cast(Api, api)) == {"support": {"1", "2"}}
    assert rehearse._pods(cast(Api, api), ending=False) == {"support": {"2"}}
    assert rehearse._uids(cast(Api, api)) == {"1", "2"}
    assert rehearse._uids(cast(Api, FakeApi())) == set()
