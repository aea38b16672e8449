"""Runs: create, wait for, stream, join and cancel them."""
