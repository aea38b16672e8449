"""The building blocks of the platform: one ComponentResource a file, each usable alone.

A component reads no ambient state: everything that it needs comes in by its args (frozen, keyword-only
dataclasses), and what others need of it goes out by a few typed attributes.
"""
