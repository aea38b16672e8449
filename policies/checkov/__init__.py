"""A second opinion: checkov's rules on what a stack is made of, and our answers to what it finds.

Every finding is mended, or answered in ``answers.yaml``. ``python -m policies.checkov`` runs it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from stacks.vocabulary import Model

ANSWERS = Path(__file__).with_name("answers.yaml")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True, order=True)
class Failed:
    """A check that failed."""

    stack: str
    check: str
    """Checkov's id, such as ``CKV_AWS_157``."""
    resource: str
    title: str = ""


class Answer(Model):
    """Why a finding is left as it is."""

    check: str
    resources: Annotated[tuple[str, ...], Field(min_length=1)]
    """Patterns of the resources that it is about, as checkov names them."""
    stacks: Annotated[tuple[str, ...], Field(min_length=1)]
    answer: Annotated[str, Field(min_length=20)]

    def covers(self, failed: Failed) -> bool:
        return (
            failed.check == self.check
            and failed.stack in self.stacks
            and any(fnmatchcase(failed.resource, pattern) for pattern in self.resources)
        )


def answers(path: Path = ANSWERS) -> list[Answer]:
    """What is answered."""
    return [Answer.model_validate(entry) for entry in yaml.safe_load(path.read_text())]


def unanswered(found: Iterable[Failed], given: Sequence[Answer]) -> list[Failed]:
    """The findings that nothing answers."""
    return sorted(failed for failed in found if not any(answer.covers(failed) for answer in given))


def stale(found: Sequence[Failed], given: Sequence[Answer]) -> list[str]:
    """Parts of answers that answer nothing any more, each to be removed."""
    return [
        f"{answer.check} on {pattern} in {stack}"
        for answer in given
        for stack in answer.stacks
        for pattern in answer.resources
        if not any(
            answer.model_copy(update={"resources": (pattern,), "stacks": (stack,)}).covers(failed)
            for failed in found
        )
    ]
