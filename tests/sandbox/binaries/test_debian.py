"""Debian's packages in the cache: what is pinned and nothing else, and programs that run from there."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sandbox.binaries import debian
from sandbox.common.errors import SandboxError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux runs what Debian builds")

MACHINE = os.uname().machine
ARCHITECTURE = debian.ARCHITECTURES.get(MACHINE, "amd64")


def deb(files: Mapping[str, bytes | Path]) -> bytes:
    """A package with these files: their content, or a file of this machine."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            read = content if isinstance(content, bytes) else content.read_bytes()
            member.size, member.mode = len(read), 0o755
            archive.addfile(member, io.BytesIO(read))
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w:xz").close()
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": empty.getvalue(), "data.tar.xz": data.getvalue()}
    whole = b"!<arch>\n"
    for name, part in parts.items():
        whole += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}`\n".encode()
        whole += part + b"\n" * (len(part) % 2)
    return whole


class Mirror:
    """An archive that is served on this machine."""

    def __init__(self, folder: Path, server: ThreadingHTTPServer) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def put(self, path: str, content: bytes) -> str:
        """Serve a file; returns the line that pins it."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(content)
        return f"{ARCHITECTURE} {path} {len(content)} {hashlib.sha256(content).hexdigest()}\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what is asked for is no output of a test."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Mirror":
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    mirror = Mirror(folder, server)
    monkeypatch.setattr(debian, "_MIRROR", mirror.url)
    monkeypatch.setattr(debian, "_SNAPSHOTS", f"{mirror.url}/snapshots")
    monkeypatch.setattr(debian, "_APT", tmp_path / "no-apt")
    monkeypatch.setattr(debian, "_KEYRING", tmp_path / "no-keyring")
    monkeypatch.setattr(debian, "PINS", tmp_path / "debian.txt")
    monkeypatch.setattr(debian, "_PROGRAMS", ())
    return mirror


LOADER = "usr/lib/x-linux-gnu/ld-linux-x.so.2"
PATH = "debian/pool/main/h/hello/hello_1_all.deb"


def pin(*lines: str) -> None:
    debian.PINS.write_text("".join(["# Debian trixie at 20261127T000000Z.\n", *lines]))


def test_what_is_pinned_is_unpacked_without_what_nobody_reads(mirror: Mirror, tmp_path: Path) -> None:
    files = {"usr/share/hello/word": b"hello", "usr/share/doc/hello/copyright": b"x", LOADER: b""}
    pin(mirror.put(PATH, deb(files)))
    root = debian.ensure(tmp_path / "cache").root
    assert (root / "usr/share/hello/word").read_text() == "hello"
    assert not (root / "usr/share/doc").exists()
    # Once.
    shutil.rmtree(mirror.folder)
    assert debian.ensure(tmp_path / "cache").root == root


def test_a_file_that_is_not_what_is_pinned_is_taken_from_another_source_or_not_at_all(
    mirror: Mirror, tmp_path: Path
) -> None:
    good = deb({"usr/share/hello/word": b"hello", LOADER: b""})
    line = mirror.put(PATH, good)
    pin(line)
    mirror.put(PATH, b"something else")
    with pytest.raises(SandboxError, match="what it sends is not what is pinned") as refused:
        debian.ensure(tmp_path / "cache")
    assert PATH in str(refused.value)
    assert not list((tmp_path / "cache").glob("debian-*[0-9a-f]"))
    mirror.put("snapshots/debian/20261127T000000Z/pool/main/h/hello/hello_1_all.deb", good)
    assert (debian.ensure(tmp_path / "cache").root / "usr/share/hello/word").exists()


def test_the_machines_own_mirror_is_asked_first(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_APT", tmp_path / "apt")
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "apt" / "sources.list").write_text(
        "# deb http://old.example.com/debian trixie main\n"
        "deb [signed-by=/x] http://near.example.com/debian/ trixie main\n"
        "deb http://near.example.com/ubuntu noble main\n"
    )
    (tmp_path / "apt" / "sources.list.d" / "x.sources").write_text(
        "Types: deb\nURIs: https://far.example.com/debian-security\n"
    )
    pin()
    first, *rest = debian.mirrors("debian")
    assert first == "http://near.example.com/debian"
    assert rest == [f"{mirror.url}/debian", f"{mirror.url}/snapshots/debian/20261127T000000Z"]
    assert debian.mirrors("debian-security")[0] == "https://far.example.com/debian-security"


@pytest.mark.skipif(MACHINE not in debian.ARCHITECTURES, reason="a machine that the packages are not for")
def test_an_unpacked_program_runs_with_the_loader_and_the_libraries_that_came_with_it(
    mirror: Mirror, tmp_path: Path
) -> None:
    told = subprocess.run(["ldd", "/usr/bin/env"], capture_output=True, text=True, check=True).stdout
    libraries = [Path(path) for path in re.findall(r"(/\S+) \(", told)]
    files: dict[str, bytes | Path] = {"usr/bin/env": Path("/usr/bin/env"), "usr/bin/script": b"#!/bin/sh\n"}
    files |= {f"usr/lib/{MACHINE}-linux-gnu/{path.name}": path for path in libraries}
    pin(mirror.put(PATH, deb(files)))
    root = debian.ensure(tmp_path / "cache").root
    with subprocess.Popen([root / "usr/bin/env", "sleep", "0"], stdout=subprocess.PIPE) as started:
        assert started.wait() == 0
    listed = subprocess.run(
        [root / "usr/bin/env"],
        env={"LD_TRACE_LOADED_OBJECTS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    used = set(re.findall(r"(/\S+) \(", listed.stdout))
    assert used == {str(root / "usr/lib" / f"{MACHINE}-linux-gnu" / path.name) for path in libraries}


@pytest.mark.parametrize("architecture", debian.ARCHITECTURES.values())
def test_every_package_that_is_named_is_pinned_for_every_architecture(architecture: str) -> None:
    assert sorted(p.name for p in debian.pinned(architecture)) == sorted(debian.names())
