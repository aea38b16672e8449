"""What a stack file says to ``policies/``: whether it is for production, and what may break a rule for a while."""

from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from stacks.problems import SettingsError
from stacks.vocabulary import Flag, Model
from stacks.wording import field_problems

# What the engine hands over behind a day that stands without quotes.
_MIDNIGHT = " 00:00:00 +0000 UTC"


def _day(value: Any) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(value.removesuffix(_MIDNIGHT))
    except (AttributeError, ValueError):
        raise ValueError('write a day as year-month-day, such as "2027-01-31"') from None


class PolicyException(Model):
    """A rule of ``policies/`` that one resource may break until a date. After it, the stack fails."""

    rule: str
    """The rule's id, as reports name it."""
    resource: str
    """The logical name or the URN of the resource."""
    reason: Annotated[str, Field(min_length=10)]
    """Why, for those who read it later."""
    expires: Annotated[date, BeforeValidator(_day)]
    """The last day, such as "2027-01-31"."""


class PolicySettings(Model):
    """The settings that policies read. Those who read nothing else of a stack file read it as this."""

    model_config = ConfigDict(extra="ignore")

    production: Flag = False
    """Turns the production rules on, and protects what holds data."""
    policy_exceptions: tuple[PolicyException, ...] = ()
    """Production rules that single resources may break for a while."""


def policy_settings(settings: object, *, stack: str) -> PolicySettings:
    """What ``settings`` of the stack say to policies; whatever else is in them is nothing to this reader.

    Raises:
        SettingsError: one of the two is wrong.
    """
    raw = settings if isinstance(settings, dict) else {}
    try:
        return PolicySettings.model_validate(raw)
    except ValidationError as error:
        problems = list(field_problems(error, PolicySettings, raw, lambda path, value: None))
        raise SettingsError(f"Pulumi.{stack}.yaml", problems) from None
