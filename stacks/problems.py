"""The problems of a stack file, and the text that reports them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stacks.vocabulary import sounds_secret

_LONGEST_VALUE = 80
# Anything below an entry of secrets, except what such an entry is known to have in plain.
_MAY_HOLD_A_SECRET = re.compile(r"\.secrets\[\d+\]\.(?!(name|source)$)")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a stack file."""

    field: str
    """Path below ``langgraph-agents:settings``, as in ``agents[0].replicas.min``."""
    value: Any
    """What the file says there; a number as it is written there."""
    remedy: str
    """What is wrong, and what to do."""


class SettingsError(Exception):
    """A stack file that cannot be used; its text lists every problem."""

    def __init__(self, stack_file: str, problems: Sequence[Problem]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{stack_file} has {count} in langgraph-agents:settings"]
        lines += [f"\n  {problem.field}: {_shown(problem)}\n      {problem.remedy}" for problem in problems]
        super().__init__("\n".join(lines))


def dotted(path: Sequence[int | str]) -> str:
    """A path as messages show it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "settings"


def _shown(problem: Problem) -> str:
    """The value as a line of text, without what may be a secret that was pasted into the wrong place."""
    value = problem.value
    if value is None:
        return "(not set)"
    if sounds_secret(problem.field) or _MAY_HOLD_A_SECRET.search(problem.field):
        return "(hidden)"
    text = _text(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _text(value: Any) -> str:
    """A value as a stack file would have it; of an object only the names, for its values may be secrets."""
    if isinstance(value, dict):
        return f"{{{', '.join(map(str, value))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)
