"""Which five cron fields a CronJob can be given: as Kubernetes' own parser reads them, github.com/robfig/cron v3."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# The longest that each month is in any year.
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

# Name, least and greatest value, and names of values beginning with the least. Sunday is 0 and never 7.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_ANY = ("*", "?")


def check_schedule(schedule: str) -> None:
    """Refuse what no clock shows.

    Raises:
        ValueError: another number of fields, a field out of its bounds, or a date that no year has.
    """
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise ValueError('write five cron fields in quotes, such as "17 3 * * *" for 03:17 UTC daily')
    values = [_values(text, *field) for text, field in zip(fields, _FIELDS, strict=True)]
    _, _, days, months, _ = values
    # With both days given, either is enough.
    by_date_alone = fields[2] not in _ANY and fields[4] in _ANY
    if by_date_alone and all(min(days) > _LENGTHS[month - 1] for month in months):
        raise ValueError(
            f"no year has a day {fields[2]} of month {fields[3]}, and it would never run: write a date that there is"
        )


def _values(text: str, name: str, least: int, greatest: int, names: tuple[str, ...]) -> set[int]:
    """The values of one field: numbers or names, ranges, steps, and lists of these."""
    found: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step_text = part.partition("/")
        low_text, dash, high_text = span.partition("-")
        try:
            if slash and not int(step_text) > 0:
                raise ValueError
            low = least if span in _ANY else _number(low_text, least, names)
            # A step without an end goes to the last value.
            open_end = span in _ANY or (slash and not dash)
            high = greatest if open_end else _number(high_text, least, names) if dash else low
        except ValueError:
            raise ValueError(f"{part!r} is no {name}: {_allowed(least, greatest, names)}") from None
        if not least <= low <= high <= greatest:
            raise ValueError(f"{part!r} is no {name}: {_allowed(least, greatest, names)}")
        found.update(range(low, high + 1, int(step_text) if slash else 1))
    return found


def _number(text: str, least: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + least
    if not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)


def _allowed(least: int, greatest: int, names: tuple[str, ...]) -> str:
    also = f" or {names[0].upper()} to {names[-1].upper()}" if names else ""
    return f"write {least} to {greatest}{also}, a range of these upwards (a-b), a step (*/n), or a list with commas"
