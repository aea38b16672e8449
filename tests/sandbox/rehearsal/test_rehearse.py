"""What a rehearsal tells the reviewer of a change."""

import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.cluster.api import Api
from sandbox.common.errors import InputError, SandboxError
from sandbox.common.state import State
from sandbox.rehearsal import rehearse
from sandbox.rehearsal.load import Observed
from sandbox.rehearsal.rehearse import Rehearsal, Seen
from tests.sandbox.fakes import FakeApi


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
