"""What the entries of Secrets Manager are called that a stack makes."""

from components.naming import PART_OF

DATABASE = "database"
POOLED_DATABASE = "database-pooled"
DATABASE_LOGIN = "database-login"
CACHE = "cache"


def secret_name(stack: str, *path: str) -> str:
    """The name of an entry of this stack: of an agent, by its first name, or of what all share."""
    return "/".join((PART_OF, stack, *path))
