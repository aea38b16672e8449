"""Rules about what AWS would refuse, minutes or days after a stack file was taken.

They are called as those of ``stacks.rules`` are. ``region`` and ``account_ids`` are Pulumi's own settings of the AWS
provider, ``aws:region`` and ``aws:allowedAccountIds``.
"""

from collections.abc import Iterator, Mapping, Sequence

from stacks.agent_settings import Agent
from stacks.problems import Problem
from stacks.settings import Alarms, Cache, Database, Network, Registry

Agents = Mapping[int, Agent]


def secrets_are_in_the_region(
    agents: Agents, registries: Sequence[Registry], database: Database, region: str
) -> Iterator[Problem]:
    """The driver that mounts secrets asks the Secrets Manager of the region that its node runs in."""
    for field, arn in _existing_secrets(agents, registries, database):
        other = arn.split(":")[3]
        if other != region:
            yield Problem(
                field,
                arn,
                f"is of {other}, and pods in {region} cannot mount it: replicate it (aws secretsmanager"
                f" replicate-secret-to-regions --secret-id NAME --region {other} --add-replica-regions Region={region})"
                " and write the replica's ARN",
            )


def secrets_are_in_the_account(
    agents: Agents, registries: Sequence[Registry], database: Database, account_ids: Sequence[str]
) -> Iterator[Problem]:
    """An entry of another account is refused to every pod, whatever the agent's own role allows."""
    secrets = list(_existing_secrets(agents, registries, database))
    if not secrets:
        return
    known = set(account_ids) or {secrets[0][1].split(":")[4]}
    because = (
        f"aws:allowedAccountIds of this stack has {', '.join(sorted(known))}"
        if account_ids
        else f"{secrets[0][0]} is of {', '.join(known)}; `pulumi config set --path 'aws:allowedAccountIds[0]' NUMBER`"
        " says which is the stack's"
    )
    for field, arn in secrets:
        account = arn.split(":")[4]
        if account not in known:
            yield Problem(
                field,
                arn,
                f"is of the account {account}, and {because}: copy the secret into the stack's account, and write the"
                " copy's ARN",
            )


def alarms_tell_a_topic_of_the_region(alarms: Alarms | None, region: str) -> Iterator[Problem]:
    """An alarm and what it tells are of one region."""
    if alarms is None or alarms.topic_arn is None:
        return
    other = alarms.topic_arn.split(":")[3]
    if other != region:
        yield Problem(
            "alarms.topicArn",
            alarms.topic_arn,
            f"is of {other}, and alarms of {region} tell only topics there: write the ARN of a topic in {region}",
        )


def alarms_have_something_to_watch(
    alarms: Alarms | None, network: Network, database: Database, cache: Cache
) -> Iterator[Problem]:
    """What is there already has an owner, who watches it."""
    if alarms is not None and network.existing and database.existing and cache.existing:
        yield Problem(
            "alarms",
            alarms.topic_arn or ", ".join(alarms.emails),
            "has nothing to watch: network, database and cache are there already, and are watched by whose they are;"
            " remove it",
        )


RULES = (
    secrets_are_in_the_region,
    secrets_are_in_the_account,
    alarms_tell_a_topic_of_the_region,
    alarms_have_something_to_watch,
)


def _existing_secrets(
    agents: Agents, registries: Sequence[Registry], database: Database
) -> Iterator[tuple[str, str]]:
    for index, agent in agents.items():
        for place, secret in enumerate(agent.secrets):
            if secret.arn is not None:
                yield f"agents[{index}].secrets[{place}].arn", secret.arn
    if database.existing is not None:
        yield "database.existing.adminSecretArn", database.existing.admin_secret_arn
    for index, registry in enumerate(registries):
        yield f"registries[{index}].secretArn", registry.secret_arn
