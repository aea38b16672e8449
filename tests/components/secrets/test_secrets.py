"""Secrets Manager entries and their key."""

from collections.abc import Callable
from typing import Any

import pytest

from components.secrets.encryption import LogsKey, LogsKeyArgs
from components.secrets.secrets import Secret, SecretArgs, SecretsKey, SecretsKeyArgs
from preview.recording.recorder import Recording
from tests.components.reading import is_secret, protected, statements

Record = Callable[..., Recording]


def args(**changes: Any) -> SecretArgs:
    return SecretArgs(
        **{
            "secret_name": "langgraph-agents/prod/support/API_KEY",
            "description": "Key",
            "value": "hunter2",
            "kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/secrets",
            "recovery_window_days": 30,
            "protect": False,
            **changes,
        }
    )


def test_a_value_stays_secret(record_resources: Record) -> None:
    version = record_resources(lambda: Secret("secret", args())).named("secret-version")
    assert is_secret(version.inputs["secretString"])
    assert "hunter2" not in repr(version)


def test_the_entry_is_under_the_given_key_and_name(record_resources: Record) -> None:
    entry = record_resources(lambda: Secret("secret", args())).named("secret-entry")
    assert entry.inputs["kmsKeyId"].endswith("key/secrets")
    assert entry.inputs["name"] == "langgraph-agents/prod/support/API_KEY"
    assert entry.inputs["recoveryWindowInDays"] == 30


def test_an_entry_filled_in_by_hand_has_no_version_to_overwrite_it(record_resources: Record) -> None:
    made = record_resources(lambda: Secret("secret", args(value=None)))
    assert not made.of_type("aws:secretsmanager/secretVersion:SecretVersion")


def test_another_value_is_another_version(record_resources: Record) -> None:
    versions = [
        record_resources(lambda value=value: Secret("secret", args(value=value)))
        .named("secret-version")
        .outputs["versionId"]
        for value in ("one", "two")
    ]
    assert versions[0] != versions[1]


def test_protection_covers_the_entry(record_resources: Record) -> None:
    assert protected(record_resources(lambda: Secret("secret", args(protect=True)))) == {"secret-entry"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"secret_name": "has space"}, "secret_name is 'has space': use 1 to 512"),
        ({"recovery_window_days": 3}, "recovery_window_days is 3: use 7 to 30"),
        ({"recovery_window_days": 31}, "recovery_window_days is 31: use 7 to 30"),
    ],
)
def test_what_aws_would_refuse_is_refused_first(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        args(**changes)


def test_the_secrets_key_is_rotated_and_has_an_alias(record_resources: Record) -> None:
    made = record_resources(lambda: SecretsKey("key", SecretsKeyArgs(alias="agents-secrets", protect=True)))
    key = made.named("key-key")
    assert key.inputs["enableKeyRotation"]
    assert key.inputs["deletionWindowInDays"] == 30
    alias = made.named("key-key-alias")
    assert alias.inputs["name"] == "alias/agents-secrets"
    assert alias.inputs["targetKeyId"] == key.outputs["keyId"]
    assert protected(made) == {"key-key"}


def test_only_log_groups_of_the_account_use_the_logs_key(record_resources: Record) -> None:
    made = record_resources(
        lambda: LogsKey(
            "logs",
            LogsKeyArgs(alias="logs", account_id="123456789012", region="eu-central-1", protect=False),
        )
    )
    account, logs = statements(made.named("logs-key"))
    assert account["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert logs["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
    assert logs["Condition"] == {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-central-1:123456789012:log-group:*"
        }
    }
