"""containerd: it runs the pods' containers by Debian's runc, from images that the sandbox imports."""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from sandbox.binaries.debian import Debian
from sandbox.common import processes
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine import layout
from sandbox.machine.snapshots import Snapshots, chain

ROLE = "containerd"
SOCKET = "/run/containerd/containerd.sock"

_PAUSE = "sandbox.local/pause:1"
_START_SECONDS = 30.0

_CONFIG = """
version = 3
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "{socket}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
  # Not every machine lets root lower the out-of-memory score (CAP_SYS_RESOURCE).
  restrict_oom_score_adj = true
  # Below the state folder, since the rest of /run may be another file system.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{plugins}"]
    conf_dir = "{networks}"
"""


class Containers:
    """The container runtime of one node."""

    def __init__(self, state: State, binaries: Path, debian: Debian, namespaces: Namespaces) -> None:
        self._state = state
        self._binaries = binaries
        self._debian = debian
        self._namespaces = namespaces
        self._folder = state.machine / "containerd"

    def start(self, pods: str) -> None:
        """Start it; pods get addresses of the network `pods`.

        Raises:
            SandboxError: it does not answer in time; with the end of its log.
        """
        networks = self._folder / "networks"
        networks.mkdir(parents=True, exist_ok=True)
        (networks / "pods.conflist").write_text(json.dumps(_network(pods)))
        config = self._folder / "config.toml"
        settings = {
            "root": self._folder / "root",
            "socket": SOCKET,
            "pause": _PAUSE,
            "plugins": self._debian.cni,
            "networks": networks,
        }
        config.write_text(_CONFIG.format(**settings))
        log = self._state.logs / f"{ROLE}.log"
        log.unlink(missing_ok=True)
        # It finds its shim on PATH.
        path = f"PATH={self._binaries}:{os.environ.get('PATH', '')}"
        command: list[str | Path] = [
            *self._namespaces.enter,
            "env",
            path,
            self._binaries / "containerd",
            "--config",
            config,
        ]
        started = processes.start(self._state.id, ROLE, command, log)
        deadline = time.monotonic() + _START_SECONDS
        while self._control("version").returncode:
            if started.poll() is not None or time.monotonic() > deadline:
                words = "\n  ".join(processes.last_lines(log, 5))
                raise SandboxError(f"containerd does not answer; the end of {log}:\n  {words}")
            time.sleep(0.1)
        if not self.has(_PAUSE):
            self._import(
                lambda stream: write_image(stream, _PAUSE, self._debian.catatonit, ["/catatonit", "-P"])
            )

    def has(self, reference: str) -> bool:
        """Whether an image is there under this very name."""
        return reference in self._control("images", "ls", "--quiet", f"name=={reference}").stdout.split()

    def take_in(self, images: Path, manifest: str, name: str, unpacked: Path) -> None:
        """Take in an image under this name, as far as it is not here already.

        Args:
            images: the OCI layout that it is in.
            manifest: its digest.
            name: such as `registry/repository@sha256:...`.
            unpacked: the folder of the layers that all nodes of this machine share.

        Raises:
            SandboxError: containerd refuses it.
        """
        snapshots = Snapshots(self._control, unpacked)
        layers = layout.layers(images, manifest)
        names = chain([layer.content for layer in layers])
        lent = snapshots.lend(names)
        # An image may have a layer twice, such as one that is empty: on another one it is unpacked by itself.
        known = {layer.digest for layer in layers[:lent]} - {layer.digest for layer in layers[lent:]}
        known.update(self._control("content", "ls", "--quiet").stdout.split())
        self._import(lambda stream: layout.write(images, manifest, name, stream, known=known))
        snapshots.keep(names)

    def _import(self, write: Callable[[IO[bytes]], None]) -> None:
        command = self._command("images", "import", "--local", "-")
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            # It ends early when it refuses what it reads, and says why.
            with contextlib.suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as stream:
                write(stream)
            words = cast(IO[bytes], process.stderr).read().decode(errors="replace").strip()
        if process.returncode:
            raise SandboxError(f"containerd refuses an image: {words}")

    def _command(self, *arguments: str) -> list[str]:
        # The namespace that the kubelet's images and containers are in.
        where = ("--address", SOCKET, "--namespace", "k8s.io")
        return [*self._namespaces.visit, str(self._binaries / "ctr"), *where, *arguments]

    def _control(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False)


def write_image(stream: IO[bytes], reference: str, program: Path, entrypoint: list[str]) -> None:
    """Write an image of one statically linked program, as `docker save` would."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        member = tarfile.TarInfo(entrypoint[0].lstrip("/"))
        member.size, member.mode = program.stat().st_size, 0o755
        with program.open("rb") as content:
            files.addfile(member, content)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": entrypoint},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(fileobj=stream, mode="w|") as whole:
        for name, data in (
            ("layer.tar", layer.getvalue()),
            ("config.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            whole.addfile(member, io.BytesIO(data))


def _network(pods: str) -> dict[str, object]:
    """Each pod on a link of its own (`ptp`), so that whatever goes between two pods passes the Services' rules."""
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}
