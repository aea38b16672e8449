"""Names that AWS and Kubernetes limit in length, and the labels that every Kubernetes object carries."""

import hashlib
from collections.abc import Mapping

# Hex digits of SHA-256 that a shortened name ends with: 32 bits, so that among 1,000 shortened names of one
# account two collide with a chance of about one in 9,000.
_HASH_DIGITS = 8

#: The longest name that each kind of resource may have, from the services' own references.
LOAD_BALANCER_NAME = 32
ELASTICACHE_REPLICATION_GROUP_ID = 40
DNS_LABEL = 63
RDS_IDENTIFIER = 63
IAM_ROLE_NAME = 64

PART_OF = "langgraph-agents"

#: The labels of a namespace that admits only pods of the restricted Pod Security Standard.
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


def safe_name(*parts: str, limit: int) -> str:
    """Join ``parts`` by ``-`` into a name of at most ``limit`` characters.

    A name that fits is kept as it is. A longer one is cut, and ends with a hash of the whole, so that two
    different long names never become the same short one.

    Raises:
        ValueError: no parts, an empty part, or a limit that has no room for a letter and the hash.
    """
    if not parts or not all(parts):
        raise ValueError(f"a name needs non-empty parts, got {parts!r}")
    if limit < _HASH_DIGITS + 2:
        raise ValueError(f"limit is {limit}: a shortened name needs at least {_HASH_DIGITS + 2} characters")
    whole = "-".join(parts)
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{whole[: limit - _HASH_DIGITS - 1].rstrip('-')}-{digest}"


def selector_labels(*, name: str, component: str) -> dict[str, str]:
    """The labels that select an object's pods. They never change: a selector is immutable.

    Args:
        name: the application, for an agent its name.
        component: the role within it, such as ``server`` or ``migrate``.
    """
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": component,
    }


def labels(*, name: str, component: str, instance: str) -> dict[str, str]:
    """The recommended ``app.kubernetes.io/*`` labels of an object; ``instance`` is the stack's name."""
    return {
        **selector_labels(name=name, component=component),
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": "pulumi",
    }


def config_hash(data: Mapping[str, str]) -> str:
    """A short, stable hash of a mapping, for the annotation that rolls pods when their configuration changes."""
    canonical = "\0".join(f"{key}\0{data[key]}" for key in sorted(data))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
