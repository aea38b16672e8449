"""What a client of the cache logs in with: a password, and the entry that holds its connection URI."""

import pulumi
import pulumi_random as random

from components.secrets.secrets import Secret, SecretArgs
from components.stores.cache_users import CacheClientArgs

PORT = 6379


def cache_uri(name: str, password: str, address: str) -> str:
    """A client's connection URI, by TLS."""
    return f"rediss://{name}:{password}@{address}:{PORT}/0"


def password(name: str, client: CacheClientArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """A client's password, secret."""
    return random.RandomPassword(
        f"{name}-{client.name}-password", length=32, special=False, opts=pulumi.ResourceOptions(parent=parent)
    ).result


def login_secret(
    name: str,
    client: CacheClientArgs,
    *,
    password: pulumi.Output[str],
    primary_endpoint: pulumi.Output[str],
    kms_key_arn: pulumi.Input[str],
    recovery_window_days: int,
    protect: bool,
    parent: pulumi.Resource,
) -> Secret:
    """The entry with a client's ``rediss://`` URI."""
    return Secret(
        f"{name}-{client.name}",
        SecretArgs(
            secret_name=client.secret_name,
            description=f"Connection URI of the cache, for the agent {client.name}",
            value=pulumi.Output.all(password, primary_endpoint).apply(
                lambda known: cache_uri(client.name, known[0], known[1])
            ),
            kms_key_arn=kms_key_arn,
            recovery_window_days=recovery_window_days,
            protect=protect,
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )
