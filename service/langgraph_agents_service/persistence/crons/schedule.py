"""When a cron is due: five fields as crontab has them, in the time of a zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class ScheduleError(ValueError):
    """A schedule or a time zone that nobody knows. The message says what to write."""


def following(schedule: str, timezone: str | None, after: datetime) -> datetime | None:
    """The first moment after this one at which the schedule is due, in UTC; None if there is none. Raises
    ScheduleError.

    Where clocks are put back, a fixed time of the day is due once and `*` in every hour that passes; where they are put
    forward, what falls into the gap is due as much later.
    """
    fields = ALIASES.get(schedule.strip(), schedule)
    if len(fields.split()) != 5:
        raise ScheduleError(
            f"{schedule!r} has to have five fields (minute, hour, day of month, month, day of week), "
            f"e.g. '0 9 * * 1-5', or to be one of {', '.join(ALIASES)}"
        )
    local = after.astimezone(zone(timezone))
    minute, hour, *_ = fields.split()
    fixed = "*" not in minute + hour
    try:
        # Over local times without their zone, in which each comes once; or over time as it passes.
        times = croniter(fields, local.replace(tzinfo=None) if fixed else local)
        while True:
            found: datetime = times.get_next(datetime)
            found = found.replace(tzinfo=local.tzinfo).astimezone(UTC) if fixed else found.astimezone(UTC)
            if found > after:
                return found
    except CroniterBadDateError:
        return None
    except (CroniterError, ValueError, KeyError) as error:
        raise ScheduleError(f"{schedule!r} is no schedule ({error}); write e.g. '0 9 * * 1-5'") from None


def zone(name: str | None) -> ZoneInfo:
    """UTC for None. Raises ScheduleError."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(
            f"{name!r} is no time zone; write an IANA name, e.g. 'America/New_York'"
        ) from None
