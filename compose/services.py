"""A stack's services, volumes and networks as a Compose file.

Agents get what their pods get: the same variables, files, commands, sizes and checks, from the same functions.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from components.stores.cache_logins import PORT as VALKEY_PORT
from components.stores.database_uri import CA_FILE
from components.workload.container import ContainerResources
from components.workload.maintenance import RESOURCES, migrate_command, prune_command
from components.workload.serving import Serving
from compose import nginx, pins
from compose.images import AgentImage
from compose.secret_files import (
    AUTHORITY,
    FOLDER,
    PASSWORD,
    POSTGRES,
    TLS,
    USERS,
    VALKEY,
    of_migration,
    of_server,
)
from stacks.agent_runtime import further_variables, runtime_of
from stacks.agent_settings import Agent, RateLimit, Workers
from stacks.agents import container_resources
from stacks.connections import MAINTENANCE, RESERVED
from stacks.of_stack import NamedStack
from stacks.service import PORT, SECRETS_DIR
from stacks.vocabulary import quantity

NGINX = "nginx"
VOLUME = "valkey-volume"
SERVERS = (NGINX, POSTGRES, VALKEY, VOLUME)

CALLERS, STORES = "callers", "stores"
"""The networks: of whom callers reach, and of the stores, which nobody reaches from outside and who reach nobody."""

LISTEN = "${LISTEN:-127.0.0.1:8080}"
"""Where callers are answered: on this machine alone, unless it is said otherwise."""

_MIB = 2**20
_CONNECTIONS = 100
_AFTER_MIGRATION = {"condition": "service_completed_successfully"}
_HEALTHY = {"condition": "service_healthy"}
# Docker's own resolver, in every container.
_RESOLVER = "127.0.0.11"


def names_of(agent: Agent) -> list[str]:
    """The services of an agent."""
    workers = [f"{agent.name}-worker"] if agent.workers else []
    return [f"{agent.name}-migrate", agent.name, *workers, f"{agent.name}-prune"]


def compose_file(
    named: NamedStack, stack: str, images: Mapping[str, AgentImage], owner: str, nginx_conf: str
) -> dict[str, Any]:
    """The file as data.

    Args:
        images: by agent.
        owner: user and group of every container.
        nginx_conf: the text that nginx is given.
    """
    agents = named.settings.agents
    vectors = any(image.vectors for image in images.values())
    major = named.settings.database.engine_version.partition(".")[0]
    services = {
        POSTGRES: _postgres(major, vectors, _connections(agents), owner),
        VOLUME: _volume(owner),
        VALKEY: _valkey(owner),
    }
    for agent in agents:
        services |= _services(agent, named, images[agent.name], owner)
    services[NGINX] = _nginx(agents, owner, nginx_conf)
    used = sorted({each["source"] for service in services.values() for each in service.get("secrets", ())})
    paths = {_key(path): path for path in _paths(agents)}
    return {
        "name": f"langgraph-agents-{stack}",
        "services": services,
        "networks": {CALLERS: {}, STORES: {"internal": True}},
        "volumes": {POSTGRES: {}, VALKEY: {}},
        "configs": {NGINX: {"file": "./nginx.conf"}},
        "secrets": {key: {"file": f"./{FOLDER}/{paths[key]}"} for key in used},
    }


def upstreams(agents: tuple[Agent, ...]) -> list[nginx.Upstream]:
    """The agents as nginx knows them. The first one answers for the machine itself as well."""
    return [
        nginx.Upstream(
            name=agent.name,
            hosts=[agent.host, f"{agent.name}.localhost", *(["localhost", "127.0.0.1"] if first else [])],
            servers=[f"{agent.name}:{PORT}"],
            average=agent.rate_limit.average if limited else nginx.REQUESTS_A_SECOND,
            burst=agent.rate_limit.burst if limited else nginx.BURST,
            read_timeout=max(nginx.READ_TIMEOUT, agent.lifetimes.run_timeout),
            max_request_bytes=agent.max_request_bytes,
        )
        for index, agent in enumerate(agents)
        for first in [index == 0]
        for limited in [agent.rate_limit != RateLimit()]
    ]


def nginx_conf(agents: tuple[Agent, ...]) -> str:
    """The text of nginx.conf."""
    return nginx.configuration(upstreams(agents), resolver=_RESOLVER)


def _restricted(owner: str, *writable: str) -> dict[str, Any]:
    """What the restricted Pod Security Standard asks of pods, and logs that do not fill the disk."""
    return {
        "user": owner,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "logging": {"driver": "local"},
        **({"tmpfs": list(writable)} if writable else {}),
    }


def _postgres(major: str, vectors: bool, connections: int, owner: str) -> dict[str, Any]:
    # Before 18 the image's volume is the folder of the data itself, in which only its owner can be.
    data = "/var/lib/postgresql" if int(major) >= 18 else "/var/lib/postgresql/data"
    settings = {
        "ssl": "on",
        "ssl_cert_file": f"/run/secrets/{POSTGRES}.crt",
        "ssl_key_file": f"/run/secrets/{POSTGRES}.key",
        "max_connections": str(connections),
    }
    return {
        "image": (pins.PGVECTOR if vectors else pins.POSTGRES)[major],
        "command": ["postgres", *(part for pair in settings.items() for part in ("-c", "=".join(pair)))],
        **_restricted(owner, "/tmp:mode=1777", "/var/run/postgresql:mode=1777"),  # noqa: S108
        "shm_size": "256m",
        "environment": {
            "POSTGRES_USER": POSTGRES,
            "POSTGRES_PASSWORD_FILE": f"/run/secrets/{PASSWORD}",
            "PGDATA": f"{data}/{major}/docker",
        },
        "secrets": [
            _secret(PASSWORD, f"/run/secrets/{PASSWORD}"),
            *_certificate(POSTGRES),
        ],
        "volumes": [f"{POSTGRES}:{data}"],
        "networks": [STORES],
        # By TCP: while the data is made, the server answers at its socket alone.
        "healthcheck": _check(
            ["CMD", "pg_isready", "--quiet", "--host", "127.0.0.1", "--username", POSTGRES], seconds=10
        ),
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
    }


def _volume(owner: str) -> dict[str, Any]:
    """Gives Valkey's volume, which is root's when Docker makes it, to who writes there."""
    return {
        "image": pins.VALKEY,
        "entrypoint": ["chown", owner, "/data"],
        **_restricted("0:0"),
        "cap_add": ["CHOWN"],
        "volumes": [f"{VALKEY}:/data"],
        "network_mode": "none",
        "restart": "no",
    }


def _valkey(owner: str) -> dict[str, Any]:
    authority = "/run/secrets/ca.crt"
    options = {
        "port": "0",
        "tls-port": str(VALKEY_PORT),
        "tls-cert-file": f"/run/secrets/{VALKEY}.crt",
        "tls-key-file": f"/run/secrets/{VALKEY}.key",
        "tls-ca-cert-file": authority,
        "tls-auth-clients": "no",
        "aclfile": f"/run/secrets/{USERS}",
        "dir": "/data",
        "appendonly": "yes",
    }
    ping = f"valkey-cli --tls --cacert {authority} -h localhost ping | grep -q PONG"
    return {
        "image": pins.VALKEY,
        "command": [
            "valkey-server",
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ],
        **_restricted(owner),
        "secrets": [
            _secret(USERS, f"/run/secrets/{USERS}"),
            _secret(AUTHORITY, authority),
            *_certificate(VALKEY),
        ],
        "volumes": [f"{VALKEY}:/data"],
        "networks": [STORES],
        "depends_on": {VOLUME: _AFTER_MIGRATION},
        "healthcheck": _check(["CMD-SHELL", ping], seconds=10),
        "restart": "unless-stopped",
    }


def _services(agent: Agent, named: NamedStack, image: AgentImage, owner: str) -> dict[str, Any]:
    runtime = runtime_of(agent, production=named.settings.production)
    further = further_variables(agent, named.region)
    migrate = f"{agent.name}-migrate"
    scratch = agent.pod.ephemeral_storage or "64Mi"
    folders = {"/tmp": scratch} | {  # noqa: S108
        volume.mount_path: volume.empty_dir.size_limit for volume in agent.pod.volumes if volume.empty_dir
    }
    common = {
        **_image(image),
        **_restricted(
            owner,
            *(f"{path}:size={int(quantity(size))},mode=1777" for path, size in folders.items()),
        ),
        "networks": [CALLERS, STORES],
    }
    of_stores = {POSTGRES: _HEALTHY, VALKEY: _HEALTHY}
    server = {
        **common,
        "environment": _literal({**runtime.variables, **further}),
        "secrets": _files(of_server(agent)),
    }
    maintenance = {"restart": "no", "deploy": {"resources": _resources(RESOURCES)}}
    services = {
        migrate: {
            **server,
            "entrypoint": migrate_command(),
            "secrets": _files(of_migration(agent)),
            "depends_on": {POSTGRES: _HEALTHY},
            **maintenance,
        },
        agent.name: {
            **server,
            "depends_on": {migrate: _AFTER_MIGRATION, **of_stores},
            **_fleet(agent, agent, runtime.serving),
        },
    }
    if agent.workers:
        services[f"{agent.name}-worker"] = {
            **server,
            "environment": _literal({**runtime.worker_variables, **further}),
            "depends_on": {migrate: _AFTER_MIGRATION, **of_stores},
            **_fleet(agent, agent.workers, runtime.worker_serving),
        }
    services[f"{agent.name}-prune"] = {
        **server,
        "entrypoint": prune_command(agent.retention.idle_days),
        "depends_on": of_stores,
        "profiles": ["prune"],
        **maintenance,
    }
    return services


def _fleet(agent: Agent, fleet: Agent | Workers, serving: Serving) -> dict[str, Any]:
    ask = (
        f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}{serving.health}', timeout=4)"
    )
    return {
        "healthcheck": _check(["CMD", "python", "-c", ask], seconds=30, retries=3, start="120s"),
        "restart": "unless-stopped",
        "stop_grace_period": f"{agent.lifetimes.grace_period}s",
        "deploy": {
            "replicas": _replicas(fleet),
            "resources": _resources(container_resources(fleet.resources)),
        },
    }


def _replicas(fleet: Agent | Workers) -> int:
    """The fewest that the stack has; nobody starts the first one here when there is work."""
    return max(1, fleet.replicas.min)


def _nginx(agents: tuple[Agent, ...], owner: str, conf: str) -> dict[str, Any]:
    return {
        "image": pins.NGINX,
        "entrypoint": ["nginx", "-g", "daemon off;"],
        **_restricted(owner, "/tmp:mode=1777"),  # noqa: S108
        "configs": [{"source": NGINX, "target": "/etc/nginx/nginx.conf"}],
        # Another text makes another container.
        "labels": {"checksum/config": hashlib.sha256(conf.encode()).hexdigest()},
        "ports": [f"{LISTEN}:{nginx.PORT}"],
        "networks": [CALLERS],
        "depends_on": {agent.name: _HEALTHY for agent in agents},
        "healthcheck": _check(
            [
                *("CMD", "curl", "--fail", "--silent", "--output", "/dev/null"),
                f"http://127.0.0.1:{nginx.HEALTH_PORT}/",
            ],
            seconds=10,
        ),
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
    }


def _image(image: AgentImage) -> dict[str, Any]:
    return {"image": image.name, **({"build": {"context": image.context}} if image.context else {})}


def _check(test: list[str], *, seconds: int, retries: int = 5, start: str = "60s") -> dict[str, Any]:
    return {
        "test": test,
        "interval": f"{seconds}s",
        "timeout": "5s",
        "retries": retries,
        "start_period": start,
        "start_interval": "1s",
    }


def _connections(agents: tuple[Agent, ...]) -> int:
    """What PostgreSQL has to take: every container's pool, what keeps the databases, and a few for people."""
    pools = sum(_replicas(fleet) * fleet.pool.max_size for agent in agents for fleet in agent.fleets.values())
    return max(_CONNECTIONS, pools + MAINTENANCE * len(agents) + RESERVED)


def _resources(resources: ContainerResources) -> dict[str, Any]:
    def each(cpu: str, memory: str) -> dict[str, str]:
        size = int(quantity(memory))
        shown = f"{size // _MIB}m" if size % _MIB == 0 else f"{size}b"
        return {"cpus": f"{quantity(cpu).normalize():f}", "memory": shown}

    return {
        "limits": each(resources.cpu_limit, resources.memory_limit),
        "reservations": each(resources.cpu_request, resources.memory_request),
    }


def _literal(variables: Mapping[str, str]) -> dict[str, str]:
    """Values in which Compose replaces nothing."""
    return {name: value.replace("$", "$$") for name, value in sorted(variables.items())}


def _files(paths: Mapping[str, str]) -> list[dict[str, str]]:
    """Files where agents look for their secrets, and whom their stores' certificates are signed by."""
    return [
        *(_secret(path, f"{SECRETS_DIR}/{name}") for name, path in paths.items()),
        _secret(AUTHORITY, CA_FILE),
    ]


def _certificate(host: str) -> list[dict[str, str]]:
    return [_secret(f"{TLS}/{host}.{kind}", f"/run/secrets/{host}.{kind}") for kind in ("crt", "key")]


def _secret(path: str, target: str) -> dict[str, str]:
    return {"source": _key(path), "target": target}


def _paths(agents: tuple[Agent, ...]) -> list[str]:
    of_servers = [f"{TLS}/{host}.{kind}" for host in (POSTGRES, VALKEY) for kind in ("crt", "key")]
    of_agents = [
        path for agent in agents for path in (*of_server(agent).values(), *of_migration(agent).values())
    ]
    return [AUTHORITY, PASSWORD, USERS, *of_servers, *of_agents]


def _key(path: str) -> str:
    """The name of a secret in the file."""
    return path.replace("/", "-")
