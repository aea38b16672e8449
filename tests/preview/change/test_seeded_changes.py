"""Changes that a pull request may bring, each reported exactly: what happens to what, why, and who notices."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from preview.change.diff import PlanDiff, Status, compare
from preview.change.impact import Impact, impact
from preview.exposure import exposure
from preview.recording.plan import Plan
from preview.recording.program import make_plan
from tests.preview.projects import Settings, project, project_plan

_IMAGE = "registry.example.com/agent@sha256:"
_TWO_IMAGES = (f"{_IMAGE}{'1' * 64}", f"{_IMAGE}{'2' * 64}")


@dataclass(frozen=True)
class Reported:
    """What is said of a change."""

    diff: PlanDiff
    impact: Impact

    def names(self, status: Status) -> set[str]:
        return {f"{change.resource.kind} {change.resource.name}" for change in self.diff.of(status)}

    def paths(self, name: str) -> list[str]:
        return [
            d.path for change in self.diff.changes if change.resource.name == name for d in change.differences
        ]


Change = Callable[[Settings], object]


def _nothing(settings: Settings) -> None:
    """The stack as it is."""


def _report(folder: Path, before: Plan, settings: Change = _nothing, program: str = "") -> Reported:
    after = make_plan("dev", project(folder, "dev", settings, program), before)
    diff = compare(before, after)
    return Reported(diff, impact(diff, exposure(before), exposure(after)))


@pytest.fixture
def dev() -> Plan:
    return project_plan("dev")


def _patched(target: str, attribute: str, replacement: str, imports: str = "") -> str:
    """A program in which a name of a module is another."""
    return f"""
from unittest import mock
import pulumi
import {target} as target
{imports}
original = target.{attribute}
def changed():
    return mock.patch.object(target, "{attribute}", {replacement})
"""


def _in_agent(**values: object) -> Change:
    return lambda settings: settings["agents"][0].update(values)


def _in(section: str, **values: object) -> Change:
    return lambda settings: settings[section].update(values)


def test_no_change_is_reported_as_none(tmp_path: Path, dev: Plan) -> None:
    reported = _report(tmp_path, dev)
    assert reported.diff.headline == "+0 ~0 ±0 -0"
    assert reported.impact == Impact((), (), (), (), ())


def test_another_image_rolls_the_agent_and_migrates_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    before = make_plan("dev", project(first, settings=_in_agent(image=_TWO_IMAGES[0])))
    reported = _report(second, before, _in_agent(image=_TWO_IMAGES[1]))
    assert reported.diff.headline == "+0 ~2 ±1 -0"
    assert reported.names(Status.REPLACED) == {"Job support-migration-job"}
    assert reported.names(Status.UPDATED) == {
        "CronJob support-retention-cron-job",
        "Deployment support-workload-deployment",
    }
    image = "spec.template.spec.containers[0].image"
    assert reported.paths("support-workload-deployment") == [image]
    assert reported.diff.of(Status.REPLACED)[0].reasons == (image,)
    assert [restart.agent for restart in reported.impact.restarts] == ["support"]
    assert reported.impact.failures == ()


def test_another_setting_changes_the_config_maps_and_rolls_the_agent(tmp_path: Path, dev: Plan) -> None:
    reported = _report(tmp_path, dev, _in_agent(maxIterations=50))
    assert reported.diff.headline == "+0 ~3 ±0 -0"
    assert reported.paths("support-workload-config") == ["data.MAX_ITERATIONS"]
    assert reported.paths("support-migration-config") == ["data.MAX_ITERATIONS"]
    checksum = 'spec.template.metadata.annotations["checksum/config"]'
    assert reported.paths("support-workload-deployment") == [checksum]
    assert reported.impact.restarts[0].why == (checksum,)
    assert reported.impact.failures == ()


def test_a_resized_database_is_first_and_told_to_restart(tmp_path: Path, dev: Plan) -> None:
    reported = _report(tmp_path, dev, _in("database", instanceClass="db.t4g.large"))
    first = reported.diff.changes[0]
    assert (first.status, first.resource.name, first.guarded) == (Status.UPDATED, "database-instance", True)
    assert reported.paths("database-instance") == ["instanceClass"]
    assert reported.diff.headline == "+0 ~2 ±0 -0"
    [store] = reported.impact.stores
    window = "in the maintenance window (sun:03:30-sun:04:30)"
    assert store.how == f"instanceClass changes: a restart of some minutes, {window}"
    assert "support-workload-deployment" in store.users
    assert reported.impact.failures == (
        "database-instance restarts: requests wait for it, and fail after their time-out",
    )
    assert reported.impact.restarts == ()


def test_a_larger_disk_is_no_restart(tmp_path: Path, dev: Plan) -> None:
    reported = _report(tmp_path, dev, _in("database", allocatedStorage=40))
    assert reported.diff.headline == "+0 ~1 ±0 -0"
    assert reported.impact.stores[0].how == (
        "changed in place, without a restart, in the maintenance window (sun:03:30-sun:04:30)"
    )
    assert reported.impact.failures == ()


_RENAMED = 'lambda name, args, opts: original("store", args, {})'


def test_a_renamed_database_is_called_a_deletion(tmp_path: Path, dev: Plan) -> None:
    program = _patched("stacks.platform", "Checkpointer", _RENAMED.format("opts"))
    reported = _report(tmp_path, dev, program=program)
    first = reported.diff.changes[0]
    assert (first.status, first.resource.name) == (Status.DELETED, "database-instance")
    assert first.loses == "the checkpoints of every agent"
    assert "Instance store-instance looks like it under another name, and starts empty" in first.notes[0]
    assert 'aliases=[pulumi.Alias(name="database-instance")]' in first.notes[0]
    assert "Instance store-instance" in reported.names(Status.CREATED)
    assert reported.names(Status.MOVED) == set()
    assert [store.how for store in reported.impact.stores] == ["deleted"]


def test_a_database_renamed_with_an_alias_moves_and_nothing_else_changes(tmp_path: Path, dev: Plan) -> None:
    alias = (
        'pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[pulumi.Alias(name="database")]))'
    )
    reported = _report(
        tmp_path, dev, program=_patched("stacks.platform", "Checkpointer", _RENAMED.format(alias))
    )
    moved = reported.diff.of(Status.MOVED)
    assert reported.diff.headline == f"+0 ~0 ±0 -0 →{len(moved)}"
    assert {"Instance store-instance", "Secret store-admin-entry"} <= reported.names(Status.MOVED)
    assert all(change.before and change.before.name.startswith("database") for change in moved)
    assert reported.impact == Impact((), (), (), (), ())


def test_a_removed_agent_takes_its_own_and_nothing_of_the_others(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    before = make_plan("dev", project(first, settings=_with_research))
    reported = _report(second, before)
    deleted = reported.diff.of(Status.DELETED)
    assert reported.diff.counts[Status.CREATED] == reported.diff.counts[Status.REPLACED] == 0
    assert len(deleted) > 25
    assert all("research" in change.resource.name for change in deleted)
    assert reported.names(Status.UPDATED) == {"ResourceQuota namespace-quota", "UserGroup cache-users"}
    assert {change.resource.kind for change in deleted if change.loses} == {"Secret", "RandomPassword"}
    assert "research-workload-deployment goes: research does not answer for good" in reported.impact.failures
    assert [edge.by for edge in reported.impact.closed] == ["https://research.dev.agents.example.com"]
    assert reported.impact.restarts == ()


def _with_research(settings: Settings) -> None:
    settings["agents"].append({"name": "research", "host": "research.dev.agents.example.com"})


def test_an_added_agent_is_created_and_opens_its_host_alone(tmp_path: Path, dev: Plan) -> None:
    reported = _report(tmp_path, dev, _with_research)
    created = reported.diff.of(Status.CREATED)
    assert all("research" in change.resource.name for change in created)
    assert "Deployment research-workload-deployment" in reported.names(Status.CREATED)
    assert reported.names(Status.UPDATED) == {"ResourceQuota namespace-quota", "UserGroup cache-users"}
    assert reported.names(Status.REPLACED) == reported.names(Status.DELETED) == set()
    assert [edge.by for edge in reported.impact.opened] == ["https://research.dev.agents.example.com"]
    assert reported.impact.restarts == ()
    assert reported.impact.failures == ()


def test_an_opened_security_group_is_reported_with_what_it_opens(tmp_path: Path, dev: Plan) -> None:
    reported = _report(tmp_path, dev, program=_OPENED)
    assert reported.diff.headline == "+1 ~0 ±0 -0"
    assert reported.names(Status.CREATED) == {"SecurityGroupIngressRule database-from-anywhere"}
    [sentence] = exposure(reported.diff.after).open_but_unreachable
    assert sentence.startswith("database-instance: database-from-anywhere opens 5432/tcp to 0.0.0.0/0")


_OPENED = """
from unittest import mock
import pulumi_aws as aws
from components.stores.checkpointer import Checkpointer
original = Checkpointer._security_group
def opened(self):
    group = original(self)
    aws.vpc.SecurityGroupIngressRule(
        f"{self._name}-from-anywhere", security_group_id=group, cidr_ipv4="0.0.0.0/0",
        ip_protocol="tcp", from_port=5432, to_port=5432, opts=self._child,
    )
    return group
def changed():
    return mock.patch.object(Checkpointer, "_security_group", opened)
"""

_WITHOUT_READINESS = (
    "lambda *args, **kwargs: original(*args, **{k: v for k, v in kwargs.items() if k != 'readiness'})"
)


def test_a_dropped_probe_is_a_way_for_requests_to_fail(tmp_path: Path, dev: Plan) -> None:
    program = _patched("components.workload.workload", "pod_template", _WITHOUT_READINESS)
    reported = _report(tmp_path, dev, program=program)
    assert reported.diff.headline == "+0 ~1 ±0 -0"
    assert reported.paths("support-workload-deployment") == [
        "spec.template.spec.containers[0].readinessProbe"
    ]
    assert reported.impact.failures == (
        "support-workload-deployment rolls without a readiness probe on agent:"
        " support gets requests before it can answer",
    )


def test_another_selector_replaces_the_deployment_and_says_that_it_goes_first(
    tmp_path: Path, dev: Plan
) -> None:
    program = _patched(
        "stacks.agents", "selector_labels", 'lambda **labels: {"app.kubernetes.io/name": labels["name"]}'
    )
    reported = _report(tmp_path, dev, program=program)
    [replaced] = reported.diff.of(Status.REPLACED)
    assert replaced.resource.name == "support-workload-deployment"
    assert replaced.reasons == ('spec.selector.matchLabels["app.kubernetes.io/component"]',)
    assert replaced.notes == ("its name is fixed, so the old one goes before the new one comes",)
    assert (
        "support-workload-deployment is replaced: support does not answer until the new pods are ready"
        in reported.impact.failures
    )


def test_another_administrator_replaces_the_database_and_whatever_names_it(tmp_path: Path, dev: Plan) -> None:
    program = _patched("components.stores.checkpointer", "_ADMIN", '"another_admin"')
    reported = _report(tmp_path, dev, program=program)
    first = reported.diff.changes[0]
    assert (first.status, first.resource.name) == (Status.REPLACED, "database-instance")
    assert first.reasons == ("username",)
    assert first.loses == "the checkpoints of every agent"
    # The connection string names the user, so its entry has another version, and the Job that reads it runs again.
    assert "SecretVersion database-admin-version" in reported.names(Status.REPLACED)
    assert "Job support-migration-job" in reported.names(Status.REPLACED)
    assert (
        reported.impact.failures[0] == "database-instance is replaced: no agent reads or writes checkpoints"
    )


_SECRETS = [{"name": "API_KEYS", "source": "generated"}, {"name": "OPENAI_API_KEY", "source": "config"}]


def test_a_rotated_secret_is_seen_although_nobody_can_read_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, encrypted in ((first, "v1:aaaa"), (second, "v1:bbbb")):
        folder.mkdir()
        project(folder, settings=_in_agent(secrets=_SECRETS))
        file = folder / "Pulumi.dev.yaml"
        key = (
            f"  langgraph-agents:apiKeys:\n    support:\n      OPENAI_API_KEY:\n        secure: {encrypted}\n"
        )
        file.write_text(file.read_text().replace("config:\n", f"config:\n{key}", 1))
    before = make_plan("dev", first)
    diff = compare(before, make_plan("dev", second, before))
    assert diff.headline == "+0 ~1 ±1 -0"
    [replaced] = diff.of(Status.REPLACED)
    assert (replaced.resource.name, replaced.reasons) == ("support-openai-api-key-version", ("secretString",))
    [updated] = diff.of(Status.UPDATED)
    assert updated.resource.name == "support-workload-deployment"


def test_a_secret_that_pods_mount_and_may_no_longer_read_is_reported(dev: Plan) -> None:
    policy = next(
        r for r in dev.of_type("aws:iam/rolePolicy:RolePolicy") if r.name == "support-identity-policy"
    )
    changed = replace(policy, inputs={**policy.inputs, "policy": '{"Statement": []}'})
    after = replace(dev, resources={**dev.resources, policy.urn: changed})
    found = impact(compare(dev, after), exposure(dev), exposure(after))
    assert "support-workload-service-account may no longer read support-api-keys-entry" in found.failures


def test_a_store_that_a_policy_no_longer_lets_through_is_reported(tmp_path: Path, dev: Plan) -> None:
    program = _patched("components.workload.network_policies", "CACHE_PORT", "6380")
    reported = _report(tmp_path, dev, program=program)
    assert reported.names(Status.UPDATED) == {"NetworkPolicy support-network-server"}
    assert reported.impact.failures == (
        "support-workload-deployment no longer reaches cache-group (6379/tcp)",
    )
    assert reported.impact.restarts == ()
