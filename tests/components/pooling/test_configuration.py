"""What PgBouncer is told: its settings and its logins."""

from configparser import ConfigParser
from typing import Any

import pytest

from components.pooling.configuration import Files, PooledDatabase, logins, settings

FILES = Files(
    logins="/secrets/userlist.txt",
    server_authorities="/authorities/rds-ca.pem",
    certificate="/tls/tls.crt",
    key="/tls/tls.key",
    socket_folder="/run/pgbouncer",
)


def read(**changes: Any) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    databases = [
        PooledDatabase(name="support", connections=12),
        PooledDatabase(name="research", connections=1),
    ]
    parser.read_string(
        settings(
            databases,
            **{"address": "db.internal", "port": 5432, "files": FILES, "max_clients": 90, **changes},
        )
    )
    return parser


def test_each_database_has_its_share_of_the_connections_and_no_other_has_one() -> None:
    found = dict(read()["databases"])
    assert found == {
        "support": "host=db.internal port=5432 dbname=support pool_size=12",
        "research": "host=db.internal port=5432 dbname=research pool_size=1",
    }
    assert read()["pgbouncer"]["max_client_conn"] == "90"


def test_both_sides_are_encrypted_and_the_server_has_to_prove_who_it_is() -> None:
    found = read()["pgbouncer"]
    assert (found["server_tls_sslmode"], found["server_tls_ca_file"]) == (
        "verify-full",
        FILES.server_authorities,
    )
    assert (found["client_tls_sslmode"], found["client_tls_key_file"]) == ("require", FILES.key)


def test_transactions_share_connections_and_what_clients_prepare_is_known_on_each() -> None:
    found = read()["pgbouncer"]
    assert found["pool_mode"] == "transaction"
    assert int(found["max_prepared_statements"]) > 0


def test_a_password_is_written_as_pgbouncer_reads_it() -> None:
    assert logins({"support": 'a"b', "research": "c"}) == '"support" "a""b"\n"research" "c"\n'


def test_a_database_without_a_connection_is_refused() -> None:
    with pytest.raises(ValueError, match="1 at least"):
        PooledDatabase(name="support", connections=0)
