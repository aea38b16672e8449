"""Stack files that are wrong, and what a person reads of it."""

from typing import Any

import pytest

from stacks.loading import SettingsError, load
from stacks.vocabulary import MODEL_PROVIDERS
from tests.stacks.stack_files import changed, settings_of


def problems(settings: object, api_keys: object = None) -> dict[str, str]:
    """Remedies by field."""
    with pytest.raises(SettingsError) as caught:
        load(settings, stack="test", api_keys=api_keys)
    return {problem.field: problem.remedy for problem in caught.value.problems}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_stack_files_of_the_repository_are_valid(stack: str) -> None:
    settings = load(settings_of(stack), stack=stack)
    assert settings.production is (stack == "prod")


def test_settings_that_are_missing_are_asked_for_with_an_example() -> None:
    assert "Pulumi.dev.yaml is an example" in problems(None)["settings"]


def test_secrets_are_deleted_at_once_in_development_alone() -> None:
    settings = {stack: dict(settings_of(stack)) for stack in ("dev", "prod")}
    settings["prod"].pop("secretRecoveryDays")
    found = {stack: load(given, stack=stack).secret_recovery_days for stack, given in settings.items()}
    assert found == {"dev": 0, "prod": 7}
    assert load(changed("dev", "secretRecoveryDays", 30), stack="dev").secret_recovery_days == 30


CASES: list[tuple[str, str, Any, str, str]] = [
    ("dev", "secretRecoveryDays", 6, "secretRecoveryDays", "use 7 to 30, or 0 to delete at once"),
    ("dev", "secretRecoveryDays", 31, "secretRecoveryDays", "0 to 30"),
    ("prod", "secretRecoveryDays", 0, "secretRecoveryDays", "production needs 7 to 30 days"),
    # stack, path that is changed, value, field that is named, words of the remedy
    ("dev", "network.cidr", "10.20.0.0", "network.cidr", "use a /16 to /20"),
    ("dev", "network.cidr", "10.20.0.1/16", "network.cidr", "IPv4 network"),
    ("dev", "network.cidr", "10.20.0.0/24", "network.cidr", "use a /16 to /20"),
    ("dev", "network.zones", 1, "network.zones", "a whole number, without quotes: 2 to 3"),
    ("dev", "network.cidr", "52.10.0.0/16", "network.cidr", "is not private"),
    (
        "dev",
        "network.cidr",
        "172.20.0.0/18",
        "network.cidr",
        "overlaps 172.20.0.0/16, which EKS numbers Services from",
    ),
    ("dev", "network.cidr", "10.100.0.0/16", "network.cidr", "such as 10.101.0.0/16"),
    ("dev", "cluster.addonVersions", {"vpc-cny": "v1.21.1-eksbuild.3"}, "cluster.addonVersions", "vpc-cni"),
    ("dev", "cluster.addonVersions", {"coredns": "1.14"}, "cluster.addonVersions", "describe-addon-versions"),
    ("dev", "cluster.version", 1.36, "cluster.version", 'put it in quotes, "1.36"'),
    ("dev", "cluster.version", "latest", "cluster.version", "1.36"),
    ("dev", "cluster.nodeGroups", [], "cluster", "nodeGroups"),
    ("dev", "cluster.compute", "auto-mode", "cluster", "remove nodeGroups"),
    (
        "dev",
        "cluster",
        {"compute": "karpenter"},
        "cluster",
        "needs one entry in nodeGroups, for Karpenter itself",
    ),
    ("dev", "cluster.karpenter", {"cpuLimit": 50}, "cluster", "is for compute karpenter"),
    (
        "dev",
        "agents.0.spot",
        True,
        "agents[0].spot",
        "needs cluster.compute: karpenter, and it is node-groups",
    ),
    ("dev", "cluster.nodeGroups.0.minSize", 9, "cluster.nodeGroups[0]", "minSize 9 is above maxSize 4"),
    ("dev", "cluster.adminPrincipalArns", ["admin"], "cluster.adminPrincipalArns[0]", "ARN of an IAM role"),
    ("dev", "cluster.logRetentionDays", 31, "cluster.logRetentionDays", "30, 60"),
    ("dev", "database.instanceClass", "large", "database.instanceClass", "db.t4g.medium"),
    ("dev", "database.instanceClass", "db.x9.nano", "database.instanceClass", "db."),
    ("dev", "database.maxAllocatedStorage", 20, "database", "a full disk stops every agent"),
    ("dev", "database.engineVersion", "16", "database", "use 17 or 18"),
    ("dev", "cache.nodeType", "t4g.micro", "cache.nodeType", "cache.t4g.micro"),
    ("dev", "cache.nodeType", "cache.x9.huge", "cache.nodeType", "is not a node type of ElastiCache"),
    (
        "dev",
        "cluster.nodeGroups.0.instanceTypes",
        ["t3.nano"],
        "cluster.nodeGroups[0].instanceTypes[0]",
        "leaves 1660m CPU and 0Mi",
    ),
    (
        "dev",
        "cluster.nodeGroups.0.instanceTypes",
        ["m7i.large", "m7i.4xlarge"],
        "cluster.nodeGroups[0].instanceTypes",
        "m7i.large has 2 vCPUs and 8 GiB and m7i.4xlarge has 16 vCPUs and 64 GiB",
    ),
    (
        "dev",
        "agents.0.resources",
        {"requests": {"cpu": "8", "memory": "30Gi"}, "limits": {"cpu": "8", "memory": "30Gi"}},
        "agents[0].resources.requests",
        "m7i.large has 1660m CPU and 5772Mi",
    ),
    (
        "dev",
        "cluster.nodeGroups.0.instanceTypes",
        ["m7i.large", "m7i.lrge"],
        "cluster.nodeGroups[0].instanceTypes[1]",
        "m7i.large",
    ),
    (
        "dev",
        "cluster.architecture",
        "arm64",
        "cluster.nodeGroups[0].instanceTypes[0]",
        "has an x86 processor, and cluster.architecture is arm64",
    ),
    (
        "dev",
        "cluster.nodeGroups.0.instanceTypes",
        ["m7g.large"],
        "cluster.nodeGroups[0].instanceTypes[0]",
        "has an Arm processor",
    ),
    (
        "dev",
        "cluster.endpointPublicAccessCidrs",
        ["203.0.113.0/24", "0.0.0.0/0"],
        "cluster.endpointPublicAccessCidrs[1]",
        "the world",
    ),
    ("dev", "tags", {"aws:owner": "me"}, "tags", "aws:owner begins with aws:"),
    ("dev", "tags", {"owner": "me & you"}, "tags", "a character that AWS refuses"),
    ("dev", "tags", {"owner": "x" * 257}, "tags", "at most 256"),
    ("dev", "ingress.hostedZone", "Agents", "ingress.hostedZone", "full host name"),
    ("dev", "ingress.email", "me", "ingress.email", "e-mail"),
    ("dev", "ingress.issuer", "letsencrypt", "ingress.issuer", "letsencrypt-staging"),
    ("dev", "image.context", "nowhere", "image.context", "no Dockerfile, and support would run it"),
    (
        "dev",
        "agents.0",
        {
            "name": "support",
            "host": "support.dev.example.com",
            "checkpointer": "valkey",
            "checkpointHistory": "keep_latest",
        },
        "agents[0]",
        "keep_latest needs checkpointer postgres, and it is valkey",
    ),
    ("dev", "agents.0.name", "Support", "agents[0].name", "lower-case"),
    ("dev", "agents.0.name", "postgres", "agents[0].name", "taken"),
    ("dev", "agents.0.name", "default", "agents[0].name", "taken"),
    ("dev", "agents.0.name", "database-certificates", "agents[0].name", "taken"),
    ("dev", "agents.0.name", "pg-x", "agents[0].name", "its role in PostgreSQL with pg_"),
    ("dev", "agents.0.name", "rds-superuser", "agents[0].name", "with rds_"),
    ("dev", "agents.0.name", "rdsproxyadmin", "agents[0].name", "with rdsproxyadmin"),
    ("dev", "agents.0.name", "support-migrate", "agents[0].name", "ends with"),
    (
        "dev",
        "agents.0.host",
        "support.example.org",
        "agents[0].host",
        "must end with .dev.agents.example.com",
    ),
    ("dev", "agents.0.image", "example.com/agent", "agents[0].image", "neither tag nor digest"),
    ("dev", "agents.0.model", "gpt", "agents[0].model", "provider:model"),
    ("dev", "agents.0.model", "openai:gpt-5-mini", "agents[0].model", "OPENAI_API_KEY"),
    ("dev", "agents.0.model", "opnai:gpt-5", "agents[0].model", "write openai"),
    ("dev", "agents.0.model", "acme:gpt-5", "agents[0].model", "write one of anthropic"),
    ("dev", "agents.0.replicas", {"min": 5, "max": 3}, "agents[0].replicas", "min 5 is above max 3"),
    (
        "dev",
        "agents.0.resources.requests",
        {"cpu": "2", "memory": "1Gi"},
        "agents[0].resources",
        "raise the limit",
    ),
    (
        "dev",
        "agents.0.resources.limits",
        {"cpu": "a lot", "memory": "2Gi"},
        "agents[0].resources.limits.cpu",
        "500m",
    ),
    (
        "dev",
        "agents.0.resources.limits",
        {"cpu": "1", "memory": "2"},
        "agents[0].resources.limits.memory",
        "1Gi",
    ),
    ("dev", "agents.0.pool", {"minSize": 5, "maxSize": 3}, "agents[0].pool", "minSize 5 is above maxSize 3"),
    (
        "dev",
        "agents.0.pool",
        {"maxSize": 100},
        "database.instanceClass",
        "Set database.pooler: pgbouncer, which shares these 399 among all pods, or take db.t4g.large or a larger class,"
        " or set pool.maxSize to 96 for every agent, or lower replicas.max",
    ),
    (
        "dev",
        "agents.0",
        {"name": "support", "host": "support.dev.agents.example.com", "replicas": {"max": 900}},
        "database.instanceClass",
        "which shares these 399 among all pods, or lower replicas.max",
    ),
    ("dev", "agents.0.lifetimes", {"gracePeriod": 310}, "agents[0].lifetimes", "set it to 320 or more"),
    (
        "dev",
        "agents.0.lifetimes",
        {"runTimeout": 600, "gracePeriod": 700},
        "agents[0].lifetimes.runTimeout",
        "idleTimeout",
    ),
    ("dev", "agents.0.rateLimit", {"average": 10, "burst": 5}, "agents[0].rateLimit", "raise burst"),
    ("dev", "agents.0.retention", {"schedule": "daily"}, "agents[0].retention.schedule", "cron"),
    (
        "dev",
        "agents.0.retention",
        {"schedule": "0 25 * * *"},
        "agents[0].retention.schedule",
        "'25' is no hour",
    ),
    ("dev", "agents.0.retention", {"schedule": "0 0 30 2 *"}, "agents[0].retention.schedule", "never run"),
    ("dev", "namespace", "default", "namespace", "has it already"),
    ("dev", "namespace", "kube-system", "namespace", "has it already"),
    ("dev", "namespace", "cert-manager", "namespace", "has it already"),
    ("dev", "agents.0.env", {"PORT": "1"}, "agents[0].env.PORT", "the stack sets this one"),
    ("dev", "agents.0.env", {"STRIPE_API_KEY": "sk"}, "agents[0].env", "declare it under secrets"),
    ("dev", "agents.0.secrets", [], "agents[0].secrets", "API_KEYS is missing"),
    ("dev", "agents.0.secrets", [{"name": "API_KEYS"}], "agents[0].secrets[0]", "pulumi config set --secret"),
    (
        "dev",
        "agents.0.secrets",
        [{"name": "API_KEYS", "source": "existing"}],
        "agents[0].secrets[0]",
        "needs arn",
    ),
    ("dev", "agents.0.keyPrefix", "other:", "agents[0].keyPrefix", "the colon is added"),
    ("prod", "agents.0.replicas", {"min": 1}, "agents[0].replicas.min", "one pod is an outage"),
    ("prod", "agents.0.model", "fake", "agents[0].model", "real model"),
    ("prod", "agents.0.corsOrigins", ["*"], "agents[0].corsOrigins", "by name"),
    ("prod", "agents.1.name", "support", "agents[1].name", "unique"),
    ("prod", "agents.1.host", "support.agents.example.com", "agents[1].host", "unique"),
    ("prod", "agents.1.keyPrefix", "support", "agents[1].keyPrefix", "unique"),
    ("prod", "ingress.issuer", "letsencrypt-staging", "ingress.issuer", "browsers do not trust it"),
    ("prod", "ingress.replicas", 1, "ingress.replicas", "2 or more"),
    (
        "prod",
        "cluster.endpointPublicAccessCidrs",
        ["0.0.0.0/0"],
        "cluster.endpointPublicAccessCidrs[0]",
        "the world",
    ),
    ("prod", "database.multiAz", False, "database.multiAz", "set it to true"),
    ("prod", "database.deletionProtection", False, "database.deletionProtection", "set it to true"),
    ("prod", "database.backupRetentionDays", 1, "database.backupRetentionDays", "7 days"),
    ("prod", "cache.replicas", 0, "cache.replicas", "failover"),
    ("prod", "network.flowLogs", False, "network.flowLogs", "set it to true"),
]


@pytest.mark.parametrize(
    ("stack", "path", "value", "field", "words"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES]
)
def test_a_wrong_value_is_named_with_its_remedy(
    stack: str, path: str, value: Any, field: str, words: str
) -> None:
    found = problems(changed(stack, path, value))
    assert field in found
    assert words in found[field]


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        (
            "addonVersions",
            {"coredns": "v1.14.2-eksbuild.4"},
            "pins coredns, which compute auto-mode brings itself",
        ),
        ("architecture", "arm64", "general-purpose nodes all have x86"),
    ],
)
def test_what_auto_mode_has_its_own_way_with_is_refused(setting: str, value: Any, words: str) -> None:
    settings = changed("dev", "cluster", {"compute": "auto-mode"})
    load(settings, stack="test")
    settings["cluster"][setting] = value
    assert words in problems(settings)["cluster"]


def test_types_that_differ_in_memory_as_general_and_memory_optimised_ones_do_may_share_a_group() -> None:
    load(changed("dev", "cluster.nodeGroups.0.instanceTypes", ["m7i.large", "r7i.large"]), stack="test")


def test_with_karpenter_the_node_group_need_not_hold_agents() -> None:
    settings = changed("dev", "cluster.compute", "karpenter")
    settings["agents"][0]["resources"] = {
        key: {"cpu": "8", "memory": "30Gi"} for key in ("requests", "limits")
    }
    load(settings, stack="test")


def test_types_whose_size_is_not_known_are_left_to_aws() -> None:
    load(changed("dev", "cluster.nodeGroups.0.instanceTypes", ["i4i.large"]), stack="test")


def test_an_unknown_key_is_reported_the_known_ones() -> None:
    found = problems(changed("dev", "network.zone", 2))
    assert "natGateways" in found["network.zone"]


def test_all_problems_of_a_file_come_out_at_once_fields_and_rules_alike() -> None:
    settings = changed("prod", "agents.0.replicas", {"min": 1})
    settings["agents"][1]["name"] = "Research"
    settings["network"]["cidr"] = "nowhere"
    settings["cache"]["replicas"] = 0
    assert problems(settings).keys() >= {
        "agents[0].replicas.min",
        "agents[1].name",
        "network.cidr",
        "cache.replicas",
    }


def test_a_wrong_default_is_reported_once_where_it_stands() -> None:
    found = problems(changed("prod", "defaults.maxIterations", 0))
    assert list(found) == ["defaults.maxIterations"]


def test_an_agent_takes_the_defaults_it_does_not_set_itself() -> None:
    settings = load(settings_of("prod"), stack="prod")
    support, research = settings.agents
    assert (support.replicas.max, research.replicas.max) == (10, 6)
    assert support.lifetimes == research.lifetimes
    assert (support.max_iterations, research.max_iterations) == (25, 50)


def test_the_key_prefix_is_the_name_unless_set() -> None:
    assert load(settings_of("dev"), stack="f").agents[0].key_prefix == "support"
    assert load(changed("dev", "agents.0.keyPrefix", "s1"), stack="f").agents[0].key_prefix == "s1"


def test_a_secret_from_the_configuration_is_found_by_its_name() -> None:
    settings = changed("dev", "agents.0.secrets", [{"name": "API_KEYS"}])
    load(settings, stack="f", api_keys={"support": {"API_KEYS": "x"}})


def test_a_value_that_no_agent_declares_is_a_problem() -> None:
    found = problems(settings_of("dev"), api_keys={"suport": {"OPENAI_API_KEY": "sk-123"}})
    assert "no agent suport declares" in found["apiKeys.suport.OPENAI_API_KEY"]


def test_api_keys_of_another_shape_are_explained() -> None:
    assert (
        "one object for each agent"
        in problems(settings_of("dev"), api_keys={"OPENAI_API_KEY": "sk-123"})["apiKeys"]
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("agents.0.env", {"STRIPE_API_KEY": "sk-very-secret"}),
        ("agents.0.apiKey", "sk-very-secret"),
        (
            "agents.0.secrets",
            [{"name": "OPENAI_API_KEY", "value": "sk-very-secret", "arn": "sk-very-secret"}],
        ),
    ],
)
def test_a_secret_pasted_into_the_wrong_place_is_not_repeated(path: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        load(changed("dev", path, value), stack="f", api_keys={"support": {"X": "sk-very-secret"}})
    assert "sk-very-secret" not in str(caught.value)


def test_a_list_and_an_object_are_shown_without_the_values_of_objects() -> None:
    with pytest.raises(SettingsError) as caught:
        load(changed("dev", "colours", [{"api": "sk-very-secret"}, None, True, "red"]), stack="f")
    assert "colours: [{api}, null, true, red]" in str(caught.value)


def test_the_message_names_the_file_the_field_the_value_and_the_remedy() -> None:
    with pytest.raises(SettingsError) as caught:
        load(changed("prod", "cache.replicas", 0), stack="prod")
    assert str(caught.value) == (
        "Pulumi.prod.yaml has 1 problem in langgraph-agents:settings\n"
        "\n  cache.replicas: 0\n      production needs 1 or more, for automatic failover"
    )


def test_a_stack_name_that_aws_would_refuse_is_a_problem() -> None:
    with pytest.raises(SettingsError, match="lower-case"):
        load(settings_of("dev"), stack="Dev_1")


def test_a_region_without_known_database_authorities_is_a_problem() -> None:
    with pytest.raises(SettingsError, match=r"use one of .*eu-central-1"):
        load(settings_of("dev"), stack="dev", region="eu-centrall-1")


def existing(*arns: str) -> dict[str, Any]:
    """The dev stack with a secret of each ARN."""
    secrets = [{"name": "API_KEYS", "source": "generated"}]
    secrets += [{"name": f"KEY_{n}", "source": "existing", "arn": arn} for n, arn in enumerate(arns)]
    return changed("dev", "agents.0.secrets", secrets)


OWN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:openai-AbCdEf"
OF_ANOTHER_ACCOUNT = "arn:aws:secretsmanager:eu-central-1:222222222222:secret:openai-AbCdEf"
OF_ANOTHER_REGION = "arn:aws:secretsmanager:us-east-1:111111111111:secret:openai-AbCdEf"


def refused(settings: object, **given: Any) -> dict[str, str]:
    """Remedies by field, with what Pulumi is told of the provider."""
    with pytest.raises(SettingsError) as caught:
        load(settings, stack="test", **given)
    return {problem.field: problem.remedy for problem in caught.value.problems}


def test_a_secret_of_another_region_is_refused_with_the_command_that_replicates_it() -> None:
    found = refused(existing(OWN, OF_ANOTHER_REGION), region="eu-central-1")
    assert list(found) == ["agents[0].secrets[2].arn"]
    assert "Region=eu-central-1" in found["agents[0].secrets[2].arn"]


def test_a_secret_of_an_account_that_the_stack_may_not_be_deployed_to_is_refused() -> None:
    load(existing(OWN), stack="test", region="eu-central-1", account_ids=["111111111111"])
    found = refused(existing(OWN, OF_ANOTHER_ACCOUNT), region="eu-central-1", account_ids=["111111111111"])
    assert list(found) == ["agents[0].secrets[2].arn"]
    assert "account 222222222222" in found["agents[0].secrets[2].arn"]


def test_secrets_of_two_accounts_are_refused_where_nothing_says_which_is_the_stacks() -> None:
    found = refused(existing(OWN, OF_ANOTHER_ACCOUNT))
    assert "aws:allowedAccountIds" in found["agents[0].secrets[2].arn"]


def test_account_numbers_that_yaml_read_as_numbers_are_explained() -> None:
    assert "in quotes" in refused(settings_of("dev"), account_ids=[111111111111])["aws:allowedAccountIds"]


def test_the_providers_are_those_of_the_installed_langchain() -> None:
    from langchain.chat_models import base

    assert set(MODEL_PROVIDERS) == set(base._BUILTIN_PROVIDERS)
