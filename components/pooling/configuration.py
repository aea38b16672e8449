"""PgBouncer's own files: its settings and its list of logins. Pure text.

https://www.pgbouncer.org/config.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.workload.network_policies import POOLER_PORT


@dataclass(frozen=True, kw_only=True)
class PooledDatabase:
    """A database, which one login of its own uses.

    Attributes:
        name: of the database, for clients and on the server.
        connections: how many a PgBouncer has to the server for it at most.
    """

    name: str
    connections: int

    def __post_init__(self) -> None:
        if self.connections < 1:
            raise ValueError(f"connections of {self.name} is {self.connections}: it takes 1 at least")


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where PgBouncer finds what it reads.

    Attributes:
        logins: what `logins` wrote.
        server_authorities: PEM of who signed the server's certificate.
        certificate: its own, PEM.
        key: of that certificate.
        socket_folder: for the exporter of its figures.
    """

    logins: str
    server_authorities: str
    certificate: str
    key: str
    socket_folder: str


def settings(
    databases: Sequence[PooledDatabase], *, address: str, port: int, files: Files, max_clients: int
) -> str:
    """``pgbouncer.ini``: transactions share the connections, with TLS on both sides and no password in it.

    Args:
        address: the server's host name, which its certificate has to have.
        max_clients: connections of clients at most.
    """
    values: Mapping[str, object] = {
        "listen_addr": "*",
        "listen_port": POOLER_PORT,
        # There the same user is PgBouncer's administrator without a password.
        "unix_socket_dir": files.socket_folder,
        "pool_mode": "transaction",
        "max_client_conn": max_clients,
        # What is not listed has none.
        "default_pool_size": 1,
        # Statements that clients prepare are known by every connection to the server.
        "max_prepared_statements": 200,
        "auth_type": "scram-sha-256",
        "auth_file": files.logins,
        "client_tls_sslmode": "require",
        "client_tls_cert_file": files.certificate,
        "client_tls_key_file": files.key,
        "server_tls_sslmode": "verify-full",
        "server_tls_ca_file": files.server_authorities,
        # What nobody uses is given back to the server.
        "server_idle_timeout": 60,
        # A client that waited for so long gets an error, and the agent tries again.
        "query_wait_timeout": 20,
        # After a failover of the server: its new address, soon, and a silent peer is given up within half a minute.
        "server_connect_timeout": 5,
        "server_login_retry": 1,
        "dns_max_ttl": 5,
        "tcp_keepidle": 15,
        "tcp_keepintvl": 5,
        "tcp_keepcnt": 3,
        "tcp_user_timeout": 30_000,
        # The exporter of its figures sends it.
        "ignore_startup_parameters": "extra_float_digits",
        # Probes and clients come and go; errors are logged.
        "log_connections": 0,
        "log_disconnections": 0,
    }
    lines = ["[databases]"]
    lines += [
        f"{database.name} = host={address} port={port} dbname={database.name} pool_size={database.connections}"
        for database in databases
    ]
    lines += ["", "[pgbouncer]", *(f"{name} = {value}".rstrip() for name, value in values.items())]
    return "\n".join(lines) + "\n"


def logins(passwords: Mapping[str, str]) -> str:
    """``auth_file``: by login its password, by which PgBouncer knows clients and logs in to the server.

    In the clear, because SCRAM's own secrets are of no use to log in elsewhere.
    """
    return "".join(f'"{_quoted(login)}" "{_quoted(password)}"\n' for login, password in passwords.items())


def _quoted(text: str) -> str:
    return text.replace('"', '""')
