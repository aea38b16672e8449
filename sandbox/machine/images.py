"""Images, built from their own Dockerfiles by BuildKit and imported into the node under the name that pods use."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock

from sandbox.binaries.build import Engine
from sandbox.common import processes
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine import base, layout
from sandbox.machine.containers import Containers

ROLE = "buildkitd"

_REGISTRY = "https://registry-1.docker.io/v2/"
_START_SECONDS = 30.0

# The stack's own Dockerfile takes its base as an argument.
_BASE_ARGUMENT = re.compile(r"^ARG BASE=(?P<image>\S+)", re.MULTILINE)

# In mount and process namespaces of its own, so that nothing of a build is left when it ends.
_DAEMON = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private")


class Builder:
    """Builds into one node; layers are kept in the cache that all checkouts share, one build after the other."""

    def __init__(
        self, state: State, engine: Engine, cache: Path, containers: Containers, namespaces: Namespaces
    ) -> None:
        self._state = state
        self._binaries = engine.containers
        self._debian = engine.debian
        self._cache = cache / "buildkit"
        # What was built before need not be written again.
        self._images = cache / "images"
        self._unpacked = cache / "layers"
        self._bases = cache
        self._containers = containers
        self._namespaces = namespaces

    def build(self, inputs: Mapping[str, Any]) -> str:
        """Build what the inputs of a docker-build Image say; returns the image's digest.

        The node gets it by its digest, as the Deployment names it. It is built for this machine's architecture.

        Raises:
            SandboxError: the build failed; with the builder's words.
        """
        context = Path(inputs["context"]["location"]).resolve()
        dockerfile = Path(inputs["dockerfile"]["location"]).resolve()
        tag = str(inputs["tags"][0])
        arguments = [
            "--frontend=dockerfile.v0",
            f"--local=context={context}",
            f"--local=dockerfile={dockerfile.parent}",
            f"--opt=filename={dockerfile.name}",
            *(f"--opt=build-arg:{key}={value}" for key, value in (inputs.get("buildArgs") or {}).items()),
            *(f"--opt=label:{key}={value}" for key, value in (inputs.get("labels") or {}).items()),
            *self._base(dockerfile),
            # Nobody sends it anywhere: compressing it would take longer than the rest.
            f"--output=type=oci,tar=false,dest={self._images},name={tag},compression=uncompressed",
        ]
        self._cache.mkdir(parents=True, exist_ok=True)
        with FileLock(self._cache / "lock"):
            layout.begin(self._images)
            digest = self._run(arguments)
            name = f"{tag.rpartition(':')[0]}@{digest}"
            self._containers.take_in(self._images, digest, name, self._unpacked)
            layout.prune(self._images, digest)
        return digest

    def _base(self, dockerfile: Path) -> list[str]:
        """The base image: the registry's own when it can be reached, else one made from Debian's packages."""
        if _reachable():
            return []
        named = _BASE_ARGUMENT.search(dockerfile.read_text())
        if named is None:
            raise SandboxError(
                f"{dockerfile}: its base image cannot be pulled, since {_REGISTRY} is out of reach, and none can"
                " take its place: begin it with `ARG BASE=<image>` and `FROM $BASE`"
            )
        layout, digest = base.ensure(self._bases, self._debian, named["image"])
        return [
            "--opt=build-arg:BASE=sandbox-base",
            f"--opt=context:sandbox-base=oci-layout://base@{digest}",
            f"--oci-layout=base={layout}",
        ]

    def _run(self, arguments: list[str]) -> str:
        metadata = self._state.machine / "image.json"
        log = self._state.logs / "image-build.log"
        with self._daemon() as address:
            command = [str(self._binaries / "buildctl"), f"--addr={address}", "build", "--progress=plain"]
            command += [f"--metadata-file={metadata}", *arguments]
            with log.open("w") as output:
                done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            words = "\n  ".join(processes.last_lines(log, 15))
            raise SandboxError(f"the image could not be built; the end of {log}:\n  {words}")
        return str(json.loads(metadata.read_text())["containerimage.digest"])

    @contextmanager
    def _daemon(self) -> Iterator[str]:
        """A builder for as long as the context lasts."""
        folder = self._namespaces.sockets
        folder.mkdir(mode=0o700, exist_ok=True)
        address = f"unix://{folder}/buildkitd.sock"
        config = self._state.machine / "buildkitd.toml"
        config.write_text(f'[worker.oci]\ndefaultCgroupParent = "{self._namespaces.cgroup}"\n')
        command: list[str | Path] = [
            *_DAEMON,
            self._binaries / "buildkitd",
            f"--config={config}",
            f"--root={self._cache}",
            f"--addr={address}",
            "--containerd-worker=false",
            "--oci-worker-binary=runc",
            "--oci-worker-snapshotter=overlayfs",
            # The network is this machine's: a build installs packages.
            "--oci-worker-net=host",
        ]
        log = self._state.logs / f"{ROLE}.log"
        # One that a killed command left would keep the cache for itself.
        processes.stop(processes.running(self._state.id).get(ROLE, []))
        started = processes.start(self._state.id, ROLE, command, log)
        try:
            self._wait(started, address, log)
            yield address
        finally:
            processes.stop(processes.running(self._state.id).get(ROLE, []))
            started.wait()
            shutil.rmtree(folder)

    def _wait(self, started: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        probe = [str(self._binaries / "buildctl"), f"--addr={address}", "debug", "workers"]
        while subprocess.run(probe, capture_output=True, check=False).returncode:
            if started.poll() is not None or time.monotonic() > deadline:
                words = "\n  ".join(processes.last_lines(log, 5))
                raise SandboxError(f"BuildKit does not answer; the end of {log}:\n  {words}")
            time.sleep(0.1)


def _reachable() -> bool:
    try:
        # An answer that refuses an anonymous request is an answer, too.
        return httpx.head(_REGISTRY, timeout=3).status_code == httpx.codes.UNAUTHORIZED
    except httpx.HTTPError:
        return False
