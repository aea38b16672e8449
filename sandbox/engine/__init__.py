"""Pulumi's engine at work on a stack: its file, its deployment, its events and its checkpoint."""
