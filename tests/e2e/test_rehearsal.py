"""A change rehearsed on real pods: what drops no request passes, and what drops some is caught."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import ROOT, Done, Sandbox, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

Rehearse = Callable[[], tuple[Done, dict[str, Any]]]


@pytest.fixture(scope="module")
def changed(product: Sandbox) -> Sandbox:
    """The product in a repository of its own, committed as it is."""
    needs_a_real_node(product.root)
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "-m", "base"],
    ):
        subprocess.run(["git", "-C", str(product.project), *command], check=True)
    return product


@pytest.fixture
def rehearse(changed: Sandbox, tmp_path: Path) -> Iterator[Rehearse]:
    def run() -> tuple[Done, dict[str, Any]]:
        command = [sys.executable, "-m", "sandbox", "rehearse", "--base", "HEAD", "--json"]
        command += [
            "--project",
            str(changed.project),
            "--state",
            str(tmp_path / "state"),
            "--output",
            str(tmp_path),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
        assert done.stdout, done.stderr
        assert not (tmp_path / "state" / "dev").exists(), "the sandbox of a rehearsal ends with it"
        assert json.loads((tmp_path / "dev" / "report.json").read_text()) == json.loads(done.stdout)
        return Done(done.returncode, done.stderr, 0), json.loads(done.stdout)

    yield run
    subprocess.run(["git", "-C", str(changed.project), "checkout", "--quiet", "."], check=True)


def test_a_changed_setting_rolls_the_pods_and_no_caller_notices(changed: Sandbox, rehearse: Rehearse) -> None:
    changed.edit(lambda settings: settings["agents"][0].update(maxIterations=40))
    done, told = rehearse()
    (support,) = told["agents"]
    assert (done.code, told["clean"]) == (0, True), told
    assert support["pods_rolled"] == 1
    assert support["load"]["served"] > 50
    assert support["load"]["runs"] > 2
    assert "update kubernetes:apps/v1:Deployment support-workload-deployment" in told["touched"]
    # The preview had said the same of it.
    assert (told["unpreviewed"], told["timeline"]["otherwise"]) == ("", [])
    assert [(step["name"], step["what"]) for step in told["timeline"]["steps"]][-1] == (
        "support-workload-deployment",
        "updated",
    )
    assert told["timeline"]["steps"][-1]["seen"]["seconds"] > 1


def test_a_grace_period_cut_to_a_second_is_caught(changed: Sandbox, rehearse: Rehearse) -> None:
    # The settings refuse it; whoever edits the component instead is caught here. A pod that is killed sleeps no longer.
    changed.edit(lambda settings: settings["agents"][0].update(lifetimes={"preStop": 0}))
    workload = changed.project / "components" / "workload" / "workload.py"
    source = workload.read_text()
    kept = "termination_grace_period_seconds=part.grace_period_seconds"
    cut = source.replace(kept, "termination_grace_period_seconds=1")
    assert cut != source
    workload.write_text(cut)
    done, told = rehearse()
    (support,) = told["agents"]
    assert (done.code, told["clean"]) == (1, False)
    assert support["load"]["failed"] > 0
    assert support["load"]["runs_lost"] == 0
