"""Load the stack's settings, compose the stack, export what others need of it."""

from pathlib import Path

import pulumi

from stacks.loading import SettingsError, account_numbers, load, parsed
from stacks.sharing import with_platform
from stacks.stack import compose

config = pulumi.Config()
stack = pulumi.get_stack()
aws_config = pulumi.Config("aws")
region = aws_config.require("region")
account_ids = parsed(aws_config.get("allowedAccountIds"))
try:
    settings = load(
        with_platform(parsed(config.get("settings")), config.get("platform")),
        stack=stack,
        region=region,
        api_keys=parsed(config.get("apiKeys")),
        account_ids=account_ids,
        source=Path(f"Pulumi.{stack}.yaml"),
    )
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None

outputs = compose(
    settings,
    stack=stack,
    region=region,
    account_ids=account_numbers(account_ids) or (),
    api_keys=config.get_secret_object("apiKeys") or pulumi.Output.secret({}),
)
for name, value in outputs.items():
    pulumi.export(name, value)
