"""The connection URI of a PostgreSQL database, as agents and migrations read it from their secrets."""

import pulumi

#: Where a pod finds the root certificates of RDS.
CA_FILE = "/etc/langgraph-agents/rds-ca.pem"
#: And that of PgBouncer, where there is one.
POOLER_CA_FILE = "/etc/langgraph-agents/pgbouncer-ca.pem"


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
        pulumi.Output.format(
            "postgresql://{0}:{1}@{2}:{3}/{4}?sslmode=verify-full&sslrootcert={5}",
            username,
            password,
            address,
            port,
            database,
            ca_file,
        )
    )
