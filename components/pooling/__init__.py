"""PgBouncer between the agents' pods and PostgreSQL."""
