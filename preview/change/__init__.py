"""What is different between two plans, and what that does to agents, stores and callers."""
