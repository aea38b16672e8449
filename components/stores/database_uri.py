"""The connection URI of a PostgreSQL database, as agents and migrations read it from their secrets."""

import pulumi

#: Where a pod finds the root certificates of RDS.
CA_FILE = "/etc/langgraph-agents/rds-ca.pem"
#: And those of who signs for PgBouncer and for RDS Proxy, where there is one.
PGBOUNCER_CA_FILE = "/etc/langgraph-agents/pgbouncer-ca.pem"
RDS_PROXY_CA_FILE = "/etc/langgraph-agents/amazon-roots.pem"


def database_uri_text(
    *, username: str, password: str, address: str, port: int, database: str, ca_file: str = CA_FILE
) -> str:
    """A libpq URI; its arguments are those of `database_uri`."""
    return f"postgresql://{username}:{password}@{address}:{port}/{database}?sslmode=verify-full&sslrootcert={ca_file}"


def database_uri(
    *,
    username: str,
    password: pulumi.Input[str],
    address: pulumi.Input[str],
    port: pulumi.Input[int],
    database: str,
    ca_file: str = CA_FILE,
) -> pulumi.Output[str]:
    """A libpq URI, secret; the server has to prove who it is by a certificate from ``ca_file``.

    Args:
        username: letters, digits and underscores, so that nothing has to be escaped.
        password: likewise.
    """
    return pulumi.Output.secret(
        pulumi.Output.all(password, address, port).apply(
            lambda known: database_uri_text(
                username=username,
                password=known[0],
                address=known[1],
                port=known[2],
                database=database,
                ca_file=ca_file,
            )
        )
    )
