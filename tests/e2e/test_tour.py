"""The newcomer's tour: every command of `docs/tour.md`, in its order, in one shell."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project as it is now, with the environment that is installed already."""
    folder = tmp_path_factory.mktemp("tour") / "project"
    needs_a_real_node(folder)
    ignored = shutil.ignore_patterns(".git", ".venv", ".sandbox", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, folder, ignore=ignored)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "-m", "tour"],
    ):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


def test_every_command_of_the_tour_does_what_it_says(checkout: Path) -> None:
    blocks = _BLOCK.findall((ROOT / "docs" / "tour.md").read_text())
    assert len(blocks) == 8
    marked = "\n".join(f"echo '=== {number}'\n{block}" for number, block in enumerate(blocks))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", marked],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stdout[-4000:]
    finally:
        subprocess.run(["make", "down"], cwd=checkout, check=False, capture_output=True)
    # An answer of the agent ends without a line's end.
    _, *told = re.split(r"=== \d\n", done.stdout)
    up, ask, stream, kill, resumed, scale, rolled_back, down = told
    assert "support answers at https://support.dev.agents.example.com" in up
    assert '"database":"ok"' in ask
    assert "42" in ask
    assert stream.count("event: updates") >= 4
    assert "force deleted" in kill
    assert '"status": "success"' in resumed
    assert resumed.count("2 seconds have passed") >= 5
    assert "Written to build/preview/dev" in scale
    assert re.search(r"support\S*\s+Deployment/support\s+.*\s2\s+4\s", scale)
    assert "update kubernetes:autoscaling/v2:HorizontalPodAutoscaler" in rolled_back
    assert "removed" in down
