from datetime import date

import pytest
from pydantic import ValidationError

from policies import ExceptionsError, check
from stacks.loading import SettingsError, load
from stacks.policy_exceptions import PolicyException
from tests.policies.plans import Made, MadePlan, plan_of
from tests.stacks.stack_files import changed

TODAY = date(2026, 11, 22)
TAGS = '{"tags": {"project": "p", "stack": "s", "environment": "e"}}'
PROVIDER = Made("pulumi:providers:aws", {"defaultTags": TAGS})


def key(name: str = "key", **inputs: object) -> Made:
    """A KMS key in a plan that is otherwise in order."""
    return Made("aws:kms/key:Key", inputs, name=name, provider=PROVIDER.urn, protect=True)


PLAN = MadePlan((key(), PROVIDER))


def exception(
    rule: str = "key-rotation", resource: str = "key", expires: str = "2026-12-31"
) -> PolicyException:
    return PolicyException.model_validate(
        {"rule": rule, "resource": resource, "reason": "imported material", "expires": expires}
    )


def test_an_exception_excuses_one_rule_for_one_resource() -> None:
    plan = MadePlan((*PLAN.made, key("other", deletionWindowInDays=7)))

    findings = check(plan, [exception()], today=TODAY)

    assert [(f.rule, f.resource) for f in findings] == [
        ("deletion-protection", "other"),
        ("key-rotation", "other"),
    ]


def test_an_exception_may_name_a_urn() -> None:
    assert check(PLAN, [exception(resource=PLAN.made[0].urn)], today=TODAY) == []


def test_an_exception_is_good_on_its_last_day_and_fails_on_the_next() -> None:
    assert check(PLAN, [exception(expires="2026-11-22")], today=TODAY) == []

    findings = check(PLAN, [exception(expires="2026-11-21")], today=TODAY)

    assert [finding.rule for finding in findings] == ["expired-exception", "key-rotation"]
    assert "key-rotation ended on 2026-11-21 (it was made because: imported material)" in findings[0].message


def test_an_expired_exception_fails_even_when_it_excuses_nothing_any_more() -> None:
    mended = MadePlan((key(enableKeyRotation=True), PROVIDER))

    assert [f.rule for f in check(mended, [exception(expires="2026-01-01")], today=TODAY)] == [
        "expired-exception"
    ]


def test_unknown_rules_and_resources_are_all_told_at_once() -> None:
    with pytest.raises(ExceptionsError) as error:
        check(PLAN, [exception(rule="key-rotaton"), exception(resource="kye")], today=TODAY)

    message = str(error.value)
    assert (
        "policyExceptions[0].rule: key-rotaton is no rule. Known: addon-versions, audit-logs, backups,"
        in message
    )
    assert "policyExceptions[1].resource: the stack has no kye" in message
    assert error.value.exit_code == 2


def test_an_exception_for_a_real_resource_is_accepted() -> None:
    accepted = exception(rule="backups", resource="database-instance")

    assert check(plan_of("prod"), [accepted], today=TODAY) == []


@pytest.mark.parametrize("field", ["rule", "resource", "reason", "expires"])
def test_an_exception_says_everything(field: str) -> None:
    complete = {"rule": "r", "resource": "x", "reason": "because of it", "expires": "2026-12-31"}

    with pytest.raises(ValidationError, match=field):
        PolicyException.model_validate({key: value for key, value in complete.items() if key != field})


def test_exceptions_are_part_of_the_stack_file() -> None:
    entry = {"rule": "backups", "resource": "x", "reason": "no data yet", "expires": "2026-12-31"}

    settings = load(changed("dev", "policyExceptions", [entry]), stack="dev")

    assert settings.policy_exceptions == (
        exception("backups", "x").model_copy(update={"reason": "no data yet"}),
    )


def test_a_stack_file_with_a_date_that_is_none_is_refused_with_its_field() -> None:
    entry = {"rule": "backups", "resource": "x", "reason": "no data yet", "expires": "next year"}

    with pytest.raises(SettingsError, match=r"policyExceptions\[0\]\.expires"):
        load(changed("dev", "policyExceptions", [entry]), stack="dev")
