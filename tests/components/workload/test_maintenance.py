"""The migration Job and the retention CronJob."""

from collections.abc import Callable
from typing import Any

import pytest

from components.naming import labels
from components.workload.maintenance import Migration, MigrationArgs, Retention, RetentionArgs
from preview.recording.recorder import Recording

Record = Callable[[Callable[[], Any]], Recording]
IMAGE = "registry.example.com/agent@sha256:" + "a" * 64


def migration(**changes: Any) -> Migration:
    return Migration(
        "support",
        MigrationArgs(
            **{
                "namespace": "agents",
                "agent": "support",
                "image": IMAGE,
                "labels": labels(name="support", component="migrate", instance="test"),
                "variables": {"LOG_LEVEL": "info"},
                "service_account": "support-migrate",
                "secret_provider_class": "support-migrate",
                "secrets_version": "v1",
                "certificates_config_map": "certificates",
                **changes,
            }
        ),
    )


def retention(**changes: Any) -> Retention:
    return Retention(
        "support",
        RetentionArgs(
            **{
                "namespace": "agents",
                "agent": "support",
                "image": IMAGE,
                "labels": labels(name="support", component="prune", instance="test"),
                "service_account": "support",
                "secret_provider_class": "support",
                "config_map": "support",
                "certificates_config_map": "certificates",
                "idle_days": 30,
                "schedule": "17 3 * * *",
                **changes,
            }
        ),
    )


def test_the_job_migrates_with_the_agents_image(record_resources: Record) -> None:
    (job,) = record_resources(migration).of_type("kubernetes:batch/v1:Job")
    (container,) = job.inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    assert container["command"] == ["python", "-m", "langgraph_agents_service", "migrate"]


def test_the_job_has_no_name_of_its_own_so_that_each_image_gets_a_new_one(record_resources: Record) -> None:
    (job,) = record_resources(migration).of_type("kubernetes:batch/v1:Job")
    assert "name" not in job.inputs["metadata"]


def test_the_job_ends_whatever_happens(record_resources: Record) -> None:
    (job,) = record_resources(migration).of_type("kubernetes:batch/v1:Job")
    spec = job.inputs["spec"]
    assert spec["backoffLimit"] == 4
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_job_runs_under_an_identity_of_its_own(record_resources: Record) -> None:
    made = record_resources(migration)
    (job,) = made.of_type("kubernetes:batch/v1:Job")
    (account,) = made.of_type("kubernetes:core/v1:ServiceAccount")
    pod = job.inputs["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account.inputs["metadata"]["name"] == "support-migrate"
    (secrets,) = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
    assert secrets["csi"]["volumeAttributes"] == {"secretProviderClass": "support-migrate"}


def test_idle_threads_go_after_the_days_of_the_args(record_resources: Record) -> None:
    (cron,) = record_resources(lambda: retention(idle_days=7)).of_type("kubernetes:batch/v1:CronJob")
    (container,) = cron.inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "langgraph_agents_service", "prune", "--older-than", "7d"]


def test_retention_never_runs_twice_at_once(record_resources: Record) -> None:
    (cron,) = record_resources(retention).of_type("kubernetes:batch/v1:CronJob")
    assert cron.inputs["spec"]["concurrencyPolicy"] == "Forbid"
    assert cron.inputs["spec"]["schedule"] == "17 3 * * *"
    assert cron.inputs["spec"]["timeZone"] == "Etc/UTC"


def test_retention_of_less_than_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="threads of today would go"):
        RetentionArgs(
            namespace="agents",
            agent="support",
            image=IMAGE,
            labels={},
            service_account="support",
            secret_provider_class="support",
            config_map="support",
            certificates_config_map="certificates",
            idle_days=0,
            schedule="17 3 * * *",
        )
