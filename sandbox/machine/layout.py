"""An OCI image layout, as BuildKit keeps it up to date: which files an image has, and the image as one stream."""

import io
import json
import os
import tarfile
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sandbox.machine.cache import forget_unused


@dataclass(frozen=True)
class Layer:
    """A layer by its digests: of the file that it is in, and of what it is once that is uncompressed."""

    digest: str
    content: str


def begin(folder: Path) -> None:
    """Forget which images the layout holds, but not their files: the next build adds what they lack."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)


def digests(folder: Path, manifest: str) -> list[str]:
    """The digests of everything that an image consists of: its manifest, its config and its layers."""
    content = _read(folder, manifest)
    return [manifest, content["config"]["digest"], *(layer["digest"] for layer in content["layers"])]


def layers(folder: Path, manifest: str) -> list[Layer]:
    """The layers of an image, the lowest first."""
    content = _read(folder, manifest)
    config = _read(folder, content["config"]["digest"])
    found = zip(content["layers"], config["rootfs"]["diff_ids"], strict=True)
    return [Layer(layer["digest"], unpacked) for layer, unpacked in found]


def write(folder: Path, manifest: str, name: str, stream: IO[bytes], *, known: Set[str]) -> None:
    """Write an image as a tar archive that containerd imports under this name.

    Args:
        folder: the layout.
        manifest: the image's digest.
        name: such as `registry/repository@sha256:...`.
        stream: where to.
        known: digests that the reader has already.
    """
    described: dict[str, Any] = {
        "mediaType": _read(folder, manifest)["mediaType"],
        "digest": manifest,
        "size": _blob(folder, manifest).stat().st_size,
        "annotations": {"io.containerd.image.name": name},
    }
    index = {"schemaVersion": 2, "manifests": [described]}
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        for digest in digests(folder, manifest):
            # The manifest is read from the archive itself.
            if digest == manifest or digest not in known:
                blob = _blob(folder, digest)
                archive.add(blob, arcname=str(blob.relative_to(folder)))
        _add(archive, "index.json", json.dumps(index).encode())


def prune(folder: Path, used: str) -> None:
    """Remove the files that no build has used for a week; the image `used` is used now."""
    for digest in digests(folder, used):
        os.utime(_blob(folder, digest))
    forget_unused(folder / "blobs" / "sha256")


def _blob(folder: Path, digest: str) -> Path:
    algorithm, _, value = digest.partition(":")
    return folder / "blobs" / algorithm / value


def _read(folder: Path, digest: str) -> Any:
    return json.loads(_blob(folder, digest).read_text())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
