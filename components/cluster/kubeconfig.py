"""How the Kubernetes provider reaches the cluster: with a fresh token, never a stored credential."""

import pulumi


def kubeconfig(
    *,
    name: pulumi.Input[str],
    endpoint: pulumi.Input[str],
    certificate_authority_data: pulumi.Input[str],
    region: str,
) -> pulumi.Output[str]:
    """A kubeconfig (JSON) that obtains a token of 15 minutes from ``aws eks get-token``.

    The caller's own AWS credentials decide who it is, so the text holds no secret. The `aws` command has to
    be installed where Pulumi runs. The form is that of ``aws eks update-kubeconfig``.

    Args:
        name: the EKS cluster's name.
        endpoint: the API server's URL.
        certificate_authority_data: the cluster's CA, base64 as EKS gives it.
        region: the cluster's region.
    """
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {
                        "server": endpoint,
                        "certificate-authority-data": certificate_authority_data,
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
            "users": [
                {
                    "name": name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "aws",
                            "args": [
                                "eks",
                                "get-token",
                                "--cluster-name",
                                name,
                                "--region",
                                region,
                                "--output",
                                "json",
                            ],
                            "interactiveMode": "Never",
                        }
                    },
                }
            ],
        }
    )
