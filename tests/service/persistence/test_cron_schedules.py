"""When crons are due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_agents_service.persistence.crons.schedule import ALIASES, ScheduleError, following


def due(schedule: str, timezone: str | None, after: str, times: int) -> list[str]:
    found, moment = [], datetime.fromisoformat(after).astimezone(UTC)
    for _ in range(times):
        upcoming = following(schedule, timezone, moment)
        assert upcoming is not None
        moment = upcoming
        found.append(moment.isoformat()[:16])
    return found


def test_a_schedule_holds_in_its_own_zone() -> None:
    assert due("0 9 * * 1-5", "Europe/Berlin", "2026-11-27T09:00Z", 2) == [
        "2026-11-30T08:00",
        "2026-12-01T08:00",
    ]
    assert due("0 9 * * 1-5", None, "2026-11-27T08:59Z", 1) == ["2026-11-27T09:00"]


def test_a_fixed_time_is_due_once_when_clocks_are_put_back() -> None:
    assert due("30 1 * * *", "America/New_York", "2026-10-31T12:00Z", 2) == [
        "2026-11-01T05:30",
        "2026-11-02T06:30",
    ]
    # Asked in the second of the two hours of that name.
    assert due("45 1 * * *", "America/New_York", "2026-11-01T06:40Z", 1) == ["2026-11-02T06:45"]


def test_every_hour_is_every_hour_that_passes() -> None:
    expected = ["2026-11-01T05:30", "2026-11-01T06:30", "2026-11-01T07:30"]
    assert due("30 * * * *", "America/New_York", "2026-11-01T05:00Z", 3) == expected


def test_a_time_in_the_gap_of_a_clock_that_is_put_forward_is_not_lost() -> None:
    assert due("30 2 * * *", "America/New_York", "2026-03-07T12:00Z", 2) == [
        "2026-03-08T07:30",
        "2026-03-09T06:30",
    ]


def test_what_never_comes_is_never_due() -> None:
    assert following("0 0 31 2 *", None, datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("schedule", "timezone", "words"),
    [
        ("* * * * * *", None, "five fields"),
        ("often", None, "five fields"),
        ("61 * * * *", None, "is no schedule"),
        ("* * * * fun", None, "is no schedule"),
        ("@reboot", None, "@daily"),
        ("0 9 * * *", "Mars/Olympus", "is no time zone"),
        ("0 9 * * *", "../../etc/passwd", "is no time zone"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_to_write(
    schedule: str, timezone: str | None, words: str
) -> None:
    with pytest.raises(ScheduleError, match=words):
        following(schedule, timezone, datetime.now(UTC))


@given(
    st.sampled_from([*ALIASES, "*/7 * * * *", "15 2 * * *", "0 1,2,3 * * 0", "30 * 29 2 *"]),
    st.sampled_from([None, "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_the_next_time_is_always_later(schedule: str, timezone: str | None, after: datetime) -> None:
    moment = after.replace(tzinfo=UTC)
    upcoming = following(schedule, timezone, moment)
    assert upcoming is not None
    assert upcoming > moment
    again = following(schedule, timezone, upcoming - timedelta(microseconds=1))
    assert again == upcoming
