"""nginx in front of the agents: balancing, limits and retries.

What is not an agent's own are the figures that the platform is specified with. Callers notice no agent that went away:
a request that could not be sent goes to another one. One that was sent is repeated only if it is idempotent, which is
nginx's rule unless `non_idempotent` is written: a POST that an agent has begun is never begun twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PORT = 8080
"""Where callers are answered."""
HEALTH_PORT = 8081
"""Where nginx itself is asked how it is, from within its container alone."""

REQUESTS_A_SECOND = 10
BURST = 20
READ_TIMEOUT = 300
"""Seconds that an agent may say nothing."""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """An agent, and who asks for it.

    Attributes:
        name: of the agent.
        hosts: the names that callers use.
        servers: addresses with their ports; a name stands for all addresses that it has.
        average: requests a second of one address, sustained.
        burst: requests of one address at once, beyond these.
        read_timeout: seconds that a stream may be silent.
        max_request_bytes: of a body.
    """

    name: str
    hosts: Sequence[str]
    servers: Sequence[str]
    average: int
    burst: int
    read_timeout: int
    max_request_bytes: int


def configuration(
    upstreams: Sequence[Upstream],
    *,
    resolver: str | None,
    port: int = PORT,
    health_port: int = HEALTH_PORT,
    folder: str = "/tmp",  # noqa: S108 (a tmpfs of the container)
) -> str:
    """The text of nginx.conf.

    Args:
        resolver: who is asked for names again and again, as containers come and go; None where servers are addresses.
        folder: the one that nginx writes to.
    """
    resolving = f"    resolver {resolver} valid=5s ipv6=off;\n" if resolver else ""
    agents = "\n".join(_agent(each, port, resolve=resolver is not None) for each in upstreams)
    return f"""\
worker_processes auto;
# Two for each connection; some machines give fewer.
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log /dev/stderr notice;

events {{
    worker_connections 4096;
}}

http {{
    # Without what stands behind the question mark, which may be anything.
    log_format plain '$remote_addr [$time_iso8601] $host "$request_method $uri" $status $body_bytes_sent '
                     '$request_time upstream="$upstream_addr" $upstream_status';
    access_log /dev/stdout plain;
    server_tokens off;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{resolving}    limit_req_status 429;

    # WebSockets ask for an upgrade; all other connections to agents are kept.
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' '';
    }}

    server {{
        listen 127.0.0.1:{health_port};
        access_log off;
        return 204;
    }}

    server {{
        listen {port} default_server;
        server_name _;
        default_type text/plain;
        return 404 "no agent has this host: its README.md lists them\\n";
    }}

{agents}}}
"""


def _agent(agent: Upstream, port: int, *, resolve: bool) -> str:
    named = " resolve" if resolve else ""
    servers = "\n".join(
        f"        server {server} max_fails=3 fail_timeout=30s{named};" for server in agent.servers
    )
    return f"""\
    limit_req_zone $binary_remote_addr zone=callers-of-{agent.name}:10m rate={agent.average}r/s;

    upstream {agent.name} {{
        zone {agent.name} 64k;
        least_conn;
{servers}
        keepalive 32;
    }}

    server {{
        listen {port};
        server_name {" ".join(agent.hosts)};
        client_max_body_size {agent.max_request_bytes};

        # Metrics stay inside.
        location ~ ^/metrics(/|$) {{
            return 404;
        }}

        location / {{
            limit_req zone=callers-of-{agent.name} burst={agent.burst} nodelay;
            proxy_pass http://{agent.name};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            # A container that is gone does not answer at all.
            proxy_connect_timeout 5s;
            proxy_read_timeout {agent.read_timeout}s;
            proxy_buffering off;
            # Without non_idempotent: a POST that was sent is never sent again.
            proxy_next_upstream error timeout http_502 http_503;
            proxy_next_upstream_tries 3;
        }}
    }}
"""
