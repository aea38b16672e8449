"""The resource that is asked about, and plausible identifiers for it.

Everything here follows from the URN, so that a repeated preview shows the same ids, and no two resources share one.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: The emulated account and region. 123456789012 is the number that AWS's own documentation uses.
ACCOUNT = "123456789012"
REGION = "eu-central-1"

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Created:
    """A new resource: its id, and all of its properties by their wire names (camelCase)."""

    id: str
    outputs: dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """A resource of which something is asked."""

    name: str
    inputs: Properties
    urn: str

    def hex(self, length: int = 17, *, salt: str = "") -> str:
        """Hex digits that are this resource's own; EC2 uses 17 of them."""
        return hashlib.sha256(f"{self.urn}\0{salt}".encode()).hexdigest()[:length]

    def uuid(self, salt: str = "") -> str:
        return str(uuid.UUID(self.hex(32, salt=salt)))

    def octet(self, salt: str) -> int:
        return int(self.hex(2, salt=salt), 16)

    def get(self, key: str, default: str = "") -> str:
        """An input as text."""
        value = self.inputs.get(key)
        return default if value is None else str(value)

    def named(self, key: str = "name") -> str:
        """The name that an input gives, or the one that a prefix or the provider would lead to."""
        prefix = self.get(f"{key}Prefix") or f"{self.name}-"
        return self.get(key) or f"{prefix}{self.hex(7)}"

    @property
    def region(self) -> str:
        return self.get("region", REGION)

    def arn(self, service: str, resource: str, *, worldwide: bool = False) -> str:
        return f"arn:aws:{service}:{'' if worldwide else self.region}:{ACCOUNT}:{resource}"


@dataclass(frozen=True)
class Kind:
    """How resources of one type are answered.

    Attributes:
        id: its id.
        computed: what the provider adds, given the id; it goes over the inputs.
        secret: outputs that the provider marks as secret by itself.
        renewed: of `computed`, what an update computes anew; the rest stays as it was.
        updated: what an update makes of the former outputs, for what counts up.
    """

    id: Callable[[Subject], str]
    computed: Callable[[Subject, str], dict[str, Any]] = lambda subject, id_: {}
    secret: frozenset[str] = frozenset()
    renewed: frozenset[str] = frozenset()
    updated: Callable[[Properties], dict[str, Any]] = lambda old: {}


def keys(*names: str) -> frozenset[str]:
    return frozenset(names)
