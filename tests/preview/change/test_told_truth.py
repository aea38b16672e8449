"""Changes to prod, against what AWS and the providers document: each case names the page."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preview.change.diff import Status, compare
from preview.change.impact import Impact, impact
from preview.exposure import exposure
from preview.recording.plan import Plan
from preview.recording.program import make_plan
from sandbox import emulated
from sandbox.emulated import changes
from sandbox.emulated.changes import Does
from tests.preview.change.every_setting import rows
from tests.preview.projects import Settings, plan_of, project, project_plan

Change = Callable[[Settings], object]


def judged(folder: Path, change: Change, before: Plan | None = None) -> Impact:
    before = before or project_plan("prod")
    after = make_plan("prod", project(folder, "prod", change), before)
    return impact(compare(before, after), exposure(before), exposure(after))


def _in(section: str, **values: object) -> Change:
    return lambda settings: settings[section].update(values)


def refused(found: Impact) -> dict[str, str]:
    return {refusal.what: refusal.instead for refusal in found.refused}


def _renamed(name: str = "helpdesk", **former: str) -> Change:
    return lambda settings: settings["agents"][0].update(name=name, **former)


def test_an_agent_under_another_name_that_begins_empty_is_an_error(tmp_path: Path) -> None:
    found = judged(tmp_path, _renamed())
    [sentence] = found.errors
    assert sentence.startswith("support goes, and helpdesk begins with an empty database")
    assert "every thread of support is out of reach" in sentence
    assert "stay in the database support of database-instance" in sentence
    assert "Set `renamedFrom: support` on helpdesk" in sentence
    assert [said.split(":")[0] for said in found.out_of_reach] == ["support goes"]
    assert "support-database-uri-entry: deleted" in refused(found)


def test_an_agent_that_is_renamed_from_keeps_everything_and_callers_find_it(tmp_path: Path) -> None:
    before = project_plan("prod")
    after = make_plan("prod", project(tmp_path, "prod", _renamed(renamedFrom="support")), before)
    diff = compare(before, after)
    found = impact(diff, exposure(before), exposure(after))
    assert [change for change in diff.changes if change.loses or change.status is Status.DELETED] == []
    replaced = {change.resource.kind for change in diff.of(Status.REPLACED)}
    assert replaced == {
        *("ConfigMap", "CronJob", "Deployment", "HorizontalPodAutoscaler"),
        *("Job", "NetworkPolicy", "PodDisruptionBudget", "Service"),
    }
    assert all(change.beside for change in diff.of(Status.REPLACED))
    assert (found.errors, found.out_of_reach, found.refused) == ((), (), ())
    assert (found.opened, found.closed, found.unknown) == ((), (), ())
    [sentence] = found.notes
    assert sentence.startswith("support is called helpdesk: its database, login, keys")
    assert found.failures == (
        "support-workload-deployment is made anew: helpdesk begins with one pod, and has less room for the minute that"
        " its autoscaler needs to start the others",
    )


def test_a_former_name_that_is_misspelt_is_an_error(tmp_path: Path) -> None:
    [sentence] = judged(tmp_path, _renamed(renamedFrom="suport")).errors
    assert "Set `renamedFrom: support` on helpdesk" in sentence


@pytest.fixture(scope="module")
def helpdesk(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The stack after `support` was renamed."""
    return make_plan(
        "prod", project(tmp_path_factory.mktemp("helpdesk"), "prod", _renamed(renamedFrom="support"))
    )


def test_a_second_new_name_that_keeps_the_first_loses_nothing(tmp_path: Path, helpdesk: Plan) -> None:
    found = judged(tmp_path, _renamed("desk", renamedFrom="support"), helpdesk)
    assert (found.errors, found.out_of_reach, found.refused) == ((), (), ())
    assert found.notes[0].startswith("helpdesk is called desk")


def test_a_second_new_name_that_names_the_one_between_is_an_error(tmp_path: Path, helpdesk: Plan) -> None:
    [sentence] = judged(tmp_path, _renamed("desk", renamedFrom="helpdesk"), helpdesk).errors
    assert "stay in the database support of" in sentence
    assert "Set `renamedFrom: support` on desk" in sentence


def test_a_former_name_that_is_taken_away_is_an_error(tmp_path: Path, helpdesk: Plan) -> None:
    [sentence, overwritten] = judged(tmp_path, _renamed(), helpdesk).errors
    assert overwritten.startswith("helpdesk-")
    assert sentence.startswith("helpdesk begins with an empty database")
    assert "Set `renamedFrom: support` on helpdesk" in sentence


def test_an_agent_that_only_goes_is_not_called_renamed(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda settings: settings["agents"].pop(1))
    [sentence] = found.out_of_reach
    assert sentence.startswith("research goes: its threads stay in the database research")
    assert "under research:" in sentence
    assert found.errors == ()
    assert not any("is called" in note for note in found.notes)


def test_names_of_secrets_that_go_are_taken_for_a_while(tmp_path: Path) -> None:
    """manage_delete-secret"""
    found = judged(tmp_path, lambda settings: settings["agents"].pop(1))
    [note] = found.notes
    assert note.startswith(
        "the secrets langgraph-agents/prod/research/{ANTHROPIC_API_KEY, API_KEYS, cache, database} can be restored for"
        " 30 days"
    )
    assert "restore-secret" in note


def test_an_agent_that_comes_may_have_been_there_lately(tmp_path: Path) -> None:
    def change(settings: Settings) -> None:
        settings["agents"].append(
            {**settings["agents"][0], "name": "triage", "host": "triage.agents.example.com"}
        )

    [note] = judged(tmp_path, change).notes
    assert note.startswith(
        "the secrets langgraph-agents/prod/triage/{API_KEYS, OPENAI_API_KEY, cache, database}"
    )
    assert "if some of these names were deleted in the last 30 days" in note


def test_secrets_that_are_deleted_at_once_leave_no_names_behind(tmp_path: Path) -> None:
    before = project_plan("dev")
    after = make_plan("dev", project(tmp_path, "dev", lambda s: s["agents"][0].update(name="desk")), before)
    diff = compare(before, after)
    found = impact(diff, exposure(before), exposure(after))
    assert found.notes == ()
    lost = {change.loses for change in diff.of(Status.DELETED) if change.resource.kind == "Secret"}
    assert lost == {"the secret's value, at once and for good"}


def _secret_again(**changed: Any) -> tuple[Plan, Plan]:
    """A plan, and one in which a secret of the same name is another resource."""
    before = project_plan("prod")
    [urn] = [
        r.urn for r in before.of_type("aws:secretsmanager/secret:Secret") if r.name == "cache-support-entry"
    ]
    old = before.resources[urn]
    new = replace(old, **changed)
    rest = {key: value for key, value in before.resources.items() if key != urn}
    return before, replace(before, resources={**rest, new.urn: new})


def test_a_secret_does_not_come_before_the_one_of_its_name_goes() -> None:
    before, after = _secret_again(
        urn="urn:pulumi:prod::langgraph-agents::a$b::other", name="other", aliases=()
    )
    found = impact(compare(before, after), exposure(before), exposure(after))
    assert "delete-secret --force-delete-without-recovery" in refused(found)["other: created"]
    assert "langgraph-agents/prod/support/cache" in refused(found)["other: created"]


def test_a_secret_is_not_replaced_under_a_name_that_is_taken_for_a_while() -> None:
    before, _ = _secret_again()
    [old] = [r for r in before.of_type("aws:secretsmanager/secret:Secret") if r.name == "cache-support-entry"]
    _, after = _secret_again(
        inputs={**old.inputs, "description": "another"}, replace_on_changes=("description",)
    )
    found = impact(compare(before, after), exposure(before), exposure(after))
    assert "deploy secretRecoveryDays: 0 first" in refused(found)["cache-support-entry: replaced"]


def test_a_major_upgrade_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    """USER_UpgradeDBInstance.PostgreSQL.MajorVersion.Process"""
    found = judged(tmp_path, _in("database", engineVersion="18"))
    assert "database.allowMajorUpgrade: true" in refused(found)["database-instance: engineVersion"]
    [store] = found.stores
    assert "refused" in store.how
    assert "failover" not in store.how


def test_a_major_upgrade_that_is_allowed_is_an_outage_without_a_way_back(tmp_path: Path) -> None:
    found = judged(tmp_path, _in("database", engineVersion="18", allowMajorUpgrade=True))
    assert refused(found) == {}
    [store] = found.stores
    # The old parameter group goes with it, which RDS does not delete before.
    assert "away for 10 minutes or more, at once" in store.how
    assert any("undone only by restoring the snapshot" in door for door in found.one_way)
    assert "database-instance restarts: requests wait for it, and fail after their time-out" in found.failures


def test_valkey_does_not_become_redis(tmp_path: Path) -> None:
    found = judged(tmp_path, _in("cache", engine="redis", engineVersion="7.1"))
    assert "keep cache.engine: valkey" in refused(found)["cache-group: engine"]
    assert "cache-group: replaced" in refused(found)
    assert all("failover" not in store.how for store in found.stores)


def test_other_instance_types_move_every_pod(tmp_path: Path) -> None:
    """delete-managed-node-group: nodes are drained"""

    def change(settings: Settings) -> None:
        settings["cluster"]["nodeGroups"][0]["instanceTypes"] = ["m7i.2xlarge"]

    found = judged(tmp_path, change)
    assert {restart.agent for restart in found.restarts} == {"support", "research"}
    assert "nodes of cluster-general: instanceTypes[0]" in found.restarts[0].why[0]
    assert found.failures == ()


def test_fewer_zones_move_every_pod_and_are_refused(tmp_path: Path) -> None:
    """network-reqs: the same set of zones as when the cluster was made"""
    found = judged(tmp_path, _in("network", zones=2))
    assert {restart.agent for restart in found.restarts} == {"support", "research"}
    assert "keep network.zones" in refused(found)["cluster-cluster: vpcConfig.subnetIds"]
    assert "database-subnets: subnetIds" in refused(found)


def test_a_disk_does_not_shrink(tmp_path: Path) -> None:
    found = judged(tmp_path, _in("database", allocatedStorage=50))
    assert "dump of each database" in refused(found)["database-instance: allocatedStorage"]
    assert "in place" not in found.stores[0].how


def test_a_disk_that_grows_does_not_shrink_again(tmp_path: Path) -> None:
    found = judged(tmp_path, _in("database", allocatedStorage=200))
    assert refused(found) == {}
    assert found.stores[0].how == (
        "changed in place, without a restart, in the maintenance window (sun:03:30-sun:04:30)"
    )
    assert found.one_way == ("database-instance, allocatedStorage: RDS cannot make a disk smaller",)


def test_a_tag_rolls_every_node(tmp_path: Path) -> None:
    """launch-templates: a new version of the template replaces the nodes of its group"""
    found = judged(tmp_path, _in("tags", team="ai"))
    assert {restart.agent for restart in found.restarts} == {"support", "research"}
    assert "nodes of cluster-general-template: tagSpecifications[0]" in found.restarts[0].why[0]


def test_kubernetes_is_upgraded_by_one_minor_version_and_never_back(tmp_path: Path) -> None:
    found = judged(tmp_path, _in("cluster", version="1.35"))
    assert "a stack of its own" in refused(found)["cluster-cluster: version"]


def _on_arm(settings: Settings) -> None:
    """The images that the stack builds, on other nodes."""
    del settings["defaults"]["image"]
    settings["cluster"]["architecture"] = "arm64"
    settings["cluster"]["nodeGroups"][0]["instanceTypes"] = ["m7g.xlarge"]


def test_nodes_of_another_processor_get_the_pods_that_are_built_for_them(tmp_path: Path) -> None:
    found = judged(tmp_path, _on_arm, plan_of("prod"))
    assert {restart.agent for restart in found.restarts} == {"support", "research"}
    assert found.failures == ()
    [note] = found.notes
    assert note.startswith("the nodes become arm64: the new ones are there before pods of the new images")


def test_pods_that_do_not_say_their_processor_may_crash_while_it_changes(tmp_path: Path) -> None:
    """Such as those of the version before they did."""
    before = plan_of("prod")
    silent = {
        urn: replace(resource, inputs=_without_selector(resource.inputs))
        if resource.kind == "Deployment"
        else resource
        for urn, resource in before.resources.items()
    }
    found = judged(tmp_path, _on_arm, replace(before, resources=silent))
    assert [sentence.split(" that run now")[0] for sentence in found.failures] == [
        "pods of research",
        "pods of support",
    ]
    assert "Deploy once with cluster.architecture as it was" in found.failures[0]


def _without_selector(inputs: Mapping[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(inputs))
    del changed["spec"]["template"]["spec"]["nodeSelector"]
    return changed


def test_images_of_others_have_to_fit_nodes_of_another_processor(tmp_path: Path) -> None:
    def change(settings: Settings) -> None:
        image = settings["defaults"]["image"]
        _on_arm(settings)
        settings["defaults"]["image"] = image

    found = judged(tmp_path, change)
    assert found.failures == ()
    assert [note.split(",")[0] for note in found.notes[1:]] == [
        "research brings its own image and says no kubernetes.io/arch: it has to be built for arm64 as well",
        "support brings its own image and says no kubernetes.io/arch: it has to be built for arm64 as well",
    ]


def test_an_agent_of_one_pod_does_not_answer_while_it_moves(tmp_path: Path) -> None:
    before = project_plan("dev")

    def change(settings: Settings) -> None:
        settings["cluster"]["nodeGroups"][0]["diskSize"] = 80

    after = make_plan("dev", project(tmp_path, "dev", change), before)
    found = impact(compare(before, after), exposure(before), exposure(after))
    assert found.failures[0] == (
        "support may run as one pod, which is evicted before another one starts:"
        " it does not answer for about a minute"
    )


@pytest.mark.parametrize(
    ("controller", "waits"),
    [
        (
            "traefik",
            "external-dns has written its record and cert-manager has its certificate, a minute or two",
        ),
        ("alb", "external-dns has written its record, about a minute"),
    ],
)
def test_another_host_is_reached_when_its_name_and_certificate_are_there(
    controller: str, waits: str, tmp_path: Path
) -> None:
    def as_it_is(settings: Settings) -> None:
        settings["ingress"]["controller"] = controller

    def change(settings: Settings) -> None:
        as_it_is(settings)
        settings["agents"][0]["host"] = "help.agents.example.com"

    folders = tmp_path / "before", tmp_path / "after"
    for folder in folders:
        folder.mkdir()
    found = judged(folders[1], change, make_plan("prod", project(folders[0], "prod", as_it_is)))
    assert found.notes == (
        f"support is reached at help.agents.example.com when {waits} after the change; nobody is sent on from"
        " support.agents.example.com",
    )


def test_another_checkpointer_leaves_threads_behind(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda settings: settings["agents"][0].update(checkpointer="valkey"))
    assert found.out_of_reach == (
        "support keeps checkpoints in valkey: its threads in postgres stay there and are out of reach until it"
        " is changed back",
    )


def test_another_key_prefix_leaves_keys_behind(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda settings: settings["agents"][0].update(keyPrefix="desk"))
    [sentence] = found.out_of_reach
    assert "~support:*" in sentence


def test_shorter_retention_of_logs_is_a_one_way_door(tmp_path: Path) -> None:
    found = judged(tmp_path, _in("cluster", logRetentionDays=30))
    assert "cluster-logs, retentionInDays: deleted logs do not come back" in found.one_way


def test_what_the_table_lacks_is_not_known() -> None:
    before = project_plan("prod")
    [urn] = [resource.urn for resource in before.of_type("aws:rds/instance:Instance")]
    old = before.resources[urn]
    new = replace(old, inputs={**old.inputs, "engineLifecycleSupport": "none"})
    after = replace(before, resources={**before.resources, urn: new})
    found = impact(compare(before, after), exposure(before), exposure(after))
    assert found.unknown == ("database-instance: engineLifecycleSupport",)
    assert found.stores[0].how == "engineLifecycleSupport: what a change does is not known"


_SWITCHES: dict[str, Change] = {
    "as it is": lambda settings: None,
    "alb": _in("ingress", controller="alb"),
    "auto mode": lambda settings: settings["cluster"].update(compute="auto-mode", nodeGroups=[]),
    "redis": _in("cache", engine="redis", engineVersion="7.1"),
    "administrators": _in("cluster", adminPrincipalArns=["arn:aws:iam::123456789012:role/admin"]),
}


@pytest.mark.parametrize("switch", _SWITCHES)
def test_every_property_of_the_stacks_has_a_row(switch: str, tmp_path: Path) -> None:
    """A new property of a component is given a row before its change is told."""
    plans = [plan_of("dev"), make_plan("prod", project(tmp_path, "prod", _SWITCHES[switch]))]
    missing = {
        f"{resource.type} {path}"
        for plan in plans
        for resource in plan.resources.values()
        if resource.custom
        for path in _paths(resource.inputs)
        if not any(_known(path, name) for row in changes.rows(resource.type) for name in row.properties)
    }
    assert missing == set()


def _paths(inputs: Any) -> list[str]:
    """The properties, and of those that the table looks into what is within them."""
    inner = ("spec", "metadata", "vpcConfig", "accessConfig")
    return [
        path
        for key, value in inputs.items()
        for path in ([f"{key}.{name}" for name in value] if key in inner else [key])
    ]


def _known(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.") or name.startswith(f"{path}.")


def test_every_row_has_a_page_and_says_what_to_do_instead() -> None:
    for type_ in changes.types():
        for row in changes.rows(type_):
            assert row.source.startswith("https://"), (type_, row.properties)
            assert bool(row.instead) is (row.does is Does.REFUSED), (type_, row.properties)
            assert not row.condition or row.condition in changes._CONDITIONS, (type_, row.condition)


def test_what_is_emulated_is_in_the_table() -> None:
    assert emulated._KINDS.keys() <= changes.types()


_VENDORS = frozenset(
    {
        "docs.aws.amazon.com",
        "karpenter.sh",
        "kubernetes.io",
        "cert-manager.io",
        "doc.traefik.io",
        "secrets-store-csi-driver.sigs.k8s.io",
        "www.pulumi.com",
        # Of changes of settings alone.
        "aws.amazon.com",
        "docs.docker.com",
        "docs.langchain.com",
        "letsencrypt.org",
        "keda.sh",
        "kubernetes-sigs.github.io",
        "www.pgbouncer.org",
        "www.postgresql.org",
    }
)
_PAGE = re.compile(r"https://([\w.-]+)/([\w./-]+)(#[\w:.-]+)?")


def test_every_page_is_of_its_vendor_and_has_the_form_that_its_pages_have() -> None:
    pages = {(type_, row.source) for type_ in changes.types() for row in changes.rows(type_)}
    pages |= {("", row.truth["source"]) for row in rows()}
    wrong = {
        (type_, page) for type_, page in pages if not _is_a_page(page) or not _is_of_its_type(page, type_)
    }
    assert wrong == set()


def _is_a_page(page: str) -> bool:
    found = _PAGE.fullmatch(page)
    if found is None or found[1] not in _VENDORS or "//" in found[2]:
        return False
    return found[2].endswith(".html") if found[1] == "docs.aws.amazon.com" else True


def _is_of_its_type(page: str, type_: str) -> bool:
    """Of the registry, the page of the type itself, or of the package's provider."""
    found = re.fullmatch(
        r"https://www\.pulumi\.com/registry/packages/([\w-]+)/api-docs/([\w./-]+)/(#\w+)?", page
    )
    if found is None or not type_:
        return True
    package, module, kind = type_.split(":")
    if type_.startswith("pulumi:providers:"):
        return (found[1], found[2]) == (kind, "provider")
    own = {
        f"{module.split('/')[0]}/{kind}".lower(),
        kind.lower(),
        f"{module.replace('.sh', '')}/{kind}".lower(),
    }
    return found[1] == package and found[2] in {*own, "provider"}
