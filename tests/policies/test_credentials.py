"""Secrets in plain sight: what is one, and what only looks like it."""

import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.credentials import entropy, no_hard_coded_secrets
from preview.recording.plan import Secret
from tests.policies.plans import Made

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def found(value: object, key: str = "SETTING") -> list[str]:
    return list(no_hard_coded_secrets.examine(Made(CONFIG_MAP, {"data": {key: value}})))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("AKIA" + "IOSFODNN7EXAMPLE", "an AWS access key"),
        ("sk-ant-" + "api03-abcdefghijklmnopqrst", "an Anthropic key"),
        ("sk-" + "proj-abcdefghijklmnopqrst", "an OpenAI key"),
        ("lsv2_pt_" + "0" * 32, "a LangSmith key"),
        ("ghp_" + "a" * 36, "a GitHub token"),
        ("github_pat_" + "a" * 22, "a GitHub token"),
        ("xoxb-" + "1234567890", "a Slack token"),
        ("AIza" + "a" * 35, "a Google key"),
        ("sk_live_" + "a" * 24, "a Stripe key"),
        ("pul-" + "0" * 40, "a Pulumi token"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc", "a JSON web token"),
        ("-----BEGIN " + "RSA PRIVATE KEY-----\nMII", "a private key"),
        ("rediss://support:hunter2@cache:6379/0", "a password in a URI"),
    ],
)
def test_keys_are_known_by_their_form(text: str, what: str) -> None:
    assert found(text) == [f"data.SETTING holds {what}"]
    assert found(f"prefix {text} suffix") == [f"data.SETTING holds {what}"]


@given(st.binary(min_size=24, max_size=48))
def test_hexadecimal_secrets_are_known_by_their_entropy(value: bytes) -> None:
    text = value.hex()

    assert bool(found(text)) is (entropy(text) >= 3.0)


def test_random_passwords_are_known_by_their_entropy() -> None:
    alphabet = string.ascii_letters + string.digits
    passwords = ["".join(secrets.choice(alphabet) for _ in range(32)) for _ in range(500)]

    missed = [password for password in passwords if not found(password)]

    # A password without any digit looks like a name: one in 265 of this length.
    assert len(missed) < 15, missed


@pytest.mark.parametrize(
    "text",
    [
        "registry/agent@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:langgraph-agents/prod/research/ANTHROPIC-Ab12Cd",
        "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "-----BEGIN CERTIFICATE-----\nMIIEBjCCAu6gAwIBAgIJAMc0ZzaSUK51MA0GCSqGSIb3\n-----END CERTIFICATE-----",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
        "langgraph-agents-prod-load-balancer-controller",
        "anthropic:claude-sonnet-4-5",
        "postgresql://database:5432/support",
        "",
    ],
)
def test_what_only_looks_random_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_checksum_says_that_it_is_one() -> None:
    assert found("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c", "checksum/config") == []


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "DB_PASSWORD", "token", "clientSecret"])
def test_a_name_that_promises_a_secret_is_taken_at_its_word(name: str) -> None:
    assert found("changeme", name) == [f"data.{name} is set in plain text"]
    assert found("", name) == []


def test_a_value_that_the_program_marked_secret_may_not_be_in_a_config_map() -> None:
    assert found(Secret()) == [
        "data.SETTING holds a secret, which the API server shows to whoever may read the object"
    ]


@pytest.mark.parametrize(
    ("type_", "inputs"),
    [
        ("aws:secretsmanager/secretVersion:SecretVersion", {"secretString": "postgresql://u:p4ss@db/x"}),
        ("aws:rds/instance:Instance", {"password": "AKIAIOSFODNN7EXAMPLE"}),
        ("kubernetes:core/v1:Secret", {"stringData": {"API_KEY": Secret()}}),
    ],
)
def test_a_place_made_for_secrets_may_hold_one(type_: str, inputs: dict[str, object]) -> None:
    assert list(no_hard_coded_secrets.examine(Made(type_, inputs))) == []


def test_a_known_key_is_found_in_any_resource() -> None:
    tagged = Made("aws:rds/instance:Instance", {"tags": {"note": "AKIAIOSFODNN7EXAMPLE"}})

    assert list(no_hard_coded_secrets.examine(tagged)) == ["tags.note holds an AWS access key"]
