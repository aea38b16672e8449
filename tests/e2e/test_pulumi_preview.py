"""What the real engine says of a change, and what the preview says of it: `--pulumi-preview`."""

import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import LocalWorkspace, PulumiCommand, Stack
from pulumi.automation._stack import StackInitMode

from preview.__main__ import main
from preview.recording.program import make_plan
from sandbox.__main__ import default_cache
from sandbox.binaries import build
from sandbox.engine.folder import in_folder
from sandbox.providers.cloud import PACKAGES, Emulated
from sandbox.providers.server import served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

_PROGRAM = """
import pulumi
import pulumi_aws as aws

settings = pulumi.Config().require_object("settings")
provider = aws.Provider("aws", region="eu-central-1", default_tags={"tags": {"stack": "dev"}})
opts = pulumi.ResourceOptions(provider=provider)
aws.cloudwatch.LogGroup("logs", name=settings["logs"], retention_in_days=30, opts=opts)
aws.rds.Instance(
    "database",
    identifier="database",
    engine="postgres",
    instance_class=settings["size"],
    allocated_storage=20,
    username="admin",
    password=pulumi.Output.secret("secret"),
    skip_final_snapshot=True,
    opts=opts,
)
aws.sqs.Queue("kept", name="kept", opts=opts)
aws.sqs.Queue(settings["queue"], name=settings["queue"], opts=opts)
"""
_DEPLOYED = {"logs": "first", "size": "db.t4g.medium", "queue": "old"}
_CHANGED = {"logs": "second", "size": "db.t4g.large", "queue": "new"}


class _Json(Stack):
    """A stack whose previews are printed as JSON, which the Automation API has no option for."""

    def _run_pulumi_cmd_sync(self, args: list[str], *rest: Any) -> Any:
        return super()._run_pulumi_cmd_sync([*args, "--json"] if args[0] == "preview" else args, *rest)


def _write(project: Path, settings: Mapping[str, str]) -> None:
    config = {"aws:region": "eu-central-1", "small:settings": settings}
    (project / "Pulumi.dev.yaml").write_text(json.dumps({"config": config}))


def _stack(project: Path, folder: Path, environment: Mapping[str, str]) -> Stack:
    for name in ("backend", "home"):
        (folder / name).mkdir()
    (folder / "passphrase").write_text("only a test's")

    def program() -> None:
        runpy.run_path(str(project / "__main__.py"), run_name="__main__")

    workspace = LocalWorkspace(
        work_dir=str(project),
        program=program,
        pulumi_command=PulumiCommand(root=str(default_cache() / build.PULUMI.key)),
        env_vars={
            **environment,
            "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        },
    )
    return _Json("dev", workspace, StackInitMode.CREATE_OR_SELECT)


@pytest.fixture(scope="module")
def previewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A project, the plan that is deployed, and what the engine wrote of a change of it."""
    build.ensure(default_cache(), [build.PULUMI])
    folder = tmp_path_factory.mktemp("engine")
    project = folder / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
    (project / "__main__.py").write_text(_PROGRAM)
    _write(project, _DEPLOYED)
    base = folder / "plan.json"
    base.write_text(make_plan("dev", project).to_json())
    lines: list[str] = []
    with served({package: Emulated() for package in PACKAGES}) as providers, in_folder(project):
        stack = _stack(project, folder, providers.environment)
        stack.up(color="never")
        _write(project, _CHANGED)
        stack.preview(color="never", on_output=lines.append)
    file = folder / "pulumi.json"
    file.write_text("\n".join(line.rstrip("\n") for line in lines))
    return project, base, file


def test_the_engine_says_what_the_preview_says(
    previewed: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project, base, file = previewed
    given = ["--project", str(project), "--base", str(base), "--pulumi-preview", str(file), "--json"]
    code = main(given)
    comparison = json.loads(capsys.readouterr().out)["comparison"]
    assert comparison["pulumi"]["disagreements"] == []
    assert comparison["pulumi"]["resources"] == 4
    assert comparison["counts"] == {"deleted": 1, "replaced": 1, "updated": 1, "moved": 0, "created": 1}
    assert code != 3


def test_a_base_that_is_not_what_is_deployed_is_seen(
    previewed: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project, _, file = previewed
    now = tmp_path / "plan.json"
    now.write_text(make_plan("dev", project).to_json())
    assert main(["--project", str(project), "--base", str(now), "--pulumi-preview", str(file)]) == 3
    assert "database: Pulumi says updated (instanceClass), this report unchanged" in capsys.readouterr().out
