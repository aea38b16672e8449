"""How answers are matched with findings; checkov itself runs in tests/e2e/test_checkov.py."""

import pytest
from pydantic import ValidationError

from policies.checkov import Answer, Failed, answers, stale, unanswered

FOUND = [
    Failed("prod", "CKV_1", "aws_kms_key.a"),
    Failed("dev", "CKV_1", "aws_kms_key.a"),
    Failed("prod", "CKV_2", "x"),
]


def answer(check: str, *resources: str, stacks: tuple[str, ...] = ("prod",)) -> Answer:
    return Answer(check=check, resources=resources, stacks=stacks, answer="because it has to be so")


def test_an_answer_covers_its_check_on_its_resources_in_its_stacks() -> None:
    given = [answer("CKV_1", "aws_kms_key.*")]

    assert unanswered(FOUND, given) == [Failed("dev", "CKV_1", "aws_kms_key.a"), Failed("prod", "CKV_2", "x")]


def test_an_answer_for_one_resource_does_not_cover_another() -> None:
    assert unanswered([Failed("prod", "CKV_1", "b")], [answer("CKV_1", "a")]) == [
        Failed("prod", "CKV_1", "b")
    ]


def test_each_part_of_an_answer_that_answers_nothing_is_stale() -> None:
    given = [
        answer("CKV_1", "aws_kms_key.*", stacks=("dev", "prod")),
        answer("CKV_2", "x", "gone", stacks=("prod", "dev")),
    ]

    assert stale(FOUND, given) == ["CKV_2 on gone in prod", "CKV_2 on x in dev", "CKV_2 on gone in dev"]


def test_an_answer_without_a_reason_is_refused() -> None:
    with pytest.raises(ValidationError, match="answer"):
        Answer(check="CKV_1", resources=("a",), stacks=("prod",), answer="ok")


def test_the_answers_of_this_repository_can_be_read_and_are_given_once() -> None:
    given = answers()

    asked = [(a.check, resource, stack) for a in given for resource in a.resources for stack in a.stacks]
    assert asked
    assert len(asked) == len(set(asked))
