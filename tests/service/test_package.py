"""The service as a wheel, beside the lowest and the newest versions that it allows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = [str(Path(sys.executable).with_name("uv")), "--system-certs", "--quiet"]
TOOLS = (
    "pytest",
    "pytest-xdist",
    "pytest-asyncio",
    "pytest-timeout",
    "hypothesis",
    "schemathesis",
    "packaging",
)

# The graphs of the tests ask for the reference agent. Its extra needs a newer LangGraph than the service does; this one
# is content with the oldest, of whose langgraph-prebuilt later ones import what only LangGraph 1.1.5 has.
LOWEST = ["langchain>=1.0", "langchain-openai>=1", "langgraph-prebuilt<1.0.7"]
NEWEST = ["langchain", "langchain-openai"]
ELSEWHERE = ("test_stack_settings.py", "api/test_mcp.py", "api/test_a2a.py")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*UV, "build", "--wheel", "--out-dir", str(folder), "service"], cwd=ROOT, check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.parametrize(
    ("resolution", "beside"),
    [
        pytest.param("lowest-direct", LOWEST, id="lowest", marks=pytest.mark.nightly),
        pytest.param("highest", NEWEST, id="newest", marks=pytest.mark.nightly),
    ],
)
def test_the_services_tests_pass_with_the_versions_that_it_allows(
    wheel: Path, tmp_path: Path, resolution: str, beside: list[str]
) -> None:
    python = tmp_path / "bin" / "python"
    install = [*UV, "pip", "install", "--python", str(python)]
    subprocess.run([*UV, "venv", "--python", sys.executable, str(tmp_path)], check=True)
    service = f"{wheel}[local,valkey]"
    subprocess.run([*install, "--resolution", resolution, service, *beside], check=True)
    subprocess.run([*install, *_pinned(TOOLS)], check=True)

    listed = subprocess.run(
        [*UV, "pip", "list", "--python", str(python), "--format", "json"], capture_output=True, check=True
    )
    versions = {each["name"]: each["version"] for each in json.loads(listed.stdout)}
    assert (versions["langgraph"] == _least("langgraph")) == (resolution == "lowest-direct")

    options = ["-o", "pythonpath=.", "--confcutdir=tests/service", "-q", "-n", "2", "-m", "not e2e"]
    done = subprocess.run(
        # What a stack tells the service needs Pulumi, and the clients of other agents need newer versions.
        [
            python,
            "-m",
            "pytest",
            *options,
            "tests/service",
            *(f"--ignore=tests/service/{name}" for name in ELSEWHERE),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "CI"},
    )
    assert done.returncode == 0, done.stdout[-6000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 500


def _pinned(packages: tuple[str, ...]) -> list[str]:
    lock = (ROOT / "requirements-dev.txt").read_text()
    return [found[0] for name in packages if (found := re.search(rf"^{name}==\S+", lock, re.MULTILINE))]


def _least(package: str) -> str:
    found = re.search(rf'"{package}>=([0-9.]+)', (ROOT / "service/pyproject.toml").read_text())
    assert found
    return found[1]
