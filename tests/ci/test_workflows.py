"""The workflows: what they may do, and what their scripts do."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
FILES = sorted([*GITHUB.glob("workflows/*.yml"), *GITHUB.glob("actions/*/action.yml")])


def workflow(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text())
    return document


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def script(name: str, step: str) -> str:
    [found] = [s["run"] for s in steps(name) if s.get("name") == step]
    return str(found)


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")

    done = subprocess.run(
        [str(zizmor), "--offline", "--no-progress", str(GITHUB)], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_their_version(path: Path) -> None:
    for line in path.read_text().splitlines():
        match = re.search(r"uses:\s+(\S+)(.*)", line)
        if match and not match[1].startswith("./"):
            assert re.fullmatch(r"[\w-]+(/[\w-]+)+@[0-9a-f]{40}", match[1]), line
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", match[2]), line


def test_one_action_has_one_pin() -> None:
    pins: dict[str, set[str]] = {}
    for path in FILES:
        for action, pin in re.findall(r"uses:\s+([\w-]+/[\w-]+)\S*@(.*)", path.read_text()):
            pins.setdefault(action, set()).add(pin)

    assert pins
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", ["ci", "preview"])
def test_what_runs_a_pull_requests_code_has_no_secret_and_may_only_read(name: str) -> None:
    text = (GITHUB / "workflows" / f"{name}.yml").read_text()

    assert "secrets." not in text
    # PyYAML takes the key `on` for a boolean.
    assert "pull_request" in workflow(name)[True]  # type: ignore[index]
    assert "pull_request_target" not in text
    assert workflow(name)["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in workflow(name)["jobs"].values())


def test_what_may_write_to_a_pull_request_runs_nothing_of_it() -> None:
    [job] = workflow("preview-comment")["jobs"].values()

    assert job["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert [step["uses"].split("@")[0] for step in job["steps"] if "uses" in step] == [
        "actions/download-artifact"
    ]
    for step in job["steps"]:
        # Reports and names of branches are data: they come in by the environment or a file, never as code.
        assert "${{" not in step.get("run", "")


def test_a_deployment_is_previewed_first_and_verified_last_in_its_own_environment() -> None:
    jobs = workflow("deploy")["jobs"]

    assert [job["environment"] for job in jobs.values()] == ["dev-preview", "dev", "prod-preview", "prod"]
    assert [job.get("needs") for job in jobs.values()] == [None, "dev-preview", "dev-deploy", "prod-preview"]
    for stack in ("dev", "prod"):
        preview = [step.get("run", "") for step in jobs[f"{stack}-preview"]["steps"]]
        deploy = [step.get("run", "") for step in jobs[f"{stack}-deploy"]["steps"]]
        assert preview[-1].startswith(f"pulumi preview --stack {stack} --policy-pack policies")
        assert deploy[-2].startswith(f"pulumi up --stack {stack} --policy-pack policies --yes")
        assert deploy[-1] == f".ci/verify {stack}"
        assert all(job["permissions"]["id-token"] == "write" for job in jobs.values())


def comment(tmp_path: Path, **reports: str) -> str:
    """The body that the comment workflow makes of these reports."""
    for stack, text in reports.items():
        folder = tmp_path / "reports" / f"preview-{stack}"
        folder.mkdir(parents=True)
        (folder / "report.md").write_text(text)
    made = tmp_path / "comment.json"
    environment = {
        "REPORTS": str(tmp_path / "reports"),
        "COMMENT": str(made),
        "MARKER": "<!-- marker -->",
        "SHA": "0123456789abcdef",
        "RUN": "https://example.com/run",
    }
    program = script("preview-comment", "Make one text of the reports")
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    return str(json.loads(made.read_text())["body"])


def test_the_comment_begins_with_its_marker_and_holds_both_stacks_and_the_rehearsal(tmp_path: Path) -> None:
    body = comment(tmp_path, dev="the dev report", prod="the prod report\n", rehearsal="the rehearsal\n")

    assert body.startswith(
        "<!-- marker -->\n*Made by the code of this pull request, 0123456789 ([run](https://example.com/run)).*"
    )
    assert body.endswith("the dev report\n\n---\n\nthe prod report\n\n---\n\nthe rehearsal")


def test_a_comment_never_outgrows_github_and_closes_what_it_opened(tmp_path: Path) -> None:
    long = "<details><summary>ä</summary>\n<details><summary>more</summary>\n" + "text\n" * 20_000
    hostile = "<details>\n" * 20_000

    assert len(comment(tmp_path / "hostile", dev=hostile, prod=hostile, rehearsal=hostile)) <= 65_536
    body = comment(tmp_path, dev=long, prod=long, rehearsal=long)

    assert len(body) <= 65_536
    assert body.count("<details>") == body.count("</details>")
    assert body.count("Cut here") == 3


def test_a_report_calls_nobody_out_and_digests_stay_whole(tmp_path: Path) -> None:
    body = comment(
        tmp_path, dev="cc @octocat and (@org/team)", prod="repository@sha256:00 and a.b@example.com"
    )

    assert "@octocat" not in body
    assert "@org" not in body
    assert "repository@sha256:00 and a.b@example.com" in body


def test_a_missing_report_is_reported(tmp_path: Path) -> None:
    body = comment(tmp_path, dev="x")
    assert "There is no preview of `prod`" in body
    assert "There is no rehearsal" in body


def test_the_reports_of_all_jobs_are_kept_by_the_names_that_the_comment_looks_for() -> None:
    uploads = [step["with"]["name"] for step in steps("preview") if "upload-artifact" in step.get("uses", "")]
    assert uploads == ["preview-${{ matrix.stack }}", "preview-rehearsal"]


def run_with_fakes(tmp_path: Path, program: list[str], fakes: dict[str, str], **environment: str) -> Any:
    """Run a script with these commands in place of the real ones; they note how they are called in ``calls``."""
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, body in fakes.items():
        fake = commands / name
        fake.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >> "{tmp_path}/calls"\n{body}\n')
        fake.chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(program, env={"PATH": path, **environment}, capture_output=True, text=True)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("existing", "call"),
    [
        ("", "gh api --silent --method POST repos/o/r/issues/7/comments --input c.json"),
        ("echo 41; echo 42", "gh api --silent --method PATCH repos/o/r/issues/comments/41 --input c.json"),
    ],
)
def test_a_comment_that_is_there_is_edited_and_not_repeated(tmp_path: Path, existing: str, call: str) -> None:
    gh = f'if [ "$2" = --paginate ]; then {existing or ":"}; fi'
    program = script("preview-comment", "Write the comment, or edit the one that is there")

    done = run_with_fakes(
        tmp_path,
        ["bash", "-euo", "pipefail", "-c", program],
        {"gh": gh},
        GH_REPO="o/r",
        NUMBER="7",
        COMMENT="c.json",
    )

    assert done.returncode == 0, done.stderr
    assert calls(tmp_path)[1:] == [call]


PULUMI = """
case "$*" in
  *"output namespace"*) echo agents ;;
  *"output cluster_name"*) echo langgraph-agents-dev ;;
  *"output agents"*) echo '{"support": "https://s.example.com", "research": "https://r.example.com"}' ;;
  *"config get aws:region"*) echo eu-central-1 ;;
  *issuer*) echo letsencrypt-prod ;;
esac
"""


def verify(tmp_path: Path, **changed: str) -> Any:
    fakes = {"pulumi": PULUMI, "aws": "", "kubectl": "", "curl": "", **changed}
    return run_with_fakes(tmp_path, [str(ROOT / ".ci" / "verify"), "dev"], fakes)


def test_a_healthy_deployment_is_verified_agent_by_agent(tmp_path: Path) -> None:
    done = verify(tmp_path)

    assert done.returncode == 0, done.stderr
    assert "aws eks update-kubeconfig --name langgraph-agents-dev --region eu-central-1" in calls(tmp_path)
    assert "kubectl rollout status deployment/research --namespace agents --timeout 900s" in calls(tmp_path)
    asked = [call.split()[-1] for call in calls(tmp_path) if call.startswith("curl ")]
    assert asked == [f"https://{agent}.example.com/{path}" for agent in "sr" for path in ("health", "ready")]
    assert done.stdout.count("ok ") == 6


def test_a_rollout_that_does_not_complete_fails_and_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    done = verify(tmp_path, kubectl='[ "$3" != deployment/support ]')

    assert done.returncode == 1
    assert "FAILED  rollout of support" in done.stdout
    assert "ok      rollout of research" in done.stdout
    assert "dev is not healthy" in done.stderr


def test_an_agent_that_is_not_ready_fails(tmp_path: Path) -> None:
    done = verify(tmp_path, curl='case "$*" in *s.example.com/ready) exit 22 ;; esac')

    assert done.returncode == 1
    assert "FAILED  https://s.example.com/ready" in done.stdout


def test_only_the_staging_authority_is_not_verified(tmp_path: Path) -> None:
    verify(tmp_path)
    assert not any("--insecure" in call for call in calls(tmp_path))

    (tmp_path / "staging").mkdir()
    verify(tmp_path / "staging", pulumi=PULUMI.replace("letsencrypt-prod", "letsencrypt-staging"))
    assert all("--insecure" in call for call in calls(tmp_path / "staging") if call.startswith("curl "))


def test_a_stack_without_outputs_is_an_error_and_not_a_success(tmp_path: Path) -> None:
    assert verify(tmp_path, pulumi="exit 255").returncode != 0


def find_pull_request(tmp_path: Path, number: str) -> Any:
    output = tmp_path / "output"
    program = script("preview-comment", "Find the pull request")
    environment = {
        "GH_REPO": "o/r",
        "HEAD": "someone:topic & more",
        "SHA": "abc",
        "GITHUB_OUTPUT": str(output),
    }
    done = run_with_fakes(
        tmp_path, ["bash", "-euo", "pipefail", "-c", program], {"gh": f"echo {number}"}, **environment
    )
    return done, output.read_text()


def test_the_pull_request_is_found_by_what_github_says_of_the_run(tmp_path: Path) -> None:
    done, output = find_pull_request(tmp_path, "7")

    assert output == "number=7\n"
    assert calls(tmp_path)[0].startswith(
        "gh api --method GET repos/o/r/pulls -f state=open -f head=someone:topic & more"
    )
    assert '.head.sha == "abc"' in calls(tmp_path)[0]
    assert done.stdout == ""


def test_a_pull_request_that_has_moved_on_is_left_alone(tmp_path: Path) -> None:
    done, output = find_pull_request(tmp_path, "")

    assert output == "number=\n"
    assert "nothing to comment on" in done.stdout


def run_in_checkout(tmp_path: Path, script: str, python: str) -> Any:
    """A script of ``.ci`` for prod against main, in a checkout whose Python is this script."""
    for folder in (".ci", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in (script, "reporting"):
        (tmp_path / ".ci" / name).write_text((ROOT / ".ci" / name).read_text())
    fake = tmp_path / ".venv" / "bin" / "python"
    fake.write_text(f"#!/usr/bin/env bash\n{python}\n")
    fake.chmod(0o755)
    return subprocess.run(
        ["bash", str(tmp_path / ".ci" / script), "prod", "main"], capture_output=True, text=True
    )


def report_of(tmp_path: Path, script: str) -> str:
    folder = {"preview": "preview", "rehearse": "rehearsal"}[script]
    return (tmp_path / "build" / folder / "prod" / "report.md").read_text()


@pytest.mark.parametrize("code", [0, 1])
def test_the_report_of_a_preview_is_kept_as_it_is(tmp_path: Path, code: int) -> None:
    done = run_in_checkout(tmp_path, "preview", f'echo "$*" > build/preview/prod/report.md; exit {code}')

    assert done.returncode == code
    assert report_of(tmp_path, "preview") == "-m preview --stack prod --base main --limit 27000\n"


def test_the_report_of_a_rehearsal_is_kept_as_it_is(tmp_path: Path) -> None:
    done = run_in_checkout(tmp_path, "rehearse", 'echo "$*" > build/rehearsal/prod/report.md; exit 1')

    assert done.returncode == 1
    assert report_of(tmp_path, "rehearse") == "-m sandbox rehearse --stack prod --base main\n"


@pytest.mark.parametrize(
    ("script", "what"), [("preview", "preview of `prod`"), ("rehearse", "rehearsal of `prod`")]
)
def test_what_fails_reports_why_and_the_text_stays_a_text(tmp_path: Path, script: str, what: str) -> None:
    done = run_in_checkout(tmp_path, script, "echo 'no such stack\n```\n# heading' >&2; exit 2")

    assert done.returncode == 2
    assert "no such stack" in done.stdout
    lines = report_of(tmp_path, script).splitlines()
    assert lines[0] == f"**There is no {what}**"
    assert lines[2:4] == ["```text", "no such stack"]
    assert lines[-1] == "```"
    assert sum(line.startswith("```") for line in lines) == 2


def test_a_report_of_an_earlier_run_does_not_pass_for_this_ones(tmp_path: Path) -> None:
    (tmp_path / "build" / "preview" / "prod").mkdir(parents=True)
    (tmp_path / "build" / "preview" / "prod" / "report.md").write_text("all is well")

    run_in_checkout(tmp_path, "preview", "exit 2")

    assert "all is well" not in report_of(tmp_path, "preview")
