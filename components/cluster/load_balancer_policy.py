"""What the AWS Load Balancer Controller may do.

The actions are those of the controller's own installation guide
(https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation/, as of November
2026), for Ingress and Service. Narrower than there: where a cluster's tag is required it has to be *this*
cluster's, and what the platform never sets (Cognito, Shield, WAF Classic, IAM server certificates) cannot be
changed.
"""

from collections.abc import Mapping

from components.iam import Statement

# The tag that the controller puts on everything that it makes.
_CLUSTER_TAG = "elbv2.k8s.aws/cluster"

_LOOK_AROUND = (
    "acm:DescribeCertificate",
    "acm:ListCertificates",
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeCoipPools",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeIpamPools",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeVpcs",
    "ec2:GetCoipPoolUsage",
    "ec2:GetSecurityGroupsForVpc",
    "elasticloadbalancing:DescribeCapacityReservation",
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeSSLPolicies",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:DescribeTrustStores",
    "shield:DescribeProtection",
    "shield:GetSubscriptionState",
    "waf-regional:GetWebACLForResource",
    "wafv2:GetWebACL",
    "wafv2:GetWebACLForResource",
)
# What these act on need not carry the tag: listeners and rules have it only where somebody asks for it, and
# the node's security group, whose rules are changed, is not the controller's own.
_CHANGE_UNTAGGED = (
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateSecurityGroup",
    "ec2:RevokeSecurityGroupIngress",
    "elasticloadbalancing:AddListenerCertificates",
    "elasticloadbalancing:CreateListener",
    "elasticloadbalancing:CreateRule",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteRule",
    "elasticloadbalancing:ModifyListener",
    "elasticloadbalancing:ModifyListenerAttributes",
    "elasticloadbalancing:ModifyRule",
    "elasticloadbalancing:RemoveListenerCertificates",
    "elasticloadbalancing:SetRulePriorities",
    "elasticloadbalancing:SetWebAcl",
    "wafv2:AssociateWebACL",
    "wafv2:DisassociateWebACL",
)
_CHANGE_OWN = (
    "ec2:DeleteSecurityGroup",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:ModifyCapacityReservation",
    "elasticloadbalancing:ModifyIpPools",
    "elasticloadbalancing:ModifyLoadBalancerAttributes",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:SetIpAddressType",
    "elasticloadbalancing:SetSecurityGroups",
    "elasticloadbalancing:SetSubnets",
)

_SECURITY_GROUPS = "arn:aws:ec2:*:*:security-group/*"
_TARGET_GROUPS = "arn:aws:elasticloadbalancing:*:*:targetgroup/*/*"
_LOAD_BALANCERS = (
    "arn:aws:elasticloadbalancing:*:*:loadbalancer/net/*/*",
    "arn:aws:elasticloadbalancing:*:*:loadbalancer/app/*/*",
)
_LISTENERS_AND_RULES = tuple(
    f"arn:aws:elasticloadbalancing:*:*:{kind}/{type_}/*/*/*"
    for kind in ("listener", "listener-rule")
    for type_ in ("net", "app")
)


def load_balancer_policy(cluster_name: str) -> list[Statement]:
    """The statements for the controller of one cluster; another cluster's load balancers are out of reach."""
    requested = {f"aws:RequestTag/{_CLUSTER_TAG}": cluster_name}
    owned = {f"aws:ResourceTag/{_CLUSTER_TAG}": cluster_name}
    return [
        _allow(_LOOK_AROUND),
        _allow(_CHANGE_UNTAGGED),
        _allow(
            ("iam:CreateServiceLinkedRole",),
            condition={"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
        _allow(_CHANGE_OWN, condition={"StringEquals": owned}),
        _allow(
            ("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"),
            resources=(_TARGET_GROUPS,),
            condition={"StringEquals": owned},
        ),
        _allow(
            ("elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"),
            condition={"StringEquals": requested},
        ),
        # Tags at creation say whose the new thing is; later ones are put on what is already the cluster's.
        _allow(
            ("ec2:CreateTags",),
            resources=(_SECURITY_GROUPS,),
            condition={"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup", **requested}},
        ),
        _allow(
            ("elasticloadbalancing:AddTags",),
            resources=(_TARGET_GROUPS, *_LOAD_BALANCERS),
            condition={
                "StringEquals": {
                    "elasticloadbalancing:CreateAction": ["CreateTargetGroup", "CreateLoadBalancer"],
                    **requested,
                }
            },
        ),
        _allow(
            ("ec2:CreateTags", "ec2:DeleteTags"),
            resources=(_SECURITY_GROUPS,),
            condition={"StringEquals": owned, "Null": {f"aws:RequestTag/{_CLUSTER_TAG}": "true"}},
        ),
        _allow(
            ("elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"),
            resources=(_TARGET_GROUPS, *_LOAD_BALANCERS),
            condition={"StringEquals": owned, "Null": {f"aws:RequestTag/{_CLUSTER_TAG}": "true"}},
        ),
        _allow(
            ("elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"),
            resources=_LISTENERS_AND_RULES,
        ),
    ]


def _allow(
    actions: tuple[str, ...],
    *,
    resources: tuple[str, ...] = ("*",),
    condition: Mapping[str, Mapping[str, object]] | None = None,
) -> Statement:
    statement: dict[str, object] = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if condition:
        statement["Condition"] = condition
    return statement
