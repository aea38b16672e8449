"""Tells people and programs what a preview found: terminal, Markdown, HTML, JSON."""
