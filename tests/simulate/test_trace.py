"""Traces: what is read of them, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from simulate.trace import Trace, TraceError, find, load, shipped

HEADER = "second,requests_per_minute,run_seconds,cpu_seconds"


def _file(folder: Path, *lines: str) -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _refused(path: Path) -> list[str]:
    with pytest.raises(TraceError) as refusal:
        load(path)
    return str(refusal.value).replace(f"{path}", "mine.csv").splitlines()


def test_a_row_holds_until_the_next_of_its_agent_and_the_last_ends_the_trace(tmp_path: Path) -> None:
    trace = load(
        _file(
            tmp_path,
            f"{HEADER},agent,memory_mib",
            "0,10,20,1,,",
            "60,20,20,1,support,9",
            "90,30,20,1,research,",
            "120,0,20,1,,",
        )
    )
    assert trace.seconds == 120
    assert [(row.requests_per_minute, end) for row, end in trace.spans("support")] == [
        (10, 60),
        (20, 120),
        (0, 120),
    ]
    assert [(row.requests_per_minute, end) for row, end in trace.spans("research")] == [
        (10, 90),
        (30, 120),
        (0, 120),
    ]
    assert [row.memory_mib for row in trace.rows] == [4, 9, 4, 4]


def test_every_problem_is_told_with_its_line_field_value_and_remedy(tmp_path: Path) -> None:
    said = _refused(
        _file(tmp_path, HEADER, "0,10,20,1", "60,-1,0,x", "30,10,20,1", "90,10", "120,0,20,1,7,8")
    )
    assert said == [
        "mine.csv, line 3, requests_per_minute: '-1' is not a rate from 0 to 1000000",
        "mine.csv, line 3, run_seconds: '0' is not a length above 0 and up to 86400 s",
        "mine.csv, line 3, cpu_seconds: 'x' is not an amount from 0 to 86400 CPU seconds",
        "mine.csv, line 5, run_seconds: None is not a length above 0 and up to 86400 s",
        "mine.csv, line 5, cpu_seconds: None is not an amount from 0 to 86400 CPU seconds",
        "mine.csv, line 6, there are more values than columns: 7,8",
    ]


def test_lines_are_in_the_order_of_time(tmp_path: Path) -> None:
    assert _refused(_file(tmp_path, HEADER, "60,1,1,1", "30,1,1,1")) == [
        "mine.csv, line 3, second: 30 is before the line above it: order them by time"
    ]


@pytest.mark.parametrize("number", ["nan", "inf", ""])
def test_what_is_no_finite_number_is_refused(tmp_path: Path, number: str) -> None:
    assert len(_refused(_file(tmp_path, HEADER, f"0,{number},20,1", "60,0,20,1"))) == 1


def test_columns_that_are_missing_or_unknown_are_named(tmp_path: Path) -> None:
    assert _refused(_file(tmp_path, "second,rate,run_seconds,cpu_seconds", "0,1,1,1")) == [
        f"mine.csv: line 1, the column requests_per_minute is missing: begin the file with {HEADER}",
        "mine.csv: line 1, 'rate' is no column of a trace: the columns are second, requests_per_minute, run_seconds,"
        " cpu_seconds, agent, memory_mib",
    ]


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([], "two lines at least"),
        (["0,1,1,1"], "two lines at least"),
        (["0,0,1,1", "60,0,1,1"], "nothing is asked"),
        (["0,1000000,1,1", "86400,0,1,1"], "more than the 2,000,000 that are replayed"),
    ],
)
def test_a_trace_that_asks_nothing_or_too_much_is_refused(
    tmp_path: Path, lines: list[str], word: str
) -> None:
    (said,) = _refused(_file(tmp_path, HEADER, *lines))
    assert word in said


def test_an_agent_that_the_stack_has_not_is_named_with_those_that_it_has(tmp_path: Path) -> None:
    trace = load(_file(tmp_path, f"{HEADER},agent", "0,1,1,1,helpdesk", "60,0,1,1,support"))
    with pytest.raises(TraceError, match="no 'helpdesk': name one of support, research"):
        trace.check(["support", "research"], "mine.csv")


def test_a_file_that_is_not_there_or_no_text_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        TraceError, match=r"no trace other\.csv: name a CSV file, or one of launch, night-batch"
    ):
        find("other.csv", tmp_path)
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="cannot be read"):
        load(path)


def test_three_traces_come_with_it_and_can_be_read(tmp_path: Path) -> None:
    traces: dict[str, Trace] = {name: load(find(name, tmp_path)) for name in shipped()}
    assert {name: trace.seconds / 3600 for name, trace in traces.items()} == {
        "office-hours": 24,
        "launch": 6,
        "night-batch": 8,
    }
    batch = [
        row.requests_per_minute * (end - row.second) / 60 for row, end in traces["night-batch"].spans("any")
    ]
    assert max(batch) == 10_000
