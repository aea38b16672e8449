"""A type of a project's own, that is kept in threads."""

from dataclasses import dataclass


@dataclass
class Named:
    name: str
