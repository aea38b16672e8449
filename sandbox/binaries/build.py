"""The binaries that the sandbox runs: Pulumi's CLI and Kubernetes, built once from pinned Go modules.

What is built lies in a cache outside the checkout, in folders named by their pins, so that several checkouts share
it and a changed pin builds anew.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from semver import Version

from sandbox.binaries import debian, golang
from sandbox.binaries.debian import Debian
from sandbox.binaries.definitions import collect, own_content
from sandbox.binaries.golang import Go
from sandbox.common.console import Step, console, step
from sandbox.common.errors import SandboxError

MODULES = Path(__file__).parent / "go"

# Code without optimisation and debug information builds a quarter faster. The standard library keeps its optimisation:
# its cryptography derives the key of every command that touches a secret, which takes a second otherwise.
_FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-N -l -dwarf=false", "-gcflags=std=-dwarf=false")

# The stand-in providers speak the protocol of this CLI; older ones lack the event stream that `deploy` reads.
_OLDEST_PULUMI = Version(3, 259, 0)
_TOO_NEW_PULUMI = Version(4, 0, 0)


@dataclass(frozen=True)
class Engine:
    """What `make up` runs."""

    pulumi_root: Path | None
    """The folder whose `bin` has `pulumi`; None when the one on PATH is used."""
    pulumi_origin: str
    """Which `pulumi` it is, for the reader of the output."""
    kubernetes: Path
    """The folder with etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and kwok."""
    manifests: Path
    """The folder with the add-ons' CRDs (`crds`) and kwok's stages (`stages`)."""
    node: Path
    """The folder with kubelet, kube-proxy and coredns; there only when a real node was asked for."""
    containers: Path
    """The folder with containerd, its shim, ctr, buildkitd and buildctl; likewise."""
    debian: Debian
    """What is of Debian's packages; likewise."""


@dataclass(frozen=True)
class Module:
    """A Go module of this project that pins the commands to build as its tools."""

    folder: str
    names_version: str
    """The requirement whose version the user sees, and the binaries report."""
    variables: dict[str, str]
    """Go variables that the linker sets; `{version}`, `{major}` and `{minor}` are filled in."""
    renamed: dict[str, str]
    """Binaries that are called differently from the folder of their source."""
    packages: tuple[str, ...] = ("tool",)
    """What is built: the tools of its `go.mod`, and commands of its own."""
    tags: str = ""
    """Build constraints, parted by commas."""
    content: str = ""
    """What else decides what the folder in the cache holds."""

    @property
    def path(self) -> Path:
        return MODULES / self.folder

    @property
    def version(self) -> str:
        """The pinned version, such as `1.36.2`."""
        return pinned_version(self.path / "go.mod", self.names_version)

    @property
    def build_flags(self) -> list[str]:
        version = Version.parse(self.version)
        names = {"version": str(version), "major": version.major, "minor": version.minor}
        settings = [f"-X {variable}={value.format(**names)}" for variable, value in self.variables.items()]
        tags = [f"-tags={self.tags}"] if self.tags else []
        return [*_FLAGS, *tags, f"-ldflags=-s -w {' '.join(settings)}"]

    @property
    def key(self) -> str:
        """The name of its folder in the cache: another pin, flag or platform has another."""
        files = [self.path / "go.mod", self.path / "go.sum", *sorted(self.path.rglob("*.go"))]
        settings = [
            *self.build_flags,
            *(package for package in self.packages if package != "tool"),
            *sorted(self.renamed),
            self.content,
            platform.system(),
            platform.machine(),
        ]
        digest = hashlib.sha256(
            b"\0".join([*(file.read_bytes() for file in files), *(s.encode() for s in settings)])
        )
        return f"{self.folder}-{self.version}-{digest.hexdigest()[:12]}"


PULUMI = Module(
    folder="pulumi",
    names_version="github.com/pulumi/pulumi/pkg/v3",
    variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "{version}"},
    renamed={},
)
KUBERNETES = Module(
    folder="kubernetes",
    names_version="k8s.io/kubernetes",
    variables={
        "k8s.io/component-base/version.gitVersion": "v{version}",
        "k8s.io/component-base/version.gitMajor": "{major}",
        "k8s.io/component-base/version.gitMinor": "{minor}",
    },
    renamed={"server": "etcd"},
)
NODE = Module(
    folder="node",
    names_version="k8s.io/kubernetes",
    variables=KUBERNETES.variables,
    renamed={},
    packages=("tool", "./coredns"),
)
CONTAINERS = Module(
    folder="containers",
    names_version="github.com/containerd/containerd/v2",
    variables={"github.com/containerd/containerd/v2/version.Version": "v{version}"},
    renamed={},
    # Snapshotters of file systems that the sandbox does not use, and that need C libraries.
    tags="no_btrfs,no_devmapper,no_zfs",
)
ADDONS = Module(
    folder="addons",
    names_version="sigs.k8s.io/metrics-server",
    variables={},
    renamed={},
    packages=("tool", "./cert-manager"),
)
TRAEFIK = Module(
    folder="traefik",
    names_version="github.com/traefik/traefik/v3",
    variables={"github.com/traefik/traefik/v3/pkg/version.Version": "{version}"},
    renamed={},
)
KEDA = Module(
    folder="keda",
    names_version="github.com/kedacore/keda/v2",
    variables={"github.com/kedacore/keda/v2/version.Version": "{version}"},
    # As its containers are called.
    renamed={
        "operator": "keda-operator",
        "adapter": "keda-metrics-apiserver",
        "webhooks": "keda-admission-webhooks",
    },
)
HELM = Module(
    folder="helm",
    names_version="helm.sh/helm/v4",
    variables={"helm.sh/helm/v4/internal/version.version": "v{version}"},
    renamed={},
)
"""Nothing that the sandbox runs: tests render and install the charts by it."""
MANIFESTS = Module(
    folder="manifests",
    names_version="github.com/traefik/traefik/v3",
    variables={},
    renamed={},
    content=own_content(),
)


def kubernetes_minor() -> str:
    """The Kubernetes minor version that the sandbox runs, such as `1.36`."""
    return KUBERNETES.version.rpartition(".")[0]


def find_or_build(cache: Path, *, real_node: bool = False) -> Engine:
    """Find or build everything that the sandbox runs.

    Args:
        cache: the folder of the binaries.
        real_node: what a real node runs as well.

    Raises:
        SandboxError: something is missing and cannot be built; the message holds the builder's words.
    """
    pulumi = _pulumi_on_path()
    if real_node:
        debian.ensure(cache)
    ensure(cache, _wanted(pulumi, real_node=real_node))
    return Engine(
        pulumi_root=None if pulumi else cache / PULUMI.key,
        pulumi_origin=pulumi or f"pulumi {PULUMI.version} built from its Go module",
        kubernetes=cache / KUBERNETES.key / "bin",
        manifests=cache / MANIFESTS.key,
        node=cache / NODE.key / "bin",
        containers=cache / CONTAINERS.key / "bin",
        debian=debian.find(cache),
    )


def unbuilt(cache: Path, *, real_node: bool) -> list[str]:
    """What `find_or_build` would build, each with its version."""
    wanted = _wanted(_pulumi_on_path(), real_node=real_node)
    return [f"{module.folder} {module.version}" for module in wanted if not (cache / module.key).exists()]


def _wanted(pulumi: str | None, *, real_node: bool) -> list[Module]:
    """The modules, in the order in which they are needed; `pulumi` is the one that is there already."""
    return [
        KUBERNETES,
        *([] if pulumi else [PULUMI]),
        MANIFESTS,
        *([NODE, CONTAINERS] if real_node else []),
    ]


def ensure(cache: Path, modules: Iterable[Module]) -> None:
    """Build those of the modules that the cache does not have.

    Raises:
        SandboxError: one cannot be built; the message holds the builder's words.
    """
    missing = [module for module in modules if not (cache / module.key).exists()]
    if missing:
        go = golang.find(cache, max(golang.required_version(module.path) for module in missing))
        console.print(f"Building what the sandbox runs, once, into {cache} with {go.origin}")
        for number, module in enumerate(missing, start=1):
            _make(module, cache, go, f"{module.folder} {module.version} ({number} of {len(missing)})")


def pinned_version(go_mod: Path, requirement: str) -> str:
    """The version, without its `v`, at which a `go.mod` requires a module."""
    found = re.search(rf"^\s*(?:require )?{re.escape(requirement)} v(\S+)", go_mod.read_text(), re.MULTILINE)
    if found is None:
        raise SandboxError(f"{go_mod} does not require {requirement}: add it at the version to build")
    return found[1]


def suitable(version: str) -> bool:
    """Whether a `pulumi` of this version (as it prints it, `v3.259.0`) can serve as the engine."""
    try:
        parsed = Version.parse(version.strip().removeprefix("v"))
    except ValueError:
        return False
    return _OLDEST_PULUMI <= parsed < _TOO_NEW_PULUMI


def _pulumi_on_path() -> str | None:
    found = shutil.which("pulumi")
    if not found:
        return None
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run([found, "version"], env=environment, capture_output=True, text=True, check=False)
    version = done.stdout.strip()
    if suitable(version):
        return f"pulumi {version} at {found}"
    console.print(
        f"{found} is {version or 'of no known version'}, and {_OLDEST_PULUMI} or newer is needed: building one"
    )
    return None


def _make(module: Module, cache: Path, go: Go, title: str) -> None:
    """Build a module into the cache: whole or not at all, and by one process at a time."""
    target = cache / module.key
    with step(title) as progress:
        lock = FileLock(cache / f"{module.key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.update(detail="another build of it is under way: waiting for that")
            lock.acquire()
        try:
            if target.exists():
                return
            partial = target.with_name(f".{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            (partial / "bin").mkdir(parents=True)
            if module is MANIFESTS:
                collect(go, MODULES, partial)
            else:
                _compile(module, partial / "bin", go, progress)
            partial.rename(target)
        finally:
            lock.release()


def _compile(module: Module, output: Path, go: Go, progress: Step) -> None:
    """One `go build` for all commands of a module: it compiles what they share once."""
    progress.update(detail="counting packages")
    stale = "{{if .Stale}}{{.ImportPath}}{{end}}"
    listed = go.run("list", "-deps", "-f", stale, *module.build_flags, *module.packages, folder=module.path)
    total = len(listed.split())
    command = [str(go.executable), "build", "-v", *module.build_flags, "-o", f"{output}/", *module.packages]
    with subprocess.Popen(
        command, cwd=module.path, env=go.environment, stderr=subprocess.PIPE, text=True
    ) as build:
        words: deque[str] = deque(maxlen=40)
        for done, line in enumerate(build.stderr or (), start=1):
            if " " in line:
                # Not the name of a package under way, but what is to be said of one.
                words.append(line.rstrip())
            progress.update(done=min(done, total), total=total, detail=line.strip()[:60])
    if build.returncode:
        raise golang.failure(f"building {module.folder} {module.version}", list(words))
    for name, wanted in module.renamed.items():
        (output / name).rename(output / wanted)
