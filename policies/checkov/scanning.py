"""Runs checkov: in a virtual environment of its own, without the network, on what a preview writes."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from policies.checkov import REQUIREMENTS, Failed
from preview.recording import manifests
from preview.recording.plan import Plan
from preview.recording.scanner import terraform_plan


class ScanError(Exception):
    """Checkov could not be installed, or did not do its work; the message holds what it said."""


def install(folder: Path) -> Path:
    """The checkov command of the pinned version, installed below ``folder`` when it is not there.

    Raises:
        ScanError: it cannot be installed.
    """
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    environment = folder / f"checkov-{pins}"
    command = environment / "bin" / "checkov"
    complete = environment / "complete"
    if not complete.exists():
        # Beside this interpreter, where requirements-dev.txt put it.
        uv = [str(Path(sys.executable).with_name("uv")), "--system-certs"]
        _run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)])
        _run(
            [*uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)],
            VIRTUAL_ENV=str(environment),
        )
        complete.touch()
    return command


def scan(checkov: Path, plan: Plan, folder: Path) -> list[Failed]:
    """Every check that fails on the manifests and the AWS resources of a plan.

    Args:
        folder: where the two are written.

    Raises:
        ScanError: checkov fails, or reads less than there is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = terraform_plan(plan)
    (folder / "tfplan.json").write_text(json.dumps(document))
    manifests.write(plan, folder / "manifests")
    cloud = _checkov(checkov, "terraform_plan", "-f", str(folder / "tfplan.json"))
    objects = _checkov(checkov, "kubernetes", "-d", str(folder / "manifests"))
    if cloud["summary"]["resource_count"] != len(document["resource_changes"]):
        raise ScanError(
            f"checkov read {cloud['summary']['resource_count']} of {len(document['resource_changes'])}"
        )
    return sorted({*_failed(plan.stack, cloud), *_failed(plan.stack, objects)})


def _failed(stack: str, report: Any) -> Iterator[Failed]:
    for failed in report["results"]["failed_checks"]:
        yield Failed(stack, failed["check_id"], failed["resource"], failed["check_name"])


def _checkov(command: Path, framework: str, *what: str) -> Any:
    options = ["--framework", framework, "--skip-download", "--quiet", "--soft-fail", "--output", "json"]
    report = json.loads(_run([str(command), *what, *options]))
    if not isinstance(report, dict) or report["summary"]["parsing_errors"]:
        raise ScanError(f"checkov could not read {what[-1]}: {report}")
    return report


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise ScanError(f"{' '.join(command[:4])} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
