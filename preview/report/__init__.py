"""Writes what a preview found, for people and for programs: terminal, Markdown, HTML, JSON."""
