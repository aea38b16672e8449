"""`make up` by somebody who is not root: nodes are simulated, and the agent answers all the same."""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from sandbox.__main__ import default_cache
from sandbox.binaries.build import find_or_build
from tests.e2e.harness import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("useradd") is None,
        reason="making a user takes Linux, root and useradd",
    ),
]


@dataclass
class User:
    """Somebody with a checkout and a cache of their own."""

    name: str
    home: Path

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        as_user = [
            "setpriv",
            f"--reuid={self.name}",
            f"--regid={self.name}",
            "--init-groups",
            "--no-new-privs",
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        environment |= {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "USER": self.name,
        }
        return subprocess.run(
            [*as_user, *command],
            cwd=self.home / "project",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
            check=check,
        )

    def processes(self) -> list[psutil.Process]:
        identity = pwd.getpwnam(self.name).pw_uid
        return [each for each in psutil.process_iter(["uids"]) if each.info["uids"].real == identity]


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    """One who uses the environment and the binaries that are there already, and can write neither."""
    find_or_build(default_cache())
    folder = Path(tempfile.mkdtemp(prefix="user-"))
    folder.chmod(0o755)
    user = User(f"lga-{secrets.token_hex(4)}", folder / "home")
    subprocess.run(
        ["useradd", "--create-home", "--user-group", f"--home-dir={user.home}", user.name], check=True
    )
    try:
        ignored = shutil.ignore_patterns(".git", ".venv", ".sandbox", "build", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, user.home / "project", ignore=ignored)
        (user.home / "project" / ".venv").symlink_to(ROOT / ".venv")
        cache = user.home / ".cache" / "langgraph-agents" / "sandbox"
        cache.mkdir(parents=True)
        for built in default_cache().iterdir():
            if built.is_dir():
                (cache / built.name).symlink_to(built)
        subprocess.run(["chown", "--recursive", "--no-dereference", f"{user.name}:", user.home], check=True)
        if user.run(str(ROOT / ".venv" / "bin" / "python"), "-c", "import pulumi", check=False).returncode:
            pytest.skip(f"other users may not run {sys.executable}")
        yield user
    finally:
        user.run("make", "down", check=False)
        for process in user.processes():
            process.kill()
        subprocess.run(["userdel", user.name], check=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def up(user: User) -> str:
    done = user.run("make", "up", check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_it_is_said_what_is_not_real_and_what_would_make_it_so(up: str) -> None:
    assert "Nodes are simulated, so that no pod really runs" in up
    assert "namespaces and mounts need root: sudo -E make up" in up
    assert "It is a process with the stack's settings" in up, up


def test_the_line_to_try_answers(user: User, up: str) -> None:
    (asked,) = [line.strip() for line in up.splitlines() if line.startswith("  . ")]
    assert "calculate tool says: 42" in user.run("sh", "-c", asked).stdout


def test_a_changed_setting_reaches_the_agent(user: User, up: str) -> None:
    file = user.home / "project" / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("model: fake", "model: fake\n        maxRequestBytes: 2000"))
    again = user.run("make", "up").stdout
    (asked,) = [line.strip() for line in again.splitlines() if line.startswith("  . ")]
    large = asked.replace("What is 6*7?", "x" * 3000)
    assert "calculate" in user.run("sh", "-c", asked).stdout
    assert "2000" in user.run("sh", "-c", large).stdout


def test_doctor_names_root_as_what_is_lacked(user: User) -> None:
    done = user.run("make", "doctor", check=False)
    assert "LACKS real nodes" in done.stdout
    assert "To mend it: sudo -E make up" in done.stdout


def test_down_leaves_no_process(user: User, up: str) -> None:
    user.run("make", "down")
    assert user.processes() == []
