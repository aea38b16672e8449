"""RDS Proxy, as AWS would get it."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from components.pooling.amazon_roots import amazon_roots
from components.pooling.rds_proxy import LoginArgs, RdsProxy, RdsProxyArgs
from preview.recording.recorder import Recording
from tests.components.reading import is_secret, protected, statements, waits_for

Record = Callable[[Callable[[], Any]], Recording]

KEY = "arn:aws:kms:eu-central-1:123456789012:key/secrets"
# Of https://www.amazontrust.com/repository/.
FINGERPRINTS = {
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
}


def login(name: str) -> LoginArgs:
    return LoginArgs(
        name=name,
        username=name.replace("-", "_"),
        password=f"password-of-{name}",
        # As long as a stack's name and an agent's may be.
        secret_name=f"langgraph-agents/{'s' * 24}/{name:x<63}/database-login",
    )


def args(**changes: Any) -> RdsProxyArgs:
    return RdsProxyArgs(
        **{
            "proxy_name": "agents",
            "region": "eu-central-1",
            "logins": [login("support"), login("re-search")],
            "secrets_kms_key_arn": KEY,
            "recovery_window_days": 30,
            "instance_identifier": "agents",
            "database_security_group_id": "sg-database",
            "client_security_group_id": "sg-pods",
            "vpc_id": "vpc-1",
            "subnet_ids": ["subnet-1", "subnet-2"],
            "connections_percent": 97,
            "log_retention_days": 90,
            "logs_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/logs",
            "protect": False,
            **changes,
        }
    )


@pytest.fixture
def made(record_resources: Record) -> Recording:
    return record_resources(lambda: RdsProxy("proxy", args()))


def proxy(made: Recording) -> dict[str, Any]:
    (found,) = made.of_type("aws:rds/proxy:Proxy")
    return dict(found.inputs)


def test_it_speaks_tls_on_both_sides_and_writes_no_statement_into_its_log(made: Recording) -> None:
    assert proxy(made)["requireTls"] is True
    assert proxy(made)["debugLogging"] is False
    log = made.named("proxy-logs")
    assert log.inputs["name"] == "/aws/rds/proxy/agents"
    assert (log.inputs["retentionInDays"], log.inputs["kmsKeyId"][-4:]) == (90, "logs")
    (found,) = made.of_type("aws:rds/proxy:Proxy")
    assert "proxy-logs" in waits_for(made, found)


def test_a_login_is_an_entry_of_its_own_with_a_name_and_a_secret_password(made: Recording) -> None:
    for name, username in (("support", "support"), ("re-search", "re_search")):
        value = made.named(f"proxy-{name}-login-version").inputs["secretString"]
        assert is_secret(value)
        assert json.loads(value.value) == {"username": username, "password": f"password-of-{name}"}
        assert made.named(f"proxy-{name}-login-entry").inputs["kmsKeyId"] == KEY
    arns = [made.named(f"proxy-{name}-login-entry").outputs["arn"] for name in ("support", "re-search")]
    assert [auth["secretArn"] for auth in proxy(made)["auths"]] == arns
    assert {(auth["authScheme"], auth["iamAuth"]) for auth in proxy(made)["auths"]} == {
        ("SECRETS", "DISABLED")
    }


def test_it_may_read_these_entries_by_their_key_and_do_nothing_else(made: Recording) -> None:
    (decrypt,) = statements(made.named("proxy-decrypt"))
    assert (decrypt["Action"], decrypt["Resource"]) == ("kms:Decrypt", KEY)
    assert decrypt["Condition"] == {
        "StringEquals": {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}
    }
    (read,) = statements(made.named("proxy-logins-1"))
    assert read["Action"] == "secretsmanager:GetSecretValue"
    assert read["Resource"] == [auth["secretArn"] for auth in proxy(made)["auths"]]
    (trust,) = statements(made.named("proxy-role"), "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "rds.amazonaws.com"}
    (found,) = made.of_type("aws:rds/proxy:Proxy")
    assert {"proxy-decrypt", "proxy-logins-1-attachment"} <= waits_for(made, found)


def test_two_hundred_logins_of_the_longest_names_fit_the_policies_of_one_role(
    record_resources: Record,
) -> None:
    logins = [login(f"agent-{number:03}") for number in range(200)]
    made = record_resources(lambda: RdsProxy("proxy", args(logins=logins)))
    policies = made.of_type("aws:iam/policy:Policy")
    # Ten managed policies a role, 6,144 characters each: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert len(policies) <= 10
    assert max(len(policy.inputs["policy"]) for policy in policies) <= 6144
    read = [arn for policy in policies for (each,) in [statements(policy)] for arn in each["Resource"]]
    assert read == [auth["secretArn"] for auth in proxy(made)["auths"]]
    assert len(made.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")) == len(policies)


def test_pods_reach_it_and_it_reaches_the_database_and_nothing_else(made: Recording) -> None:
    (group,) = made.of_type("aws:ec2/securityGroup:SecurityGroup")
    assert proxy(made)["vpcSecurityGroupIds"] == [group.id]
    assert not group.inputs.get("egress")
    into = {
        (rule.inputs["securityGroupId"], rule.inputs["referencedSecurityGroupId"], rule.inputs["fromPort"])
        for rule in made.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    }
    assert into == {(group.id, "sg-pods", 5432), ("sg-database", group.id, 5432)}
    (out,) = made.of_type("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert (out.inputs["securityGroupId"], out.inputs["referencedSecurityGroupId"]) == (
        group.id,
        "sg-database",
    )
    assert out.inputs["fromPort"] == out.inputs["toPort"] == 5432


def test_clients_wait_as_long_as_a_failover_takes_and_no_more_is_kept_idle_than_may_be_open(
    record_resources: Record,
) -> None:
    made = record_resources(lambda: RdsProxy("proxy", args(connections_percent=30)))
    (group,) = made.of_type("aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup")
    assert group.inputs["connectionPoolConfig"] == {
        "maxConnectionsPercent": 30,
        "maxIdleConnectionsPercent": 15,
        "connectionBorrowTimeout": 120,
    }


def test_its_address_is_known_once_the_instance_is_behind_it(record_resources: Record) -> None:
    found: list[str] = []
    made = record_resources(lambda: RdsProxy("proxy", args()).address.apply(found.append))
    (target,) = made.of_type("aws:rds/proxyTarget:ProxyTarget")
    assert target.inputs["dbInstanceIdentifier"] == "agents"
    assert found == [made.of_type("aws:rds/proxy:Proxy")[0].outputs["endpoint"]]


def test_entries_of_production_are_protected(record_resources: Record) -> None:
    made = record_resources(lambda: RdsProxy("proxy", args(protect=True)))
    assert protected(made) == {"proxy-support-login-entry", "proxy-re-search-login-entry"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logins": []}, "logins is empty"),
        ({"connections_percent": 0}, "connections_percent is 0: use 1 to 100"),
        ({"proxy_name": "a" * 64}, r"proxy_name is .*64 characters"),
    ],
)
def test_what_rds_would_refuse_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        args(**changes)


def test_its_clients_trust_the_roots_that_amazon_trust_services_publishes() -> None:
    roots = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", amazon_roots(), re.DOTALL)
    assert {hashlib.sha256(base64.b64decode(root)).hexdigest() for root in roots} == FINGERPRINTS
