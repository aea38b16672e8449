"""The whole of both stacks: what holds of every resource, and what each setting changes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate
import pytest

from policies import check
from preview.recording.plan import PlannedResource as Resource
from preview.recording.plan import Secret
from preview.recording.recorder import Recording
from tests.components.reading import closure
from tests.conftest import record_with, recorded
from tests.policies.plans import MadePlan
from tests.stacks.stack_files import changed, settings_of

CUSTOM_KINDS = {"ClusterIssuer", "Middleware", "SecretProviderClass"}
STATEFUL = {
    "aws:rds/instance:Instance",
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "aws:ec2/vpc:Vpc",
    "aws:eks/cluster:Cluster",
    "aws:secretsmanager/secret:Secret",
    "aws:kms/key:Key",
    "aws:ecr/repository:Repository",
}


def manifests(recording: Recording) -> list[Resource]:
    return [
        resource
        for resource in recording.resources.values()
        if resource.type.startswith("kubernetes:") and "helm.sh" not in resource.type
    ]


def secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from texts_in(value.value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets_in(item)


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, str):
        yield value


def plain_text(recording: Recording) -> str:
    """All that is not marked secret."""
    everything = [
        {"inputs": resource.inputs, "outputs": resource.outputs, "name": resource.name, "id": resource.id}
        for resource in recording.resources.values()
    ]
    return json.dumps([everything, recording.outputs], default=lambda secret: repr(secret))


def test_every_manifest_is_valid_for_the_clusters_version(stack: Recording) -> None:
    checked = 0
    for resource in manifests(stack):
        if resource.inputs["kind"] in CUSTOM_KINDS:
            continue
        kubernetes_validate.validate(dict(resource.inputs), "1.36", strict=True)
        checked += 1
    assert checked > 15


def test_only_kinds_that_add_ons_bring_are_outside_the_schemas(stack: Recording) -> None:
    custom = {r.inputs["kind"] for r in manifests(stack) if "." in r.type.split(":")[1].split("/")[0]}
    assert {kind for kind in custom if kind in CUSTOM_KINDS} == CUSTOM_KINDS


def test_no_secret_value_stands_in_plain_anywhere() -> None:
    settings = changed("dev", "agents.0.secrets", [{"name": "API_KEYS"}])
    recording = record_with("dev", settings, api_keys={"support": {"API_KEYS": "a-key-that-must-not-leak"}})
    passwords = recording.of_type("random:index/randomPassword:RandomPassword")
    values = recording.of_type("aws:secretsmanager/secretVersion:SecretVersion")
    secrets = {*secrets_in([r.outputs["result"] for r in passwords]), *secrets_in([r.inputs for r in values])}
    assert "a-key-that-must-not-leak" in secrets
    assert len(secrets) == 7  # three passwords, the URIs that hold them, and the key
    plain = plain_text(recording)
    assert [secret for secret in secrets if secret in plain] == []


def test_every_object_says_what_it_belongs_to(stack: Recording) -> None:
    for resource in manifests(stack):
        found = resource.inputs["metadata"]["labels"]
        assert found["app.kubernetes.io/part-of"] == "langgraph-agents", resource.urn
        assert found["app.kubernetes.io/managed-by"] == "pulumi", resource.urn


def test_every_pod_runs_an_image_by_digest(stack: Recording) -> None:
    images = [
        text for resource in manifests(stack) for text in texts_in(resource.inputs) if "dkr.ecr" in text
    ]
    assert images
    assert all("@sha256:" in image for image in images)


def test_what_holds_data_is_protected_in_production() -> None:
    for type_ in STATEFUL:
        found = recorded("prod").of_type(type_)
        assert found, type_
        assert [resource.urn for resource in found if not resource.protect] == []


def test_nothing_is_protected_in_development(dev: Recording) -> None:
    assert [resource.urn for resource in dev.resources.values() if resource.protect] == []


def test_the_rollout_waits_for_the_migration_and_the_migration_for_its_leave_to_run(stack: Recording) -> None:
    for deployment in stack.of_type("kubernetes:apps/v1:Deployment"):
        agent = deployment.inputs["metadata"]["name"]
        job = stack.named(f"{agent}-migration-job")
        assert job.urn in deployment.dependencies
        for leaf in (
            f"{agent}-migrate-identity-association",
            f"{agent}-network-maintenance",
            f"{agent}-database-uri-version",
        ):
            assert stack.named(leaf).urn in closure(stack, job), leaf
        assert stack.named(f"{agent}-identity-association").urn in closure(stack, deployment)


@pytest.mark.parametrize("stack_name", ["dev", "prod"])
@pytest.mark.parametrize("pooler", ["none", "pgbouncer"])
def test_what_is_awaited_comes_after_the_pods_that_it_is_awaited_for(stack_name: str, pooler: str) -> None:
    """The engine works on a few resources at once: if all wait for one whose turn comes later, it stands still."""
    stack = record_with(stack_name, changed(stack_name, "database.pooler", pooler))
    deployments = stack.of_type("kubernetes:apps/v1:Deployment")
    services = {each.inputs["metadata"]["name"]: each for each in stack.of_type("kubernetes:core/v1:Service")}
    for service in services.values():
        selector = service.inputs["spec"]["selector"].items()
        behind = {
            each.urn
            for each in deployments
            if selector <= each.inputs["spec"]["template"]["metadata"]["labels"].items()
        }
        assert behind, service.urn
        assert behind <= closure(stack, service)
    for ingress in stack.of_type("kubernetes:networking.k8s.io/v1:Ingress"):
        (rule,) = ingress.inputs["spec"]["rules"]
        service = services[rule["http"]["paths"][0]["backend"]["service"]["name"]]
        assert service.urn in closure(stack, ingress)


@pytest.mark.parametrize("controller", ["traefik", "alb"])
def test_what_has_a_load_balancer_is_gone_before_the_controller_that_takes_it_away(controller: str) -> None:
    """Pulumi deletes in the opposite order, and the controller's finalizers hold objects until it has done its part."""
    stack = record_with("dev", changed("dev", "ingress.controller", controller))
    release = stack.named("load-balancer-controller-release").urn
    held = [
        each
        for each in stack.resources.values()
        if each.name in {"traefik-namespace", "traefik-release"} or each.type.endswith(":Ingress")
    ]
    assert held
    for resource in held:
        assert release in closure(stack, resource), resource.urn


def test_agents_do_not_wait_for_each_other(prod: Recording) -> None:
    def of(agent: str) -> set[str]:
        root = prod.named(agent).urn
        return {urn for urn, r in prod.resources.items() if ancestors(prod, r) & {root}}

    support, research = of("support"), of("research")
    assert support
    assert research
    for urn in research:
        assert not closure(prod, prod.resources[urn]) & support


def ancestors(recording: Recording, resource: Resource) -> set[str]:
    found: set[str] = set()
    parent = resource.parent
    while parent in recording.resources:
        found.add(parent)
        parent = recording.resources[parent].parent
    return found


def test_each_entry_is_read_by_one_agents_identities_alone(prod: Recording) -> None:
    readers: dict[str, set[str]] = {}
    for policy in prod.of_type("aws:iam/rolePolicy:RolePolicy"):
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            if "secretsmanager:GetSecretValue" in statement["Action"]:
                for arn in statement["Resource"]:
                    readers.setdefault(arn, set()).add(policy.name)
    own = {arn: names for arn, names in readers.items() if "/database/admin" not in arn}
    assert len(own) == 8
    for arn, names in own.items():
        agent = arn.split("/")[2]
        allowed = {f"{agent}-identity-policy"} | (
            {f"{agent}-migrate-identity-policy"} if "/database-" in arn else set()
        )
        assert names == allowed, arn
    (admin,) = [names for arn, names in readers.items() if "/database/admin" in arn]
    assert admin == {"support-migrate-identity-policy", "research-migrate-identity-policy"}


def test_the_outputs_are_what_others_need_and_nothing_secret(stack: Recording) -> None:
    assert set(stack.outputs) == {
        "agents",
        "images",
        "secret_arns",
        "namespace",
        "cluster_name",
        "database_endpoint",
        "cache_endpoint",
    }
    assert list(secrets_in(stack.outputs)) == []
    assert all(url.startswith("https://") for url in stack.outputs["agents"].values())


def test_production_spreads_over_three_zones_with_a_nat_gateway_in_each(
    dev: Recording, prod: Recording
) -> None:
    assert len(dev.of_type("aws:ec2/natGateway:NatGateway")) == 1
    assert len(prod.of_type("aws:ec2/natGateway:NatGateway")) == 3


EFFECTS: list[tuple[str, Any, str, str, Any]] = [
    # path in the dev stack's settings, value, type of the resource, path of the property, its value
    (
        "agents.0.replicas",
        {"min": 2, "max": 7},
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        "spec.maxReplicas",
        7,
    ),
    (
        "agents.0.checkpointHistory",
        "keep_latest",
        "kubernetes:core/v1:ConfigMap",
        "data.CHECKPOINT_HISTORY",
        "keep_latest",
    ),
    ("agents.0.maxIterations", 99, "kubernetes:core/v1:ConfigMap", "data.MAX_ITERATIONS", "99"),
    ("agents.0.env", {"REGION_HINT": "eu"}, "kubernetes:core/v1:ConfigMap", "data.REGION_HINT", "eu"),
    (
        "agents.0.retention",
        {"schedule": "0 1 * * *"},
        "kubernetes:batch/v1:CronJob",
        "spec.schedule",
        "0 1 * * *",
    ),
    (
        "agents.0.rateLimit",
        {"average": 5, "burst": 9},
        "kubernetes:traefik.io/v1alpha1:Middleware",
        "spec.rateLimit.average",
        5,
    ),
    ("namespace", "agents", "kubernetes:core/v1:Namespace", "metadata.name", "agents"),
    (
        "ingress.issuer",
        "letsencrypt-prod",
        "kubernetes:cert-manager.io/v1:ClusterIssuer",
        "metadata.name",
        "letsencrypt-prod",
    ),
    ("database.instanceClass", "db.m7g.large", "aws:rds/instance:Instance", "instanceClass", "db.m7g.large"),
    ("database.multiAz", True, "aws:rds/instance:Instance", "multiAz", True),
    ("cache.engine", "redis", "aws:elasticache/replicationGroup:ReplicationGroup", "engine", "redis"),
    ("cluster.version", "1.35", "aws:eks/cluster:Cluster", "version", "1.35"),
    ("network.cidr", "10.99.0.0/16", "aws:ec2/vpc:Vpc", "cidrBlock", "10.99.0.0/16"),
]


@pytest.mark.parametrize(("path", "value", "type_", "prop", "expected"), EFFECTS, ids=[e[0] for e in EFFECTS])
def test_a_setting_reaches_the_resource_it_is_for(
    path: str, value: Any, type_: str, prop: str, expected: Any
) -> None:
    settings = changed("dev", path, value)
    if path == "cache.engine":
        settings["cache"]["engineVersion"] = "7.1"
    values = []
    for resource in record_with("dev", settings).of_type(type_):
        at: Any = resource.inputs
        for step in prop.split("."):
            at = at.get(step) if isinstance(at, Mapping) else None
        values.append(at)
    assert expected in values


def test_an_image_of_ones_own_is_used_by_its_digest_and_nothing_is_built() -> None:
    image = "registry.example.com/team/agent@sha256:" + "b" * 64
    recording = record_with("dev", changed("dev", "agents.0.image", image))
    assert recording.of_type("docker-build:index:Image") == []
    (deployment,) = recording.of_type("kubernetes:apps/v1:Deployment")
    assert deployment.inputs["spec"]["template"]["spec"]["containers"][0]["image"] == image


@pytest.mark.parametrize("compute", ["node-groups", "auto-mode"])
def test_every_peer_of_a_network_policy_is_somebody_that_the_compute_mode_has(compute: str) -> None:
    settings = changed("dev", "cluster.compute", compute)
    if compute == "auto-mode":
        del settings["cluster"]["nodeGroups"]
    made = record_with("dev", settings)
    addons = {a.inputs["addonName"] for a in made.of_type("aws:eks/addon:Addon")}
    charts = {r.inputs["name"] for r in made.of_type("kubernetes:helm.sh/v3:Release")}
    # Labels of the pods of add-ons and charts, by whom they come from. `monitoring` is the user's own.
    pods = {
        ("kube-system", "k8s-app", "kube-dns"): "coredns" in addons,
        ("traefik", "app.kubernetes.io/name", "traefik"): "traefik" in charts,
        ("monitoring", None, None): True,
    }
    peers = [
        peer
        for policy in made.of_type("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        for direction, field in (("ingress", "from"), ("egress", "to"))
        for rule in policy.inputs["spec"].get(direction) or ()
        for peer in rule[field]
        if "namespaceSelector" in peer
    ]
    assert peers
    for peer in peers:
        namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        labels = peer.get("podSelector", {}).get("matchLabels") or {None: None}
        assert all(pods[namespace, key, value] for key, value in labels.items()), peer


def test_node_groups_grow_and_shrink_and_no_run_is_cut_short_by_it(prod: Recording) -> None:
    values = prod.named("cluster-autoscaler-release").inputs["values"]
    assert values["autoDiscovery"]["clusterName"] == prod.named("cluster-cluster").inputs["name"]
    # Of Pulumi.prod.yaml: gracePeriod 640.
    assert values["extraArgs"]["max-graceful-termination-sec"] == 640
    assert values["replicaCount"] == 2


def test_karpenter_comes_beside_the_node_group_that_it_runs_on() -> None:
    settings = changed("prod", "cluster.compute", "karpenter")
    settings["agents"][0]["spot"] = True
    made = record_with("prod", settings)
    assert check(MadePlan(tuple(made.resources.values()))) == []
    assert {r.inputs["name"] for r in made.of_type("kubernetes:helm.sh/v3:Release")} >= {
        "karpenter",
        "karpenter-crd",
    }
    with pytest.raises(LookupError):
        made.named("cluster-autoscaler-release")
    pods = {
        deployment.inputs["metadata"]["name"]: deployment.inputs["spec"]["template"]["spec"]
        for deployment in made.of_type("kubernetes:apps/v1:Deployment")
    }
    assert pods["support"]["tolerations"][0]["value"] == "spot"
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in pods["support"]["affinity"]["nodeAffinity"]
    assert "tolerations" not in pods["research"]


def test_auto_mode_makes_no_nodes_and_an_application_load_balancer_no_traefik() -> None:
    settings = changed("dev", "cluster.compute", "auto-mode")
    del settings["cluster"]["nodeGroups"]
    auto = record_with("dev", settings)
    assert auto.of_type("aws:eks/nodeGroup:NodeGroup") == []
    assert len(auto.of_type("kubernetes:helm.sh/v3:Release")) == 1
    assert (
        auto.named("network-policy-controller-config").inputs["data"]["enable-network-policy-controller"]
        == "true"
    )
    alb = record_with("dev", changed("dev", "ingress.controller", "alb"))
    assert {r.name for r in alb.of_type("kubernetes:helm.sh/v3:Release")} == {
        "cluster-autoscaler-release",
        "load-balancer-controller-release",
    }
    assert len(alb.of_type("aws:acm/certificate:Certificate")) == 1


def test_an_existing_secret_is_referenced_and_not_made() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shared/openai-AbCdEf"
    secrets = [
        {"name": "API_KEYS", "source": "generated"},
        {"name": "OPENAI_API_KEY", "source": "existing", "arn": arn},
    ]
    recording = record_with("dev", changed("dev", "agents.0.secrets", secrets))
    assert recording.outputs["secret_arns"]["support"]["OPENAI_API_KEY"] == arn
    assert not any(
        "OPENAI" in r.inputs["name"] for r in recording.of_type("aws:secretsmanager/secret:Secret")
    )


def test_a_secret_filled_in_by_hand_is_made_without_a_value(prod: Recording) -> None:
    entries = {r.inputs["name"] for r in prod.of_type("aws:secretsmanager/secret:Secret")}
    assert "langgraph-agents/prod/support/OPENAI_API_KEY" in entries
    assert not any(
        r.name.startswith("support-openai")
        for r in prod.of_type("aws:secretsmanager/secretVersion:SecretVersion")
    )


def test_the_same_code_makes_both_stacks() -> None:
    assert settings_of("dev").keys() <= settings_of("prod").keys() | {"defaults"}
