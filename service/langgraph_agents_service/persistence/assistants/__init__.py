"""Assistants: graphs with a config, a context and metadata, in versions."""
