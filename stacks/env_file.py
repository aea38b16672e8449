"""An agent's settings as a `.env` file: `python -m stacks.env_file --stack dev --agent support [--values]`.

For a service on this machine that is to be like the agent of a stack. Secrets stand there as the entries that hold
them; with --values they are read from Secrets Manager by AWS's CLI, as whoever is logged in there. Exit codes: 0
written; 1 a value cannot be read; 2 wrong options or a wrong stack file.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stacks.agent_runtime import further_variables, runtime_of
from stacks.agent_settings import Agent
from stacks.loading import SettingsError
from stacks.of_stack import agent_of, read_stack
from stacks.reading import StackFileError
from stacks.secret_names import CACHE, DATABASE, secret_name
from stacks.service import DATABASE_URI, REDIS_URI

FOLDER = Path("build/env")
"""Where the files are, below the folder of Pulumi.yaml, which git does not see."""

# Of pods alone: there secrets are files.
_OF_PODS = frozenset({"SECRETS_DIR"})
_PLAIN = re.compile(r"[\w@%+=:,./?&-]*")


class ValueMissingError(Exception):
    """A secret cannot be read; the message says which, why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stacks.env_file", description=__doc__)
    parser.add_argument("--stack", default="dev", help="the stack whose agent it is (dev)")
    parser.add_argument("--agent", required=True, help="the agent's name")
    parser.add_argument("--values", action="store_true", help="write the secrets' values as well")
    options = parser.parse_args(arguments)
    try:
        stack = read_stack(options.stack)
        agent = agent_of(stack.settings, options.agent)
    except (StackFileError, SettingsError, LookupError) as error:
        print(error.args[0] if isinstance(error, LookupError) else error, file=sys.stderr)
        return 2
    region = stack.region
    entries = entries_of(agent, options.stack)
    try:
        values = {name: _value(entry, region) for name, entry in entries.items()} if options.values else {}
    except ValueMissingError as error:
        print(error, file=sys.stderr)
        return 1
    variables = {
        **runtime_of(agent, production=stack.settings.production).variables,
        **further_variables(agent, region),
    }
    text = written(f"{agent.name} of {options.stack}", variables, entries, values, region)
    file = FOLDER / f"{options.stack}-{agent.name}.env"
    _write(file, text)
    print(
        f"{file}: {'with the values of its secrets, for nobody else to read' if values else 'no secret is in it'}"
    )
    return 0


def entries_of(agent: Agent, stack: str) -> dict[str, str]:
    """The entries of Secrets Manager by the name of the variable that each becomes: a name, or an ARN."""
    return {
        DATABASE_URI: secret_name(stack, agent.data_name, DATABASE),
        REDIS_URI: secret_name(stack, agent.data_name, CACHE),
        **{
            secret.name: secret.arn or secret_name(stack, agent.data_name, secret.name)
            for secret in agent.secrets
        },
    }


def written(
    whose: str,
    variables: Mapping[str, str],
    entries: Mapping[str, str],
    values: Mapping[str, str],
    region: str,
) -> str:
    """The file's text: plain variables, then secrets, with their values or how to read them."""
    lines = [f"# What the pods of {whose} are told."]
    lines += [f"{name}={_quoted(value)}" for name, value in sorted(variables.items()) if name not in _OF_PODS]
    lines += [
        "",
        "# Its secrets, from AWS Secrets Manager. RDS and ElastiCache answer within the stack's VPC alone, and",
        "# sslrootcert is a file of the pods: take https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem.",
    ]
    for name, entry in entries.items():
        if name in values:
            lines.append(f"{name}={_quoted(values[name])}")
        else:
            lines += [f"# {shlex.join(_command(entry, region))}", f"#{name}="]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """As dotenv libraries read it: plain, or in single quotes, within which only a backslash escapes."""
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _command(entry: str, region: str) -> list[str]:
    return [
        *("aws", "secretsmanager", "get-secret-value", "--region", region, "--secret-id", entry),
        *("--query", "SecretString", "--output", "text"),
    ]


def _value(entry: str, region: str) -> str:
    if shutil.which("aws") is None:
        raise ValueMissingError(
            "--values: AWS's CLI, `aws`, is not on PATH: install it, or leave --values out"
        )
    done = subprocess.run(_command(entry, region), capture_output=True, text=True)
    if done.returncode:
        raise ValueMissingError(
            f"--values: {entry} cannot be read, and nothing is written: {done.stderr.strip()}"
        )
    return done.stdout.removesuffix("\n")


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and for its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.rename(file)


if __name__ == "__main__":
    sys.exit(main())
