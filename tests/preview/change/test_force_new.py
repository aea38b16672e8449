"""The table beside the schema of the provider that Pulumi's is made of: what is `ForceNew` there is replaced here.

Read in internal/service/ of hashicorp/terraform-provider-aws; nested blocks and computed properties are left out.
"""

from collections.abc import Mapping

import pytest

from sandbox.emulated import changes

# By type: the file, what is ForceNew in its schema or by its CustomizeDiff, and what is not.
_SCHEMAS: Mapping[str, tuple[str, str, str]] = {
    "aws:eks/nodeGroup:NodeGroup": (
        "eks/node_group.go",
        "amiType capacityType clusterName diskSize instanceTypes launchTemplate.id launchTemplate.name nodeGroupName"
        " nodeGroupNamePrefix nodeRoleArn subnetIds",
        "forceUpdateVersion labels launchTemplate.version nodeRepairConfig releaseVersion taints updateConfig version",
    ),
    "aws:eks/cluster:Cluster": (
        "eks/cluster.go",
        "accessConfig.bootstrapClusterCreatorAdminPermissions bootstrapSelfManagedAddons computeConfig.nodeRoleArn"
        " kubernetesNetworkConfig.ipFamily kubernetesNetworkConfig.serviceIpv4Cidr name roleArn",
        "accessConfig.authenticationMode computeConfig.enabled enabledClusterLogTypes upgradePolicy"
        " vpcConfig.endpointPublicAccess vpcConfig.securityGroupIds zonalShiftConfig",
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": (
        "elasticache/replication_group.go",
        "atRestEncryptionEnabled kmsKeyId port replicationGroupId snapshotName subnetGroupName",
        "automaticFailoverEnabled description logDeliveryConfigurations maintenanceWindow multiAzEnabled nodeType"
        " numCacheClusters parameterGroupName securityGroupIds snapshotRetentionLimit transitEncryptionMode"
        " userGroupIds",
    ),
    "aws:elasticache/user:User": (
        "elasticache/user.go",
        "userId userName",
        "accessString authenticationMode engine noPasswordRequired passwords",
    ),
    "aws:rds/instance:Instance": (
        "rds/instance.go",
        "availabilityZone dbName engine kmsKeyId snapshotIdentifier storageEncrypted username",
        "allocatedStorage backupRetentionPeriod caCertIdentifier dbSubnetGroupName deletionProtection instanceClass"
        " iops maintenanceWindow maxAllocatedStorage monitoringInterval multiAz parameterGroupName password"
        " performanceInsightsEnabled port storageType vpcSecurityGroupIds",
    ),
    "aws:rds/proxy:Proxy": (
        "rds/proxy.go",
        "endpointNetworkType engineFamily targetConnectionNetworkType vpcSubnetIds",
        "auths debugLogging defaultAuthScheme idleClientTimeout name requireTls roleArn vpcSecurityGroupIds",
    ),
    "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": (
        "rds/proxy_default_target_group.go",
        "dbProxyName",
        "connectionPoolConfig.connectionBorrowTimeout connectionPoolConfig.maxConnectionsPercent",
    ),
    "aws:rds/proxyTarget:ProxyTarget": (
        "rds/proxy_target.go",
        "dbClusterIdentifier dbInstanceIdentifier dbProxyName targetGroupName",
        "",
    ),
    "aws:ec2/natGateway:NatGateway": (
        "ec2/vpc_nat_gateway.go",
        "allocationId connectivityType privateIp subnetId",
        "",
    ),
    "aws:ec2/flowLog:FlowLog": (
        "ec2/vpc_flow_log.go",
        "iamRoleArn logDestination logDestinationType maxAggregationInterval trafficType vpcId",
        "",
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": (
        "secretsmanager/secret_version.go",
        "secretBinary secretId secretString",
        "versionStages",
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": ("ecr/lifecycle_policy.go", "policy repository", ""),
    "aws:acm/certificate:Certificate": (
        "acm/certificate.go",
        "domainName keyAlgorithm subjectAlternativeNames validationMethod",
        "options",
    ),
    "aws:route53/record:Record": (
        "route53/record.go",
        "name zoneId",
        "aliases allowOverwrite records setIdentifier ttl type",
    ),
}


def _replaces(type_: str, path: str) -> bool:
    """Whether a change of one property, from one value to another, makes a new resource."""
    first, _, rest = path.partition(".")
    old, new = ({first: {rest: value} if rest else value} for value in ("1", "2"))
    return bool(changes.replaced(type_, old, new, {}))


@pytest.mark.parametrize("type_", _SCHEMAS)
def test_what_the_provider_cannot_change_is_replaced_and_nothing_else(type_: str) -> None:
    _, forced, changed = _SCHEMAS[type_]
    assert [path for path in forced.split() if not _replaces(type_, path)] == []
    assert [path for path in changed.split() if _replaces(type_, path)] == []
