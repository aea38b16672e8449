"""What replaces AWS within the cluster, as admission policies that `kubectl` shows.

The stack's own manifests stay as they are; objects are changed as they are made. In a pod, the volume that the Secrets
Store CSI driver would fill from Secrets Manager becomes a Secret with the same files, and TLS to the cache is judged
by the sandbox's authority. In the ConfigMaps of who signs for RDS and for RDS Proxy, the sandbox's takes their place. A
ClusterIssuer of Let's Encrypt becomes one with an authority of the sandbox's own.
"""

from typing import Any

from sandbox.cluster.api import Api, Object

_DRIVER = "secrets-store.csi.k8s.io"
_CERTIFICATES = {"database-certificates": "rds-ca.pem", "rds-proxy-certificates": "amazon-roots.pem"}
"""Who signs for PostgreSQL, by ConfigMap the key of it."""
_STORES_CA_FILE = "/etc/langgraph-agents/rds-ca.pem"
ISSUER_SECRET = "sandbox-ingress-authority"  # noqa: S105 (a name)
"""The key and certificate that sign for ClusterIssuers, in the namespace of cert-manager."""

_VERSION = "admissionregistration.k8s.io/v1"

_IS_MOUNT = f'has(v.csi) && v.csi.driver == "{_DRIVER}"'

_SECRET_VOLUMES = f"""
[JSONPatch{{op: "replace", path: "/spec/volumes", value: object.spec.volumes.map(v,
    {_IS_MOUNT}
    ? dyn({{"name": dyn(v.name), "secret": dyn({{
        "secretName": v.csi.volumeAttributes["secretProviderClass"]
    }})}})
    : dyn(v)
)}}]
"""

# ElastiCache's certificates are signed by an authority that every system knows; the sandbox's is not, and says so here.
_TRUST = f"""
Object{{spec: Object.spec{{containers: object.spec.containers.map(c, Object.spec.containers{{
    name: c.name,
    env: [Object.spec.containers.env{{
        name: "SSL_CERT_FILE", value: "{_STORES_CA_FILE}"
    }}]
}})}}}}
"""


def ensure(api: Api, authority: str) -> None:
    """Apply the policies; `authority` is the PEM of the one that signs for the stores."""
    pods = _policy(
        "sandbox-secret-volumes",
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]},
        f"has(object.spec.volumes) && object.spec.volumes.exists(v, {_IS_MOUNT})",
        [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": _SECRET_VOLUMES}},
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": _TRUST}},
        ],
    )
    certificates = [
        _policy(
            f"sandbox-{config_map}",
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["configmaps"],
                "resourceNames": [config_map],
            },
            f'object.metadata.name == "{config_map}"',
            [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": f'[JSONPatch{{op: "add", path: "/data/{key}", value: "{_quoted(authority)}"}}]'
                    },
                }
            ],
        )
        for config_map, key in _CERTIFICATES.items()
    ]
    issuer = (
        '[JSONPatch{op: "remove", path: "/spec/acme"}, '
        f'JSONPatch{{op: "add", path: "/spec/ca", value: dyn({{"secretName": "{ISSUER_SECRET}"}})}}]'
    )
    issuers = _policy(
        "sandbox-issuers",
        {"apiGroups": ["cert-manager.io"], "apiVersions": ["v1"], "resources": ["clusterissuers"]},
        "has(object.spec.acme)",
        [{"patchType": "JSONPatch", "jsonPatch": {"expression": issuer}}],
    )
    for policy in (pods, *certificates, issuers):
        name = policy["metadata"]["name"]
        api.apply(policy, force=True)
        binding = {
            "apiVersion": _VERSION,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name},
        }
        api.apply(binding, force=True)


def _policy(name: str, rule: Object, condition: str, mutations: list[dict[str, Any]]) -> Object:
    return {
        "apiVersion": _VERSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{**rule, "operations": ["CREATE", "UPDATE"]}]},
            "matchConditions": [{"name": "is-meant", "expression": condition}],
            "mutations": mutations,
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
        },
    }


def _quoted(text: str) -> str:
    """The inside of a CEL string literal."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
