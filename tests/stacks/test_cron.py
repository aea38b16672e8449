"""Schedules that Kubernetes would refuse, or that would never come."""

import re

import pytest

from stacks.cron import check_schedule


@pytest.mark.parametrize(
    "schedule",
    [
        "17 3 * * *",
        "*/15 0-23/2 1,15 JAN-mar mon-FRI",
        "0 0 29 2 *",
        "0 0 ? * 0",
        "5/10 * * * *",
        # Either day is enough where both are given.
        "0 0 31 2 1",
        "0 0 31 2,3 *",
    ],
)
def test_a_schedule_that_kubernetes_takes_is_taken(schedule: str) -> None:
    check_schedule(schedule)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("61 3 * * *", "'61' is no minute: write 0 to 59"),
        ("0 24 * * *", "no hour"),
        ("0 0 0 * *", "no day of the month"),
        ("0 0 * 13 *", "JAN to DEC"),
        ("0 0 * * 7", "no day of the week: write 0 to 6"),
        ("0 0 * * someday", "SUN to SAT"),
        ("9-5 * * * *", "'9-5' is no minute"),
        ("*/0 * * * *", "no minute"),
        ("1- * * * *", "no minute"),
        ("1,,2 * * * *", "no minute"),
        ("-1 * * * *", "no minute"),
        ("0 0 31 2 *", "no year has a day 31 of month 2"),
        ("0 0 31 4,6 ?", "never run"),
        ("@daily", "five cron fields"),
        ("0 0 * * * *", "five cron fields"),
    ],
)
def test_a_schedule_that_no_clock_shows_is_refused_by_its_field(schedule: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check_schedule(schedule)
