"""A Helm chart of one agent: the program's own objects, with values where a stack file has settings."""
