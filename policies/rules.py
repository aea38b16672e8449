"""All rules, in the order in which reports name them."""

from policies import (
    availability,
    capacity,
    containers,
    credentials,
    identity,
    operations,
    stores,
    support,
    traffic,
)
from policies.model import Finding, ResourceRule, Rule, Severity, StackRule

__all__ = ["RULES", "Finding", "ResourceRule", "Rule", "Severity", "StackRule"]

RULES: tuple[ResourceRule | StackRule, ...] = (
    containers.health_checks,
    containers.resource_limits,
    containers.image_by_digest,
    containers.non_root,
    containers.read_only_root,
    containers.no_privilege,
    containers.restricted_namespace,
    credentials.no_hard_coded_secrets,
    availability.more_than_one_replica,
    availability.multi_az,
    availability.stable_selectors,
    capacity.pods_fit_nodes,
    traffic.network_policy,
    traffic.ingress_tls,
    traffic.trusted_certificate,
    traffic.no_public_access,
    traffic.closed_cluster_endpoint,
    traffic.instance_metadata,
    identity.iam_no_wildcards,
    identity.no_open_principals,
    stores.no_sqlite,
    stores.encrypted_at_rest,
    stores.encrypted_in_transit,
    stores.key_rotation,
    stores.deletion_protection,
    stores.backups,
    stores.protect,
    support.supported_versions,
    support.addon_versions,
    operations.monitoring,
    operations.audit_logs,
    operations.flow_logs,
    operations.tags,
    operations.image_repository,
)
