"""The images of what runs beside the agents, by the digests of their indexes.

nginx and PostgreSQL are Docker's official images, whose digests stand in
https://github.com/docker-library/repo-info/tree/master/repos; pgvector's and Valkey's are their projects' own.
"""

NGINX = "nginx:1.30.5@sha256:e9f347c65f318767714e8b0eccfd6b558d00fb92630791fb6cd901fcdf7f6fdd"

VALKEY = "valkey/valkey:8.1-alpine@sha256:d2e18f3410b6f616de1417f570fa55261af2898b9c5b2cfb6781ce2373ea43d1"

POSTGRES = {
    "17": "postgres:17-trixie@sha256:f4c66b820c6f974249089d3d16d86a3698eae11e8746eb6644b2271031e91232",
    "18": "postgres:18-trixie@sha256:86c951e05bf56c93d95d397747fb8820ac76cc3bedb78f43abd83eedbe3666ae",
}
"""By PostgreSQL's major version."""

PGVECTOR = {
    "17": "pgvector/pgvector:0.8.2-pg17-trixie@sha256:5c97c57367a485a8e99389548db67d441ab1a878f5492c3df04989f34ecf3c75",
    "18": "pgvector/pgvector:0.8.2-pg18-trixie@sha256:b7337db8fe39d12fe8ecb0003c72680f24479813a744b43154eee6f2eab5a5f3",
}
"""PostgreSQL with pgvector's extension, likewise."""
