"""Runs the program without an engine, and keeps what it registers: a plan."""
