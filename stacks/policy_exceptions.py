"""What a stack file says of a production rule that one resource may break for a while."""

from datetime import date
from typing import Annotated

from pydantic import Field

from stacks.vocabulary import Model


class PolicyException(Model):
    """A rule of ``policies/`` that one resource may break until a date. After it, the stack fails."""

    rule: str
    """The rule's id, as reports name it."""
    resource: str
    """The logical name or the URN of the resource."""
    reason: Annotated[str, Field(min_length=10)]
    """Why, for those who read it later."""
    expires: date
    """The last day, in quotes: "2027-01-31"."""
