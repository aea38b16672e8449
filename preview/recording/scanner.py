"""A plan in the shape of ``terraform show -json``, for scanners that know Terraform and not Pulumi (checkov).

Pulumi's AWS provider is made from Terraform's: the properties are the same ones under other names. What is left out is
what scanners do not read: outputs, provider configuration, everything but AWS.
"""

import re
from collections.abc import Mapping
from typing import Any

from preview.recording.plan import Plan, PlannedResource, Secret
from sandbox.common.errors import SandboxError

_FORMAT_VERSION = "1.2"
# Scanners want to know who wrote the plan; any version of this format does.
_TERRAFORM_VERSION = "1.9.0"
_PROVIDER = "registry.terraform.io/hashicorp/aws"

# Terraform's names of the types (registry.terraform.io/providers/hashicorp/aws, "bridged from" in Pulumi's registry).
_TYPES: Mapping[str, str] = {
    "aws:acm/certificate:Certificate": "aws_acm_certificate",
    "aws:acm/certificateValidation:CertificateValidation": "aws_acm_certificate_validation",
    "aws:cloudwatch/dashboard:Dashboard": "aws_cloudwatch_dashboard",
    "aws:cloudwatch/logGroup:LogGroup": "aws_cloudwatch_log_group",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "aws_cloudwatch_metric_alarm",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "aws_default_security_group",
    "aws:ec2/eip:Eip": "aws_eip",
    "aws:ec2/flowLog:FlowLog": "aws_flow_log",
    "aws:ec2/internetGateway:InternetGateway": "aws_internet_gateway",
    "aws:ec2/launchTemplate:LaunchTemplate": "aws_launch_template",
    "aws:ec2/natGateway:NatGateway": "aws_nat_gateway",
    "aws:ec2/route:Route": "aws_route",
    "aws:ec2/routeTable:RouteTable": "aws_route_table",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "aws_route_table_association",
    "aws:ec2/securityGroup:SecurityGroup": "aws_security_group",
    "aws:ec2/subnet:Subnet": "aws_subnet",
    "aws:ec2/vpc:Vpc": "aws_vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "aws_vpc_endpoint",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "aws_ecr_lifecycle_policy",
    "aws:ecr/repository:Repository": "aws_ecr_repository",
    "aws:eks/accessEntry:AccessEntry": "aws_eks_access_entry",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": "aws_eks_access_policy_association",
    "aws:eks/addon:Addon": "aws_eks_addon",
    "aws:eks/cluster:Cluster": "aws_eks_cluster",
    "aws:eks/nodeGroup:NodeGroup": "aws_eks_node_group",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "aws_eks_pod_identity_association",
    "aws:elasticache/parameterGroup:ParameterGroup": "aws_elasticache_parameter_group",
    "aws:elasticache/replicationGroup:ReplicationGroup": "aws_elasticache_replication_group",
    "aws:elasticache/subnetGroup:SubnetGroup": "aws_elasticache_subnet_group",
    "aws:elasticache/user:User": "aws_elasticache_user",
    "aws:elasticache/userGroup:UserGroup": "aws_elasticache_user_group",
    "aws:iam/policy:Policy": "aws_iam_policy",
    "aws:iam/role:Role": "aws_iam_role",
    "aws:iam/rolePolicy:RolePolicy": "aws_iam_role_policy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "aws_iam_role_policy_attachment",
    "aws:kms/alias:Alias": "aws_kms_alias",
    "aws:kms/key:Key": "aws_kms_key",
    "aws:rds/instance:Instance": "aws_db_instance",
    "aws:rds/parameterGroup:ParameterGroup": "aws_db_parameter_group",
    "aws:rds/proxy:Proxy": "aws_db_proxy",
    "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": "aws_db_proxy_default_target_group",
    "aws:rds/proxyTarget:ProxyTarget": "aws_db_proxy_target",
    "aws:rds/subnetGroup:SubnetGroup": "aws_db_subnet_group",
    "aws:route53/record:Record": "aws_route53_record",
    "aws:secretsmanager/secret:Secret": "aws_secretsmanager_secret",
    "aws:secretsmanager/secretVersion:SecretVersion": "aws_secretsmanager_secret_version",
    "aws:sns/topic:Topic": "aws_sns_topic",
    "aws:sns/topicPolicy:TopicPolicy": "aws_sns_topic_policy",
    "aws:sns/topicSubscription:TopicSubscription": "aws_sns_topic_subscription",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "aws_vpc_security_group_egress_rule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "aws_vpc_security_group_ingress_rule",
    "aws:wafv2/webAcl:WebAcl": "aws_wafv2_web_acl",
}
# Blocks that may be repeated have the plural in Pulumi, and the singular in Terraform.
_BLOCKS: Mapping[str, str] = {
    "auths": "auth",
    "encryptionConfigurations": "encryption_configuration",
    "logDeliveryConfigurations": "log_delivery_configuration",
    "parameters": "parameter",
    "rules": "rule",
}
# Objects whose keys are the user's; all others are blocks, which Terraform keeps in lists.
_MAPS = frozenset({"tags", "labels"})
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def terraform_plan(plan: Plan) -> dict[str, Any]:
    """The AWS resources of a plan as Terraform would plan them, as data for ``json.dump``.

    Raises:
        SandboxError: a type whose Terraform name is not known here.
    """
    resources = [resource for resource in plan.resources.values() if resource.package == "aws"]
    unknown = sorted({resource.type for resource in resources} - _TYPES.keys())
    if unknown:
        raise SandboxError(
            f"preview/recording/scanner.py does not know Terraform's name of {', '.join(unknown)}: add it there"
        )
    addresses = {resource.urn: _address(resource) for resource in resources}
    return {
        "format_version": _FORMAT_VERSION,
        "terraform_version": _TERRAFORM_VERSION,
        "planned_values": {"root_module": {"resources": [_planned(resource) for resource in resources]}},
        "resource_changes": [_change(resource) for resource in resources],
        "configuration": {
            "root_module": {"resources": [_configuration(resource, addresses) for resource in resources]}
        },
    }


def _identity(resource: PlannedResource) -> dict[str, Any]:
    type_ = _TYPES[resource.type]
    return {
        "address": _address(resource),
        "mode": "managed",
        "type": type_,
        "name": _name(resource),
        "provider_name": _PROVIDER,
    }


def _address(resource: PlannedResource) -> str:
    return f"{_TYPES[resource.type]}.{_name(resource)}"


def _name(resource: PlannedResource) -> str:
    """Terraform's names hold no dots, which part its addresses."""
    return re.sub(r"[^\w-]", "_", resource.name)


def _planned(resource: PlannedResource) -> dict[str, Any]:
    return {**_identity(resource), "schema_version": 0, "values": _block(resource.inputs)}


def _change(resource: PlannedResource) -> dict[str, Any]:
    change = {"actions": ["create"], "before": None, "after": _block(resource.inputs), "after_unknown": {}}
    return {**_identity(resource), "change": change}


def _configuration(resource: PlannedResource, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Which property refers to which resource: scanners follow these to see what belongs together."""
    expressions = {
        _key(name): {"references": [addresses[urn] for urn in urns if urn in addresses]}
        for name, urns in resource.property_dependencies.items()
    }
    return {**_identity(resource), "expressions": {k: v for k, v in expressions.items() if v["references"]}}


def _block(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {_key(name): _value(name, value) for name, value in properties.items()}


def _key(name: str) -> str:
    return _BLOCKS.get(name) or _CAPITAL.sub("_", name).lower()


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Secret):
        return "(sensitive)"
    if isinstance(value, Mapping):
        return dict(value) if name in _MAPS else [_block(value)]
    if isinstance(value, list | tuple):
        return [_block(item) if isinstance(item, Mapping) else _value(name, item) for item in value]
    return value
