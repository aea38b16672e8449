"""The product's own stacks, as their files are: up, again, changed, and down."""

import json
import os
import subprocess
from typing import Any

import pytest

from sandbox.__main__ import default_cache
from sandbox.binaries.build import find_or_build
from tests.e2e.harness import Done, Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

IMAGE = "registry.example.com/team/agent@sha256:"


@pytest.fixture(scope="module")
def first(product: Sandbox) -> Done:
    return product.up()


def test_dev_deploys_and_every_deployment_is_available(product: Sandbox, first: Done) -> None:
    deployments, jobs = product.objects("deployment"), product.objects("job")
    assert deployments
    assert all(d["status"].get("availableReplicas") == d["spec"]["replicas"] for d in deployments)
    assert jobs
    assert all(job["status"]["succeeded"] == 1 for job in jobs)


def test_the_outputs_tell_where_the_agents_are(product: Sandbox, first: Done) -> None:
    (told,) = json.loads(product.run("status", "--json").out)
    assert told["outputs"]["agents"]["support"].startswith("https://support.")


def test_a_repeat_changes_nothing(product: Sandbox, first: Done) -> None:
    assert "No changes" in product.up().out


def test_a_changed_setting_changes_what_it_is_about_and_nothing_else(product: Sandbox, first: Done) -> None:
    product.edit(lambda settings: settings["agents"][0].update(autoscaling={"cpu": 60, "memory": 80}))
    changed = product.up().changed
    assert {type_ for _, type_, _ in changed} == {"kubernetes:autoscaling/v2:HorizontalPodAutoscaler"}
    (autoscaler,) = product.objects("hpa")
    targets = {m["resource"]["name"]: m["resource"]["target"] for m in autoscaler["spec"]["metrics"]}
    assert targets["cpu"]["averageUtilization"] == 60


def test_a_changed_image_rolls_the_agent_and_runs_its_migration_again(product: Sandbox, first: Done) -> None:
    def use(digit: str) -> Done:
        product.edit(lambda settings: settings["agents"][0].update(image=IMAGE + digit * 64))
        return product.up()

    use("1")
    changed = use("2").changed
    # Of the Stack itself, whose outputs name what each agent runs, the engine tells last, and not always.
    assert {type_ for _, type_, _ in changed} - {"pulumi:pulumi:Stack"} == {
        "kubernetes:apps/v1:Deployment",
        "kubernetes:batch/v1:Job",
        "kubernetes:batch/v1:CronJob",
    }
    images = {
        c["image"] for d in product.objects("deployment") for c in d["spec"]["template"]["spec"]["containers"]
    }
    assert images == {IMAGE + "2" * 64}


def test_a_refused_setting_is_reported_by_its_field(product: Sandbox, first: Done) -> None:
    def zones(count: int) -> None:
        product.edit(lambda settings: settings["network"].update(zones=count))

    zones(1)
    done = product.run("up")
    zones(2)
    assert done.code == 2
    assert "network.zones" in done.out
    assert "Traceback" not in done.out


def test_no_secret_value_is_readable_in_the_sandbox(product: Sandbox, first: Done) -> None:
    secrets = _secrets(product)
    assert len(secrets) > 3
    files = [path for path in product.state.folder.rglob("*") if path.is_file() and "etcd" not in path.parts]
    texts = {path: path.read_bytes() for path in files}
    assert product.state.checkpoint("langgraph-agents") in texts
    found = {path for secret in secrets for path, text in texts.items() if secret.encode() in text}
    assert not found
    assert all(secret not in first.out for secret in secrets)


def test_prod_deploys_beside_it_by_an_engine_that_works_on_one_resource_at_a_time(
    product: Sandbox, first: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each place that is taken is missing elsewhere: what is awaited may need nothing that comes after it.
    monkeypatch.setenv("PULUMI_PARALLEL", "1")
    prod = Sandbox(product.project, product.root, stack="prod")
    prod.up()
    deployments = prod.objects("deployment")
    assert len(deployments) >= 2
    assert all(d["status"].get("availableReplicas") == d["spec"]["replicas"] for d in deployments)
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in prod.objects("node")}
    assert len(zones) == 3
    ours = [*prod.processes(), *product.processes()]
    assert len(ours) >= 10
    assert prod.run("down").code == 0
    assert not prod.state.folder.exists()
    assert product.run("status").code == 0


def _secrets(sandbox: Sandbox) -> set[str]:
    """Every secret value of the stack, decrypted by the engine itself."""
    engine, state = find_or_build(default_cache()), sandbox.state
    pulumi = engine.pulumi_root / "bin" / "pulumi" if engine.pulumi_root else "pulumi"
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": state.backend.as_uri(),
        "PULUMI_HOME": str(state.pulumi_home),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(state.passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    command = [pulumi, "stack", "export", "--show-secrets", "--stack", sandbox.stack]
    exported = subprocess.run(
        command, cwd=state.work, env=environment, capture_output=True, text=True, check=True
    )
    resources = json.loads(exported.stdout)["deployment"]["resources"]
    return {
        resource["outputs"]["result"]["plaintext"].strip('"')
        for resource in resources
        if resource["type"].startswith("random:") and _has_secret_result(resource)
    }


def _has_secret_result(resource: dict[str, Any]) -> bool:
    return isinstance(resource["outputs"].get("result"), dict)
