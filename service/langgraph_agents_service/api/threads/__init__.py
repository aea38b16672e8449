"""Threads: conversations, their states and their past."""
