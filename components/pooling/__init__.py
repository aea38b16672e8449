"""PgBouncer or RDS Proxy between the agents' pods and PostgreSQL."""
