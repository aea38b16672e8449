"""The secrets of a stack as files below `secrets/`, each of which is made once and then belongs to its reader.

What a stack generates is generated; what somebody has to write stands there as an empty file. The servers' certificates
are signed by an authority of the folder's own, since agents in production refuse stores without TLS.
"""

import hashlib
import os
import secrets
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from components.stores.cache_logins import cache_uri
from components.stores.cache_users import access_string
from components.stores.database_uri import CA_FILE, database_uri_text
from components.workload.pod import USER_ID
from sandbox.cluster.authority import SERVER, Authority
from sandbox.common.state import write_private
from stacks.agent_secrets import identifier
from stacks.agent_settings import Agent
from stacks.service import DATABASE_ADMIN_URI, DATABASE_URI, REDIS_URI
from stacks.vocabulary import SecretSource

FOLDER = "secrets"
POSTGRES = "postgres"
"""PostgreSQL's host, and its administrator."""
VALKEY = "valkey"

TLS = "tls"
AUTHORITY = f"{TLS}/ca.crt"
PASSWORD = "postgres-password"  # noqa: S105 (a file's name)
USERS = "valkey-users.acl"

_PORT = 5432
_LIFETIME = timedelta(days=3650)
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Unfilled:
    """A file that somebody has to write a value into."""

    agent: str
    name: str
    path: str
    """Within the written folder."""


def of_server(agent: Agent) -> dict[str, str]:
    """The files of the containers that serve: paths within `secrets/` by the names that they have there."""
    names = (DATABASE_URI, REDIS_URI, *(secret.name for secret in agent.secrets))
    return {name: f"{agent.data_name}/{name}" for name in names}


def of_migration(agent: Agent) -> dict[str, str]:
    """Likewise of the migration, which alone may act as PostgreSQL's administrator."""
    return {DATABASE_URI: f"{agent.data_name}/{DATABASE_URI}", DATABASE_ADMIN_URI: DATABASE_ADMIN_URI}


def keep(folder: Path, agents: Sequence[Agent]) -> list[Unfilled]:
    """Make what is not there yet, for its owner alone, and change nothing that is.

    Args:
        folder: `secrets/`.

    Returns:
        What is empty.
    """
    _folder(folder)
    _folder(folder / TLS)
    authority = Authority(folder / TLS, "langgraph-agents", lifetime=_LIFETIME)
    for host in (POSTGRES, VALKEY):
        if not (folder / TLS / f"{host}.key").exists():
            authority.issue(host, purposes=[SERVER], common_name=host, alternatives=[host, "localhost"])
    admin = _kept(folder / PASSWORD, _password)
    _kept(
        folder / DATABASE_ADMIN_URI,
        lambda: database_uri_text(
            username=POSTGRES, password=admin, address=POSTGRES, port=_PORT, database=POSTGRES
        ),
    )
    users, unfilled = ["user default reset on nopass -@all +ping"], []
    for agent in agents:
        _folder(folder / agent.data_name)
        uri = _stores(folder / agent.data_name, agent)
        users.append(_user(agent, uri))
        unfilled += list(_own(folder, agent))
    # No value of its own is in it: the users' passwords are those of their URIs.
    write_private(folder / USERS, "\n".join([*users, ""]))
    for path in folder.rglob("*"):
        _give(path)
    return unfilled


def _stores(folder: Path, agent: Agent) -> str:
    """The URIs of an agent's stores; returns that of the cache."""
    login = identifier(agent.data_name)
    _kept(
        folder / DATABASE_URI,
        lambda: database_uri_text(
            username=login, password=_password(), address=POSTGRES, port=_PORT, database=login
        ),
    )
    return _kept(
        folder / REDIS_URI,
        lambda: f"{cache_uri(agent.data_name, _password(), VALKEY)}?ssl_ca_certs={CA_FILE}",
    )


def _own(folder: Path, agent: Agent) -> Iterator[Unfilled]:
    for secret in agent.secrets:
        path = folder / agent.data_name / secret.name
        generated = secret.source is SecretSource.GENERATED
        if not _kept(path, _password if generated else str):
            yield Unfilled(agent.name, secret.name, f"{FOLDER}/{path.relative_to(folder)}")


def _user(agent: Agent, uri: str) -> str:
    digest = hashlib.sha256((urlsplit(uri).password or "").encode()).hexdigest()
    return f"user {agent.data_name} {access_string(agent.key_prefix)} #{digest}"


def _kept(path: Path, make: Callable[[], str]) -> str:
    """What a file says; it is made now if it is not there."""
    if not path.exists():
        write_private(path, make())
    return path.read_text().strip()


def _password() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(40))


def _folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def owner() -> str:
    """The user and group that containers run as, so that files for their owner alone can be read in them: who writes
    them, or the image's own user where that is root."""
    return f"{USER_ID}:{USER_ID}" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"


def _give(path: Path) -> None:
    path.chmod(0o700 if path.is_dir() else 0o600)
    if os.getuid() == 0:
        os.chown(path, USER_ID, USER_ID)
