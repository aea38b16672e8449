"""Secrets Manager entries, the keys that encrypt them, and how pods come to see them."""
