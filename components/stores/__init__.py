"""What keeps data: RDS PostgreSQL and ElastiCache, and the logins of each agent."""
