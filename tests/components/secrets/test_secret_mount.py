"""The SecretProviderClass."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.secrets.secret_mount import SecretMount, SecretMountArgs
from preview.recording.recorder import Recording

Record = Callable[[Callable[[], Any]], Recording]


def mount(files: dict[str, str]) -> SecretMount:
    return SecretMount(
        "support",
        SecretMountArgs(
            namespace="agents",
            class_name="support",
            region="eu-central-1",
            labels={},
            files=files,
            crds_ready=pulumi.ComponentResource("test:index:Leaf", "leaf"),
        ),
    )


def test_each_entry_becomes_a_file_of_its_name_read_with_the_pods_identity(record_resources: Record) -> None:
    made = record_resources(lambda: mount({"REDIS_URI": "arn:redis", "API_KEYS": "arn:keys"}))
    (found,) = made.of_type("kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass")
    spec = found.inputs["spec"]
    assert spec["provider"] == "aws"
    assert spec["parameters"]["usePodIdentity"] == "true"
    assert json.loads(spec["parameters"]["objects"]) == [
        {"objectName": "arn:keys", "objectType": "secretsmanager", "objectAlias": "API_KEYS"},
        {"objectName": "arn:redis", "objectType": "secretsmanager", "objectAlias": "REDIS_URI"},
    ]


def test_a_mount_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one entry"):
        SecretMountArgs(
            namespace="agents",
            class_name="support",
            region="eu-central-1",
            labels={},
            files={},
            crds_ready=None,
        )
