"""Assistants: graphs with a config, a context and metadata. Each graph has one of its own."""
