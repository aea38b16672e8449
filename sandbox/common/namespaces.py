"""The node's own network, mount, process, IPC and host name namespaces.

Their first process is all that holds them: when it ends, the kernel ends every process within, and mounts, links and
packet filter rules go with them. Only the control groups lie outside, under a name of the sandbox's own.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from sandbox.common import processes
from sandbox.common.addresses import Addresses
from sandbox.common.errors import SandboxError
from sandbox.common.state import State

ROLE = "namespaces"

# The node mounts file systems of its own there, which would hide a checkout or a cache below them.
HIDDEN = (Path("/run"), Path("/var/lib"), Path("/var/log"))

_CGROUPS = Path("/sys/fs/cgroup")
_LINK_INSIDE = "node0"
_SECONDS = 10.0

# A kubelet demands these of the kernel, for the whole machine. It is shown the values that it wants; the machine keeps
# its own, so that there is nothing to restore.
_DEMANDED = {
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxbytes": 25_000_000,
    "kernel/keys/root_maxkeys": 1_000_000,
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
}

# Run by the first process. catatonit then takes its place: it reaps what is orphaned, and otherwise sleeps.
_SETUP = f"""
set -eu
for folder in {" ".join(map(str, HIDDEN))}; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
mkdir /run/lock /run/cgroup /run/demanded
# A new sysfs shows the new network; the control groups stay those of the machine.
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount --lazy /run/cgroup
{
    "".join(
        f'''
echo {value} > /run/demanded/{setting.replace("/", ".")}
[ ! -e /proc/sys/{setting} ] || mount --bind /run/demanded/{setting.replace("/", ".")} /proc/sys/{setting}
'''
        for setting, value in _DEMANDED.items()
    )
}
echo 1 > /proc/sys/net/ipv4/ip_forward
# The machine's name servers are out of reach from here: asked for a registry, they would be waited for.
resolver=$(readlink --canonicalize-missing /etc/resolv.conf)
case "$resolver" in /run/*) mkdir --parents "$(dirname "$resolver")" && touch "$resolver" ;; esac
if [ -e "$resolver" ]; then
  # As in a pod: what runs beside them knows Services by the same names.
  printf 'nameserver %s\\nsearch cluster.local\\noptions ndots:5\\n' "$2" > /run/resolver
  mount --bind /run/resolver "$resolver"
fi
ip link set lo up
hostname "$1"
touch /run/ready
exec catatonit -P
"""


class Namespaces:
    """The namespaces of one sandbox."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def _name(self) -> str:
        """Of what is visible from outside; a link's name has 15 characters at most."""
        return f"lga-{self._state.id[:8]}"

    @property
    def cgroup(self) -> str:
        """The control group that all of the node's pods are in."""
        return f"/{self._name}"

    @property
    def sockets(self) -> Path:
        """A folder outside for what this machine talks to; a socket's path has about a hundred characters at most."""
        return Path("/run") / self._name

    @property
    def enter(self) -> tuple[str, ...]:
        """The command that starts another one to live within, and to end with them.

        Raises:
            SandboxError: they are not there.
        """
        return self._nsenter("--net", "--mount", "--pid", "--ipc", "--uts")

    @property
    def visit(self) -> tuple[str, ...]:
        """The command that runs another one within, for one that ends by itself.

        It becomes that command. To enter a process namespace it would have to wait for a child, and would stay stopped
        for good when both are stopped and continued, as happens when a machine is suspended.

        Raises:
            SandboxError: they are not there.
        """
        return self._nsenter("--net", "--mount", "--ipc", "--uts")

    def _nsenter(self, *kinds: str) -> tuple[str, ...]:
        first = self._first()
        if first is None:
            raise SandboxError("the node's namespaces are gone: run `make up` again")
        return ("nsenter", f"--target={first.pid}", *kinds, "--")

    def exist(self) -> bool:
        """Whether their first process lives."""
        return self._first() is not None

    def start(self, hostname: str, addresses: Addresses) -> None:
        """Make them, with a link to this machine.

        Raises:
            SandboxError: they could not be made; with the words of whatever refused.
        """
        for group in _cgroups():
            (group / self._name).mkdir(exist_ok=True)
        log = self._state.logs / f"{ROLE}.log"
        log.unlink(missing_ok=True)
        kinds = ["--net", "--mount", "--pid", "--ipc", "--uts", "--propagation=private"]
        command = [
            "unshare",
            *kinds,
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            _SETUP,
            "sh",
            hostname,
            str(addresses.dns),
        ]
        started = processes.start(self._state.id, ROLE, command, log)
        deadline = time.monotonic() + _SECONDS
        while (first := self._first()) is None:
            if started.poll() is not None or time.monotonic() > deadline:
                raise SandboxError(f"the node's namespaces could not be made:\n  {log.read_text().strip()}")
            time.sleep(0.02)
        self._connect(first.pid, addresses)

    def add_address(self, address: str) -> None:
        """Give the node another address; no error when it has it."""
        _run([*self.visit, "ip", "address", "replace", f"{address}/32", "dev", "lo"])

    def stop(self) -> None:
        """End every process within, and remove what lies outside. It is no error when nothing is there."""
        first = self._first()
        if first is not None:
            processes.kill([first])
        processes.end_wrappers(self._state.id)
        # The link would go with the namespace, but some moments later.
        subprocess.run(["ip", "link", "delete", self._name], capture_output=True, check=False)
        for group in _cgroups():
            _remove(group / self._name)
        shutil.rmtree(self.sockets, ignore_errors=True)

    def _first(self) -> psutil.Process | None:
        """The process that holds the namespaces, once it is done with their making."""
        found = processes.running(self._state.id).get(ROLE, [])
        return next((process for process in found if processes.name(process) == "catatonit"), None)

    def _connect(self, first: int, addresses: Addresses) -> None:
        inside, block, machine = _LINK_INSIDE, addresses.block, addresses.machine
        peer = ["peer", "name", inside, "netns", str(first)]
        _run(["ip", "link", "add", self._name, "type", "veth", *peer])
        _run(["ip", "address", "add", f"{machine}/24", "dev", self._name])
        _run(["ip", "link", "set", self._name, "up"])
        within = [*self.visit, "ip"]
        _run([*within, "address", "add", f"{addresses.node}/24", "dev", inside])
        _run([*within, "link", "set", inside, "up"])
        _run([*within, "route", "add", "default", "via", str(machine)])
        self.add_address(str(addresses.dns))
        self.add_address(str(addresses.ingress))
        # Goes with the link. Pods, Services and stores are all behind it.
        _run(["ip", "route", "add", str(block), "via", str(addresses.node)])


def _cgroups() -> Iterator[Path]:
    """The roots of the hierarchies of control groups: one with version 2, one for each controller before."""
    if (_CGROUPS / "cgroup.controllers").exists():
        yield _CGROUPS
        return
    for folder in sorted(_CGROUPS.iterdir()):
        if folder.is_dir() and not folder.is_symlink():
            yield folder


def _remove(group: Path) -> None:
    """Remove a control group and those within, as soon as the last processes are out of them."""
    deadline = time.monotonic() + _SECONDS
    while group.exists():
        for inner in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            _try_rmdir(inner)
        _try_rmdir(group)
        if time.monotonic() > deadline:
            raise SandboxError(
                f"{group} still holds processes: end them (see its cgroup.procs), then `make down`"
            )
        if group.exists():
            time.sleep(0.1)


def _try_rmdir(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        return


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        program = shutil.which(command[0]) or command[0]
        raise SandboxError(f"{program} {' '.join(command[1:])} failed: {done.stderr.strip()}")
