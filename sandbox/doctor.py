"""`make doctor`: what this machine can do, what it lacks, and the one command that mends it."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from sandbox.binaries import build, debian, golang
from sandbox.machine import choice

_GIB = 1 << 30
# Measured: a real node with a stack takes 1.5 GiB, the build of one module at most 3.
_RUN_MEMORY, _BUILD_MEMORY = 2 * _GIB, 3 * _GIB
# Measured: what is built, images and layers take 6 GiB; Go's modules and its cache of what it compiled, 12 more.
_RUN_DISK, _BUILD_DISK = 3 * _GIB, 18 * _GIB


@dataclass(frozen=True)
class Finding:
    """One thing that `make up` needs."""

    name: str
    fine: bool
    says: str
    remedy: str = ""
    """A command, or what to do where none does it; empty when nothing is to be done."""


@dataclass(frozen=True)
class Diagnosis:
    """What there is to say of a machine."""

    versions: Mapping[str, str]
    findings: Sequence[Finding]

    @property
    def fine(self) -> bool:
        """Whether `make up` ends with an agent that answers."""
        return all(finding.fine for finding in self.findings)

    @property
    def remedy(self) -> str:
        """What to do first; empty when nothing is."""
        return next((finding.remedy for finding in self.findings if not finding.fine), "")

    def for_programs(self) -> dict[str, Any]:
        """`{versions: {...}, findings: [{name, fine, says, remedy}], fine, remedy}`."""
        findings = [asdict(finding) for finding in self.findings]
        return {
            "versions": dict(self.versions),
            "findings": findings,
            "fine": self.fine,
            "remedy": self.remedy,
        }

    def for_people(self) -> str:
        """The same, as the beginning of an issue report."""
        lines = [", ".join(f"{name} {version}" for name, version in self.versions.items()), ""]
        width = max(len(finding.name) for finding in self.findings)
        for finding in self.findings:
            mark = "ok   " if finding.fine else "LACKS"
            lines.append(f"{mark} {finding.name:<{width}}  {finding.says}")
        lines.append("")
        lines.append(
            "`make up` ends with an agent that answers from a real pod."
            if self.fine
            else f"To mend it: {self.remedy}"
        )
        return "\n".join(lines)


def examine(project: Path, state: Path, cache: Path) -> Diagnosis:
    """Look at the machine; nothing is started or changed.

    Args:
        project: the checkout.
        state: where a sandbox would keep its state.
        cache: where the binaries are, or would be.
    """
    return Diagnosis(_versions(project, cache), list(_findings(state, cache)))


def _versions(project: Path, cache: Path) -> dict[str, str]:
    described = (
        subprocess.run(
            ["git", "-C", str(project), "describe", "--tags", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
        )
        if shutil.which("git")
        else None
    )
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.platform()
    return {
        "langgraph-agents": (described.stdout.strip() if described else "") or "of no known commit",
        "on": system,
        platform.system(): f"{platform.release()} {platform.machine()}",
        "as": "root" if os.geteuid() == 0 else "an ordinary user",
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "Go": _go(cache),
        "Pulumi": build.PULUMI.version,
        "Kubernetes": build.KUBERNETES.version,
    }


def _go(cache: Path) -> str:
    on_path = shutil.which("go")
    version = golang.installed_version(on_path) if on_path else None
    return f"{version} on PATH" if version else "of PyPI"


def _findings(state: Path, cache: Path) -> Iterator[Finding]:
    obstacle = choice.obstacle((state, cache))
    real = obstacle is None
    unbuilt = build.unbuilt(cache, real_node=real)
    unpacked = debian.find(cache).root.exists()
    says = f"all in {cache}" if not unbuilt else f"to be built once: {', '.join(unbuilt)}"
    yield Finding("binaries", fine=True, says=says)
    yield _memory(_BUILD_MEMORY if unbuilt else _RUN_MEMORY)
    yield _disk(cache, _BUILD_DISK if unbuilt else _RUN_DISK)
    yield _reached("PyPI", [_index()], "UV_DEFAULT_INDEX=https://<your mirror of PyPI>/simple make up")
    if unbuilt:
        proxies = [f"{proxy}/golang.org/x/mod/@v/list" for proxy in _proxies()]
        yield _reached("Go's modules", proxies, "GOPROXY=https://<your mirror of Go's modules> make up")
    if real and not unpacked:
        mirrors = [f"{mirror}/dists/{debian.RELEASE}/InRelease" for mirror in debian.mirrors("debian")]
        yield _reached("Debian's packages", mirrors, "http_proxy=http://<your proxy> make up")
    if not unpacked and shutil.which("curl") is None and not real:
        yield Finding("curl", fine=False, says="`ask` is made of it", remedy="install curl")
    if obstacle:
        yield Finding("real nodes", fine=False, says=obstacle.reason, remedy=obstacle.remedy)
    else:
        yield Finding("real nodes", fine=True, says="pods really run")


def _memory(needed: int) -> Finding:
    memory = psutil.virtual_memory()
    free, total = memory.available / _GIB, memory.total / _GIB
    says = f"{free:.1f} GiB of {total:.1f} are free, and {needed / _GIB:.0f} are needed"
    if memory.available >= needed:
        return Finding("memory", fine=True, says=says)
    return Finding("memory", fine=False, says=says, remedy="make down, and end what else takes memory")


def _disk(cache: Path, needed: int) -> Finding:
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    says = f"{free / _GIB:.0f} GiB are free in {there}, and {needed / _GIB:.0f} are needed"
    if free >= needed:
        return Finding("disk", fine=True, says=says)
    return Finding("disk", fine=False, says=says, remedy="XDG_CACHE_HOME=<a folder on a larger disk> make up")


def _index() -> str:
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    given = next((os.environ[name] for name in names if os.environ.get(name)), "https://pypi.org/simple")
    return f"{given.rstrip('/')}/uv/"


def _proxies() -> list[str]:
    given = os.environ.get("GOPROXY") or "https://proxy.golang.org"
    return [proxy.rstrip("/") for proxy in given.replace("|", ",").split(",") if proxy.startswith("http")]


def _reached(name: str, urls: Sequence[str], remedy: str) -> Finding:
    reasons = []
    for url in urls:
        try:
            httpx.head(url, timeout=5, follow_redirects=True, verify=debian.trusted()).raise_for_status()
        except httpx.HTTPError as error:
            reasons.append(f"{url}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            continue
        return Finding(name, fine=True, says=f"reached, {httpx.URL(url).host}")
    return Finding(name, fine=False, says="; ".join(reasons) or "nowhere to ask", remedy=remedy)
