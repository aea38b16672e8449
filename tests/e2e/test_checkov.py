"""A peer's scanner on both stacks. It installs checkov, which takes a while the first time."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from policies.checkov import Failed, answers, stale, unanswered
from policies.checkov.scanning import install, scan
from tests.policies.plans import ROOT, plan_of, with_resources

# Installing and four scans, on a slow machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def checkov() -> Path:
    return install(ROOT / "build" / "checkov")


@pytest.fixture(scope="module")
def found(checkov: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Failed]:
    folder = tmp_path_factory.mktemp("scan")
    return [failed for stack in ("dev", "prod") for failed in scan(checkov, plan_of(stack), folder / stack)]


def test_every_finding_is_answered(found: list[Failed]) -> None:
    assert unanswered(found, answers()) == []


def test_every_answer_has_a_finding(found: list[Failed]) -> None:
    assert stale(found, answers()) == []


def test_the_scanner_reads_what_it_is_given(checkov: Path, tmp_path: Path) -> None:
    """Otherwise a stack without findings would be one that was not understood."""
    plan = plan_of("prod")
    database, deployment = plan.named("database-instance"), plan.named("support-workload-deployment")
    spec = json.loads(json.dumps(deployment.inputs))
    del spec["spec"]["template"]["spec"]["containers"][0]["resources"]
    open_ = replace(
        database, inputs={**database.inputs, "publiclyAccessible": True, "storageEncrypted": False}
    )

    found = scan(checkov, with_resources(plan, [open_, replace(deployment, inputs=spec)]), tmp_path)

    checks = {failed.check for failed in unanswered(found, answers())}
    # Encrypted, not public, CPU and memory limits.
    assert {"CKV_AWS_16", "CKV_AWS_17", "CKV_K8S_11", "CKV_K8S_13"} <= checks
