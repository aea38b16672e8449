"""Statements about what belongs to an owner: their parameters, and the one row that they are about."""

from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from langgraph_agents_service.persistence.registry.base import NotFoundError, Owner


def owned(owner: Owner, **parameters: Any) -> dict[str, Any]:
    """Parameters of a statement that looks at what is the owner's only."""
    return {
        "owner": owner.name,
        "only": Jsonb(owner.only.document()) if owner.only else None,
        "contained": Jsonb(owner.only.contained() if owner.only else {}),
        **parameters,
    }


def one(rows: list[DictRow]) -> DictRow:
    """Raises NotFoundError."""
    if not rows:
        raise NotFoundError
    return rows[0]
