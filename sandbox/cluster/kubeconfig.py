"""Kubeconfig files: the address of an API server, and the credentials of its clients."""

from collections.abc import Mapping

import yaml

from sandbox.cluster.api import Endpoint


def with_user(text: str, user: Mapping[str, str]) -> str:
    """A kubeconfig of one user with the credentials of another one."""
    config = yaml.safe_load(text)
    config["users"][0]["user"] = dict(user)
    return yaml.safe_dump(config, sort_keys=False)


def kubeconfig(endpoint: Endpoint, name: str, user: Mapping[str, str]) -> str:
    """A kubeconfig of one cluster and one user, both called `name`.

    Args:
        user: the credentials: `token`, or `client-certificate` and `client-key`.
    """
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {"server": endpoint.server, "certificate-authority": endpoint.ca_file},
                }
            ],
            "users": [{"name": name, "user": dict(user)}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        sort_keys=False,
    )
