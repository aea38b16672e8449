"""An image of an OCI layout on its way into a node."""

import hashlib
import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.machine import layout

NAME = "registry.example.com/agent@sha256:0"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    layout.begin(tmp_path)
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    return tmp_path


def blob(images: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    (images / "blobs" / "sha256" / digest).write_bytes(content)
    return f"sha256:{digest}"


def image(images: Path, *layers: bytes) -> str:
    """An image of these layers; returns the digest of its manifest."""
    manifest = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": blob(images, b"config of %d layers" % len(layers))},
        "layers": [{"digest": blob(images, layer)} for layer in layers],
    }
    return blob(images, json.dumps(manifest).encode())


def written(images: Path, manifest: str, known: set[str]) -> tarfile.TarFile:
    stream = io.BytesIO()
    layout.write(images, manifest, NAME, stream, known=known)
    return tarfile.open(fileobj=io.BytesIO(stream.getvalue()))


def test_an_archive_holds_the_one_image_under_its_name(images: Path) -> None:
    manifest = image(images, b"one", b"two")
    blob(images, b"of another image")
    archive = written(images, manifest, set())
    files = {f"blobs/{digest.replace(':', '/')}" for digest in layout.digests(images, manifest)}
    assert set(archive.getnames()) == {"oci-layout", "index.json", *files}
    (described,) = json.load(cast(Any, archive.extractfile("index.json")))["manifests"]
    assert described["digest"] == manifest
    assert described["annotations"] == {"io.containerd.image.name": NAME}
    assert described["size"] == len(
        cast(Any, archive.extractfile(f"blobs/{manifest.replace(':', '/')}")).read()
    )


def test_what_the_reader_has_is_left_out_but_for_the_manifest(images: Path) -> None:
    manifest = image(images, b"one", b"two")
    known = {*layout.digests(images, manifest)} - {blob(images, b"two")}
    names = written(images, manifest, known).getnames()
    assert [name for name in names if name.startswith("blobs")] == [
        f"blobs/{manifest.replace(':', '/')}",
        f"blobs/{blob(images, b'two').replace(':', '/')}",
    ]


def test_what_no_build_has_used_for_a_week_goes(images: Path) -> None:
    old, manifest = image(images, b"one", b"two", b"gone"), image(images, b"one", b"kept")
    recent = blob(images, b"recent")
    for file in (images / "blobs" / "sha256").iterdir():
        if file.name not in recent:
            os.utime(file, (0, time.time() - 8 * 24 * 3600))
    layout.prune(images, manifest)
    left = {f"sha256:{file.name}" for file in (images / "blobs" / "sha256").iterdir()}
    assert left == {*layout.digests(images, manifest), recent}
    assert old not in left
