"""A base image made from Debian's packages, for machines that reach no registry: the Python of the same release.

It looks as the official image does to a Dockerfile: `python` and `pip` below /usr/local.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from sandbox.binaries.debian import Debian
from sandbox.common.console import step
from sandbox.common.errors import SandboxError

# `python:3.13-slim-trixie@sha256:...`: the release of Debian says which Python it has.
_RELEASE = re.compile(r"^(?:docker\.io/(?:library/)?)?python:[\d.]+-slim-(?P<release>[a-z]+)\b")

_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "python3,python3-venv,ca-certificates"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")

# Ready for use by then: what only the package manager reads.
_NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
_RECIPE = "1"
"""Another number for another way of making it."""


def ensure(cache: Path, debian: Debian, image: str) -> tuple[Path, str]:
    """A stand-in for an official Python image, made now unless the cache has it.

    Returns:
        The folder of an OCI layout, and the digest of the image in it.

    Raises:
        SandboxError: the image is not one that can be made so, or Debian's mirror is out of reach.
    """
    named = _RELEASE.match(image)
    if named is None:
        raise SandboxError(
            f"{image} cannot be pulled, and only python:<version>-slim-<Debian release> can be made from Debian's"
            " packages: use such a base, or make its registry reachable"
        )
    target = cache / f"base-{named['release']}-{os.uname().machine}-{_RECIPE}"
    with FileLock(cache / f"{target.name}.lock"):
        if not target.exists():
            with step(f"Base image from Debian {named['release']}"):
                partial = target.with_name(f".{target.name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                _bootstrap(debian, partial / "root", named["release"])
                _layout(partial)
                partial.rename(target)
    return target, json.loads((target / "index.json").read_text())["manifests"][0]["digest"]


def _bootstrap(debian: Debian, root: Path, release: str) -> None:
    command, environment = debian.debootstrap(
        "--variant=minbase", f"--include={_PACKAGES}", release, str(root), _MIRROR
    )
    _run(command, environment)
    # As official images have it; a virtual environment may lose its pip, which Debian's own Python may not.
    _run(["chroot", str(root), "/usr/bin/python3", "-m", "venv", "/usr/local"])
    # Whatever this machine trusts to reach PyPI, a build has to trust as well.
    if _AUTHORITIES.exists():
        shutil.copyfile(_AUTHORITIES, root / _AUTHORITIES.relative_to("/"))
    for path in _NEEDLESS:
        shutil.rmtree(root / path, ignore_errors=True)


def _layout(folder: Path) -> None:
    """Turn `root` into the one layer of an image in the OCI's layout."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    archive = folder / "layer.tar"
    with tarfile.open(archive, "w") as layer:
        for path in sorted((folder / "root").iterdir()):
            layer.add(path, arcname=path.name)
    shutil.rmtree(folder / "root")
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    size = archive.stat().st_size
    archive.rename(blobs / digest)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    layer_of = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": f"sha256:{digest}",
        "size": size,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _blob(blobs, config, "application/vnd.oci.image.config.v1+json"),
        "layers": [layer_of],
    }
    index = {"schemaVersion": 2, "manifests": [_blob(blobs, manifest, str(manifest["mediaType"]))]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def _blob(folder: Path, content: Mapping[str, object], media_type: str) -> dict[str, object]:
    data = json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    (folder / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        words = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise SandboxError(
            f"{' '.join(command[:2])} failed:\n  {words}\nDebian's mirror ({_MIRROR}) has to be reachable."
        )
