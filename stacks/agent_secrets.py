"""First of an agent: what it is to know. Its database's login, its login to the cache, and its own secrets."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.secrets.secrets import Secret, SecretArgs, SecretEntry
from components.stores.agent_database import AgentDatabase, AgentDatabaseArgs, PoolerArgs
from stacks.agent_settings import Agent, AgentSecret
from stacks.platform import Platform
from stacks.secret_names import DATABASE, POOLED_DATABASE
from stacks.service import DATABASE_ADMIN_URI, DATABASE_URI, REDIS_URI
from stacks.settings import Settings
from stacks.vocabulary import SecretSource

ApiKeys = pulumi.Output[dict[str, dict[str, str]]]
"""``langgraph-agents:apiKeys``, secret: values by agent and name."""


@dataclass(frozen=True)
class SecretFiles:
    """Entries of Secrets Manager that pods of one kind mount as files."""

    arns: Mapping[str, pulumi.Output[str]]
    """By the name of the file that each becomes."""
    version: pulumi.Output[str]
    """Changes when a value that the stack knows does, and so rolls the pods. No value can be derived from it."""


@dataclass(frozen=True)
class AgentSecrets:
    """What an agent is to know."""

    server: SecretFiles
    """For its server, and for the retention of its threads."""
    migration: SecretFiles
    """For the migration of its database, which alone may act as the database's administrator."""


def deploy_secrets(
    agent: Agent,
    settings: Settings,
    platform: Platform,
    database: AgentDatabase,
    pooler: PoolerArgs | None,
    api_keys: ApiKeys,
    opts: pulumi.ResourceOptions,
) -> AgentSecrets:
    """Make an entry for each secret that nobody else owns.

    Args:
        database: the agent's own.
        pooler: by which its server connects to that; None where it does so itself.
    """
    pooled_name = platform.secret_name(agent.data_name, POOLED_DATABASE)
    made = {
        DATABASE_URI: database.entry_through(pooler, pooled_name) if pooler else database.secret,
        REDIS_URI: platform.cache.secrets[agent.data_name],
        **{
            secret.name: _entry(agent, secret, settings, platform, api_keys, opts)
            for secret in agent.secrets
            if secret.source is not SecretSource.EXISTING
        },
    }
    existing = {secret.name: pulumi.Output.from_input(secret.arn) for secret in agent.secrets if secret.arn}
    administrator = platform.database.admin_secret
    return AgentSecrets(
        server=SecretFiles({**_arns(made), **existing}, files_version(*made.values())),
        migration=SecretFiles(
            # PostgreSQL itself: what changes tables belongs to a session.
            _arns({DATABASE_URI: database.secret, DATABASE_ADMIN_URI: administrator}),
            files_version(database.secret, administrator),
        ),
    )


def deploy_database(
    agent: Agent, settings: Settings, platform: Platform, opts: pulumi.ResourceOptions
) -> AgentDatabase:
    """Make the agent's login, and the entry by which it connects to PostgreSQL itself."""
    return AgentDatabase(
        f"{agent.data_name}-database",
        AgentDatabaseArgs(
            database=identifier(agent.data_name),
            username=identifier(agent.data_name),
            address=platform.database.address,
            port=platform.database.port,
            secret_name=platform.secret_name(agent.data_name, DATABASE),
            secrets_kms_key_arn=platform.secrets_key_arn,
            recovery_window_days=settings.secret_recovery_days,
            protect=settings.production,
        ),
        opts,
    )


def _entry(
    agent: Agent,
    secret: AgentSecret,
    settings: Settings,
    platform: Platform,
    api_keys: ApiKeys,
    opts: pulumi.ResourceOptions,
) -> Secret:
    name = f"{agent.data_name}-{secret.name.lower().replace('_', '-')}"
    value: pulumi.Output[str] | None = None
    if secret.source is SecretSource.CONFIG:
        value = api_keys.apply(lambda keys: keys[agent.name][secret.name])
    elif secret.source is SecretSource.GENERATED:
        value = random.RandomPassword(f"{name}-value", length=40, special=False, opts=opts).result
    return Secret(
        name,
        SecretArgs(
            secret_name=platform.secret_name(agent.data_name, secret.name),
            description=f"{secret.name} of the agent {agent.name}",
            value=value,
            kms_key_arn=platform.secrets_key_arn,
            recovery_window_days=settings.secret_recovery_days,
            protect=settings.production,
        ),
        opts,
    )


def identifier(name: str) -> str:
    """A PostgreSQL identifier that needs no quotes."""
    return name.replace("-", "_")


def _arns(secrets: Mapping[str, Secret | SecretEntry]) -> dict[str, pulumi.Output[str]]:
    return {name: secret.arn for name, secret in secrets.items()}


def files_version(*secrets: Secret | SecretEntry) -> pulumi.Output[str]:
    """Changes whenever one of these does."""
    return pulumi.Output.all(*[secret.version_id for secret in secrets]).apply(
        lambda versions: hashlib.sha256("\0".join(versions).encode()).hexdigest()[:16]
    )
