"""kubectl's own Kustomize makes of the folder what the program makes of the stack file, object by object."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.__main__ import main
from preview.recording import manifests
from preview.recording.program import make_plan
from sandbox.__main__ import default_cache
from sandbox.binaries import build
from tests.preview.projects import ROOT, Settings, project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

# A name and the six characters that Secrets Manager adds to it.
_ARN = re.compile(r"arn:aws:secretsmanager:eu-central-1:123456789012:secret:([\w/-]+)-\w{6}")


@pytest.fixture(scope="module")
def kubectl() -> Path:
    build.ensure(default_cache(), [build.KUBERNETES])
    return default_cache() / build.KUBERNETES.key / "bin" / "kubectl"


def _pooled(settings: Settings) -> None:
    settings["database"]["pooler"] = "pgbouncer"


def _queue(settings: Settings) -> None:
    settings["agents"][0]["workers"] = {"replicas": {"min": 0, "max": 4}, "autoscaling": {"queue": 5}}


def _balanced(settings: Settings) -> None:
    settings["ingress"]["controller"] = "alb"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_overlay_is_what_the_program_makes_of_the_stack(stack: str, kubectl: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["--project", str(ROOT), "--out", str(out)]) == 0
    _same(_built(kubectl, out / "overlays" / stack), _recorded(stack, ROOT))


@pytest.mark.parametrize("change", [_pooled, _queue, _balanced])
def test_so_is_that_of_a_stack_with_other_settings(
    change: Callable[[Settings], None], kubectl: Path, tmp_path: Path
) -> None:
    folder = project(tmp_path, settings=change)
    # PgBouncer's image is built from a folder there.
    (folder / "components").symlink_to(ROOT / "components")
    assert main(["--project", str(folder), "--stack", "dev"]) == 0
    _same(
        _built(kubectl, folder / "build" / "manifests" / "dev" / "overlays" / "dev"), _recorded("dev", folder)
    )


def _built(kubectl: Path, overlay: Path) -> list[Any]:
    done = subprocess.run([kubectl, "kustomize", overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _recorded(stack: str, folder: Path) -> list[Any]:
    """The program's objects. The one difference: entries of Secrets Manager by name, which is not emulated."""
    objects = [manifest for _, manifest in manifests.objects(make_plan(stack, folder))]
    found: list[Any] = json.loads(_ARN.sub(r"\1", json.dumps(objects)))
    return found


def _same(built: list[Any], recorded: list[Any]) -> None:
    assert len(built) == len(recorded)
    ours = {_key(each): each for each in recorded}
    assert {_key(each) for each in built} == set(ours)
    for each in built:
        assert each == ours[_key(each)]


def _key(manifest: Any) -> tuple[str, ...]:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"]
