"""The command: its files, its exit codes, and one clear message for each kind of bad input."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from preview.__main__ import main
from tests.preview.projects import ROOT, Settings, project, project_plan


def _run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_all_files_are_written_and_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    contents = []
    for _ in range(2):
        code, out, _err = _run("--project", folder, capsys=capsys)
        assert code == 0
        assert "Exposed to the internet" in out
        written = folder / "build" / "preview" / "dev"
        files = sorted(file for file in written.rglob("*") if file.is_file())
        contents.append({file.relative_to(written): file.read_bytes() for file in files})
    assert contents[0] == contents[1]
    assert {path.parts[0] for path in contents[0]} == {"plan.json", "report.md", "report.html"}


def test_a_finding_is_exit_code_1_and_told_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_expired_exception(settings: Settings) -> None:
        settings["policyExceptions"] = [
            {
                "rule": "image-by-digest",
                "resource": "support-workload-deployment",
                "reason": "a reason of some length",
                "expires": "2020-01-01",
            }
        ]

    code, out, _ = _run("--project", project(tmp_path, settings=with_expired_exception), capsys=capsys)
    assert code == 1
    assert "its exception from image-by-digest ended on 2020-01-01" in out


def test_a_new_name_that_loses_an_agents_data_is_exit_code_1_in_every_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rename(settings: Settings) -> None:
        settings["agents"][0]["name"] = "helpdesk"

    base = tmp_path / "base.json"
    base.write_text(project_plan("dev").to_json())
    folder, out = project(tmp_path, settings=rename), tmp_path / "out"
    code, said, _ = _run("--project", folder, "--base", base, "--out", out, capsys=capsys)
    assert code == 1
    remedy = "Set `renamedFrom: support` on helpdesk"
    assert remedy in said
    assert (out / "report.md").read_text().startswith("- **Error:** support goes, and helpdesk begins with")
    assert "Set <code>renamedFrom: support</code> on helpdesk" in (out / "report.html").read_text()


def test_an_arn_is_shown_as_it_is_and_not_as_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shared-Ab12Cd"

    def with_their_secret(settings: Settings) -> None:
        settings["agents"][0]["secrets"] = [{"name": "API_KEYS", "source": "existing", "arn": arn}]

    _, out, _ = _run("--project", project(tmp_path, settings=with_their_secret), capsys=capsys)
    assert arn in out


def test_json_tells_everything_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tmp_path / "base.json"
    base.write_text(project_plan("dev").to_json())
    inner = tmp_path / "project"
    inner.mkdir()
    folder = project(inner, settings=lambda s: s["database"].update(instanceClass="db.t4g.large"))
    code, out, _ = _run("--project", folder, "--base", base, "--json", capsys=capsys)
    told: dict[str, Any] = json.loads(out)
    assert code == 0
    assert told["comparison"]["counts"] == {
        "deleted": 0,
        "replaced": 0,
        "updated": 2,
        "moved": 0,
        "created": 0,
    }
    first = told["comparison"]["changes"][0]
    assert (first["name"], first["status"], first["guarded"]) == ("database-instance", "updated", True)
    assert first["differences"] == [
        {"path": "instanceClass", "before": "db.t4g.medium", "after": "db.t4g.large"}
    ]
    assert told["comparison"]["impact"]["failures"]
    assert Path(told["files"]["plan"]).is_file()
    assert {"cost", "timing", "exposure", "findings"} <= told.keys()


def test_a_git_ref_is_compared_by_running_its_own_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base's program exports another name, so it is the base's own that ran, and the tree stays as it was."""
    _git(tmp_path, "init", "-q")
    folder = project(tmp_path)
    # The subprocess runs a whole checkout: here its program is the repository's, reached by its path.
    main_file = folder / "__main__.py"
    main_file.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{main_file.read_text()}")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "base")
    file = folder / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("db.t4g.medium", "db.t4g.large"))
    code, out, err = _run("--project", folder, "--base", "HEAD", "--json", capsys=capsys)
    assert (code, err) == (0, "")
    told = json.loads(out)["comparison"]
    assert told["base"] == "HEAD"
    assert told["counts"]["updated"] == 2
    assert told["counts"]["created"] == told["counts"]["deleted"] == 0
    assert "db.t4g.large" in file.read_text()


def test_a_stack_that_the_base_does_not_have_is_all_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _git(tmp_path, "init", "-q")
    (tmp_path / "README").write_text("nothing yet")
    _git(tmp_path, "add", "README")
    _git(tmp_path, "commit", "-qm", "base")
    code, out, _ = _run("--project", project(tmp_path), "--base", "HEAD", "--json", capsys=capsys)
    counts = json.loads(out)["comparison"]["counts"]
    assert code == 0
    assert counts["created"] > 100
    assert counts["updated"] == counts["deleted"] == 0


def test_a_base_whose_program_fails_is_reported_with_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _git(tmp_path, "init", "-q")
    folder = project(tmp_path)
    good = (folder / "__main__.py").read_text()
    (folder / "__main__.py").write_text("raise KeyError('broken')\n")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "base")
    (folder / "__main__.py").write_text(good)
    code, _, err = _run("--project", folder, "--base", "HEAD", capsys=capsys)
    assert code == 2
    assert "the program of HEAD cannot be previewed" in err
    assert "KeyError('broken')" in err


def test_explain_prints_one_resource(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(tmp_path)
    code, out, _ = _run("--project", folder, "explain", "database-instance", capsys=capsys)
    assert code == 0
    assert "Reached by" in out
    assert "support-workload-deployment" in out
    code, out, _ = _run("explain", "database-instance", "--project", folder, "--json", capsys=capsys)
    assert json.loads(out)[0]["resource"]["name"] == "database-instance"


_BAD = {
    "an unknown stack": (["--stack", "staging"], "there is no"),
    "a missing base ref": (["--base", "no-such-branch"], "neither a plan.json nor a commit"),
    "a missing base file": (["--base", "no-such-plan.json"], "cannot be read"),
    "a folder without a project": (["--project", "/"], "Pulumi.yaml is missing"),
    "an unknown option": (["--no-such-option"], "unrecognized arguments: --no-such-option"),
    "an option that is no number": (["--limit", "much"], "invalid int value: 'much'"),
    "a command without its name": (["explain"], "are required: name"),
    "an unknown resource": (
        ["explain", "no-such-thing"],
        "no resource of the stack dev is called no-such-thing",
    ),
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("case", _BAD)
def test_bad_input_is_exit_code_2_and_one_message(
    case: str, as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = _BAD[case]
    folder = project(tmp_path)
    given = ["--project", str(folder), *(["--json"] if as_json else []), *arguments]
    code, out, err = _run(*given, capsys=capsys)
    assert code == 2
    said = json.loads(out)["error"] if as_json else err
    assert message in said
    assert "Traceback" not in out + err
    assert (out == "") is not as_json


_BROKEN: dict[str, Any] = {
    "a broken setting": (
        lambda s: s["database"].update(instanceClass="large"),
        "write an RDS instance class",
    ),
    "a size that there is not": (
        lambda s: s["cache"].update(nodeType="cache.x9.large"),
        "is not a node type of ElastiCache",
    ),
    "a size without a price": (
        lambda s: s["cache"].update(nodeType="cache.r4.large"),
        "the price table has no cache.r4.large",
    ),
    "a boolean in quotes": (lambda s: s.update(production="no"), "write true or false, without quotes"),
    "an exception from no rule": (
        lambda s: s.update(
            policyExceptions=[
                {"rule": "no-rule", "resource": "x", "reason": "long enough", "expires": "2099-01-01"}
            ]
        ),
        "no-rule is no rule",
    ),
}


@pytest.mark.parametrize("case", _BROKEN)
def test_a_broken_stack_file_is_exit_code_2(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = _BROKEN[case]
    code, _, err = _run("--project", project(tmp_path, settings=change), capsys=capsys)
    assert code == 2
    assert message in err


def _rewritten(folder: Path, before: str, after: str) -> None:
    file = folder / "Pulumi.dev.yaml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


def test_a_version_without_quotes_is_reported_as_it_stands_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    _rewritten(folder, "version: '1.36'", "version: 1.30")
    code, _, err = _run("--project", folder, capsys=capsys)
    assert code == 2
    assert 'cluster.version: 1.30\n      YAML reads this as a number: put it in quotes, "1.30"' in err


@pytest.mark.parametrize("word", ["no", "off", "yes"])
def test_words_that_only_some_readers_of_yaml_take_for_booleans_are_refused(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    _rewritten(folder, "production: false", f"production: {word}")
    code, _, err = _run("--project", folder, capsys=capsys)
    assert code == 2
    assert f"production: {word}\n      write true or false" in err


def test_a_key_that_stands_twice_is_refused_with_both_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    _rewritten(folder, "production: false", "production: false\n    production: true")
    code, _, err = _run("--project", folder, capsys=capsys)
    assert code == 2
    assert re.search(
        r"production of config\.langgraph-agents:settings stands in line (\d+) and again in line", err
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("langgraph-agents:settings", "settings: sk-very-secret-or-not\n      write an object"),
        ("langgraph-agents:apiKeys", "apiKeys: (hidden)\n      holds one object for each agent"),
    ],
)
def test_a_text_for_a_whole_object_is_reported_with_what_to_write(
    key: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    file = folder / "Pulumi.dev.yaml"
    content = yaml.safe_load(file.read_text())
    content["config"][key] = "sk-very-secret-or-not"
    file.write_text(yaml.safe_dump(content))
    code, _, err = _run("--project", folder, capsys=capsys)
    assert code == 2
    assert message in err
    assert ("sk-very-secret" in err) is (key == "langgraph-agents:settings")


def test_a_stack_may_have_any_name_beside_dev_and_prod(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path)
    (folder / "Pulumi.prod.yaml").write_text((ROOT / "Pulumi.prod.yaml").read_text())
    (folder / "Pulumi.case.yaml").write_text((folder / "Pulumi.dev.yaml").read_text())
    code, _, _ = _run("--project", folder, "--stack", "case", capsys=capsys)
    assert code == 0
    assert json.loads((folder / "build" / "preview" / "case" / "plan.json").read_text())["stack"] == "case"


def test_a_project_with_a_package_called_stacks_runs_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "__init__.py").write_text("")
    (tmp_path / "stacks" / "mine.py").write_text("GREETING = 'from its own package'\n")
    (tmp_path / "__main__.py").write_text(
        "import pulumi\nfrom stacks.mine import GREETING\npulumi.export('greeting', GREETING)\n"
    )
    (tmp_path / "Pulumi.yaml").write_text("name: other\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {aws:region: eu-central-1}\n")
    code, _, err = _run("--project", tmp_path, capsys=capsys)
    assert (code, err) == (0, "")
    plan = json.loads((tmp_path / "build" / "preview" / "dev" / "plan.json").read_text())
    assert plan["outputs"] == {"greeting": "from its own package"}


def test_plans_of_another_version_or_stack_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base.json"
    inner = tmp_path / "project"
    inner.mkdir()
    folder = project(inner)
    text = project_plan("dev").to_json()
    for changed, message in (
        (text.replace('"schema_version": 1', '"schema_version": 7'), "schema version 7"),
        (text.replace('"stack": "dev"', '"stack": "prod"'), "is a plan of the stack prod, not of dev"),
        ("{}", "is not a plan"),
    ):
        base.write_text(changed)
        code, _, err = _run("--project", folder, "--base", base, capsys=capsys)
        assert code == 2
        assert message in err
