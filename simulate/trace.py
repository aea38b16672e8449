"""A load trace: a CSV of what is asked of a stack's agents, from when to when."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sandbox.common.errors import InputError
from simulate.assumptions import RUN_MIB

_REQUIRED = ("second", "requests_per_minute", "run_seconds", "cpu_seconds")
_OPTIONAL = ("agent", "memory_mib")
_LONGEST = 7 * 86_400
_MOST_RUNS = 2_000_000
_MINUTE = 60


class TraceError(InputError):
    """A trace that cannot be used; the message names every line that is wrong."""


@dataclass(frozen=True)
class Row:
    """The load from a second on, until the next row of the same agent."""

    second: float
    requests_per_minute: float
    run_seconds: float
    """The mean length of a run that is alone."""
    cpu_seconds: float
    """CPU of a run, on average."""
    memory_mib: float
    """Of a run while it executes."""
    agent: str
    """"" for every agent."""


@dataclass(frozen=True)
class Trace:
    """Rows by time. The last one ends the trace."""

    name: str
    rows: Sequence[Row]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.rows[-1].second

    def of(self, agent: str) -> list[Row]:
        """What is asked of one agent."""
        return [row for row in self.rows if row.agent in ("", agent)]

    def spans(self, agent: str) -> Iterator[tuple[Row, float]]:
        """The rows of one agent, each with the second at which it ends."""
        rows = self.of(agent)
        for row, after in zip(rows, [*rows[1:], None], strict=True):
            yield row, after.second if after else self.seconds

    def check(self, agents: Sequence[str], source: str) -> None:
        """Whether a stack has the agents that it names.

        Raises:
            TraceError: it has not, or nothing is asked of any.
        """
        unknown = sorted({row.agent for row in self.rows} - {"", *agents})
        if unknown:
            raise TraceError(
                f"{source}, agent: the stack has no {' and no '.join(map(repr, unknown))}: name one of"
                f" {', '.join(agents)}, or leave the column out for a load of every agent"
            )


def shipped() -> list[str]:
    """The names of the traces that come with it."""
    folder = files("simulate") / "traces"
    return sorted(file.name.removesuffix(".csv") for file in folder.iterdir() if file.name.endswith(".csv"))


def find(name: str, folder: Path) -> Path:
    """The file of a trace: one that comes with it by its name, or a path below ``folder``.

    Raises:
        TraceError: there is none.
    """
    if name in shipped():
        return Path(str(files("simulate") / "traces" / f"{name}.csv"))
    path = folder / name
    if not path.is_file():
        raise TraceError(
            f"there is no trace {name}: name a CSV file, or one of {', '.join(shipped())}, which come with it"
        )
    return path


def load(path: Path) -> Trace:
    """Read a trace.

    Raises:
        TraceError: it is no CSV of this form; every problem is named with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path} cannot be read: {error}. Name a CSV file in UTF-8") from None
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    problems = [f"{path}: {problem}" for problem in _headers(reader.fieldnames or ())]
    if problems:
        raise TraceError("\n".join(problems))
    rows: list[Row] = []
    for number, cells in enumerate(reader, 2):
        row, wrong = _row(cells)
        problems += [f"{path}, line {number}, {problem}" for problem in wrong]
        if row is not None:
            if rows and row.second < rows[-1].second:
                problems.append(
                    f"{path}, line {number}, second: {row.second:g} is before the line above it: order them by time"
                )
            rows.append(row)
    if not problems:
        problems = [f"{path}: {problem}" for problem in _whole(rows)]
    if problems:
        raise TraceError("\n".join(problems))
    return Trace(path.stem, rows)


def _headers(names: Sequence[str]) -> Iterator[str]:
    known = (*_REQUIRED, *_OPTIONAL)
    for name in _REQUIRED:
        if name not in names:
            yield f"line 1, the column {name} is missing: begin the file with {','.join(_REQUIRED)}"
    for name in names:
        if name not in known:
            yield f"line 1, {name!r} is no column of a trace: the columns are {', '.join(known)}"


def _row(cells: dict[str, str]) -> tuple[Row | None, list[str]]:
    problems: list[str] = []

    def number(
        name: str, allowed: Callable[[float], bool], remedy: str, default: float | None = None
    ) -> float:
        text = cells.get(name)
        if default is not None and not text:
            return default
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        # What is no number is in no range.
        if not allowed(value):
            problems.append(f"{name}: {text!r} {remedy}")
        return value

    values = {
        "second": number(
            "second", lambda v: 0 <= v <= _LONGEST, f"is not a time from 0 to {_LONGEST} s (a week)"
        ),
        "requests_per_minute": number(
            "requests_per_minute", lambda v: 0 <= v <= 1e6, "is not a rate from 0 to 1000000"
        ),
        "run_seconds": number(
            "run_seconds", lambda v: 0 < v <= 86_400, "is not a length above 0 and up to 86400 s"
        ),
        "cpu_seconds": number(
            "cpu_seconds", lambda v: 0 <= v <= 86_400, "is not an amount from 0 to 86400 CPU seconds"
        ),
        "memory_mib": number(
            "memory_mib", lambda v: 0 <= v <= 1e6, "is not an amount from 0 to 1000000 MiB", RUN_MIB
        ),
    }
    if None in cells:
        problems.append(f"there are more values than columns: {','.join(cells[None])}")  # type: ignore[index]
    return (None, problems) if problems else (Row(**values, agent=cells.get("agent") or ""), problems)


def _whole(rows: Sequence[Row]) -> Iterator[str]:
    if not rows or rows[-1].second <= rows[0].second:
        yield "two lines at least are needed: from when on there is which load, and when the trace ends"
        return
    trace = Trace("", rows)
    agents = {row.agent for row in rows if row.agent} or {""}
    runs = sum(
        row.requests_per_minute * max(0, end - row.second) / _MINUTE
        for agent in agents
        for row, end in trace.spans(agent)
    )
    if runs > _MOST_RUNS:
        yield f"{runs:,.0f} runs are more than the {_MOST_RUNS:,} that are replayed: take a shorter part of it"
    if runs == 0:
        yield "requests_per_minute is 0 on every line: nothing is asked of the stack"
