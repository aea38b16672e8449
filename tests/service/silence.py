"""Servers whose packets are dropped, as in a failover, instead of servers that close their connections."""

import os
import select
import shutil
import socket
import socketserver
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from langgraph_agents_service.ports import free_port

needed = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None, reason="dropping packets takes root and nft"
)


@contextmanager
def by_tcp(uri: str) -> Iterator[str]:
    """The URI by TCP of the embedded PostgreSQL, which listens on a Unix socket."""
    path = f"{parse_qs(urlsplit(uri).query)['host'][0]}/.s.PGSQL.5432"
    port = free_port()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as back:
                back.connect(path)
                ends = {self.request: back, back: self.request}
                with suppress(OSError):
                    while ready := select.select(list(ends), [], [])[0]:
                        for end in ready:
                            if not (data := end.recv(65536)):
                                return
                            ends[end].sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            parts = urlsplit(uri)
            login = parts.netloc.rpartition("@")[0]
            yield f"postgresql://{login}@127.0.0.1:{port}{parts.path}"
        finally:
            server.shutdown()


@contextmanager
def silent(uri: str, pid: int | None = None) -> Iterator[None]:
    """Drop every packet of the connections that a process (by default this one) has to a server on loopback; new ones
    go through."""
    port = urlsplit(uri).port
    found = psutil.Process(pid).net_connections(kind="tcp")
    ports = {str(c.laddr.port) for c in found if c.raddr and c.raddr.port == port}
    assert ports
    which = f"{{ {', '.join(sorted(ports))} }}"
    with _dropping(f"tcp dport {which}", f"tcp sport {which}"):
        yield


@contextmanager
def unreachable(uri: str) -> Iterator[None]:
    """Drop every packet to and from a server on loopback, of old connections and new ones."""
    port = urlsplit(uri).port
    with _dropping(f"tcp dport {port}", f"tcp sport {port}"):
        yield


@contextmanager
def unconnectable(uri: str) -> Iterator[None]:
    """Drop the first packet of every new connection to a server on loopback; old ones go on."""
    with _dropping(f"tcp dport {urlsplit(uri).port} tcp flags & (syn | ack) == syn"):
        yield


@contextmanager
def _dropping(*packets: str) -> Iterator[None]:
    table = f"silence_{uuid.uuid4().hex[:8]}"
    lines = "\n".join(f'    iif "lo" {packet} drop;' for packet in packets)
    rules = f"table inet {table} {{\n  chain drops {{\n    type filter hook input priority 0;\n{lines}\n  }}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)
