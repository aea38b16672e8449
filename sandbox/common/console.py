"""Progress on a terminal, and plain lines everywhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

# What is printed holds ARNs and YAML, in which `:name:` is no emoji and `[x]` no style.
console = Console(highlight=False, soft_wrap=True, emoji=False)

# A log (CI, a pipe) has no moving bar: this many seconds pass between its lines.
_LOG_INTERVAL = 20.0


class Left(ProgressColumn):
    """What is left of a step whose size is known, and how long that takes at the pace so far."""

    def render(self, task: Task) -> Text:
        if not task.total or not task.remaining:
            return Text()
        seconds = task.time_remaining
        duration = f", about {timedelta(seconds=int(seconds))}" if seconds else ""
        return Text(f"{task.remaining:.0f} of {task.total:.0f} left{duration}")


class Step:
    """One step under way: how far it is, and with what it is busy."""

    def __init__(self, title: str, progress: Progress | None) -> None:
        self._title = title
        self._progress = progress
        self._task: TaskID | None = progress.add_task(title, total=None, detail="") if progress else None
        self._last_line = time.monotonic()
        self._done, self._total = 0, 0

    def update(self, *, done: int | None = None, total: int | None = None, detail: str = "") -> None:
        """Show `done` of `total`, and `detail` beside them."""
        self._done = self._done if done is None else done
        self._total = self._total if total is None else total
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self._done, total=self._total or None, detail=detail)
        elif time.monotonic() - self._last_line > _LOG_INTERVAL:
            self._last_line = time.monotonic()
            of = f" {self._done}/{self._total}" if self._total else ""
            console.print(f"  {self._title}{of} {detail}")


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show a step while it runs, and one line with its duration when it has ended well."""
    began = time.monotonic()
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            Left(),
            TextColumn("[dim]{task.fields[detail]}"),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield Step(title, progress)
    else:
        console.print(f"  {title} ...")
        yield Step(title, None)
    console.print(f"[green]✓[/] {title} [dim]{time.monotonic() - began:.1f} s[/]")
