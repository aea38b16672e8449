"""Secrets that stand where anybody reads them: found by how they look, and by how random they are."""

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import Resource, Severity, is_secret, resource_rule
from policies.pods import WORKLOADS, pods_of
from stacks.vocabulary import sounds_secret

# Keys as their issuers make them; the prefixes are their own documentation's.
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "an Anthropic key": re.compile(r"\bsk-ant-[\w-]{20,}"),
    "an OpenAI key": re.compile(r"\bsk-(?!ant-)[\w-]{20,}"),
    "a LangSmith key": re.compile(r"\blsv2_[a-z]{2}_[0-9a-f]{32}"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_\w{36,}|github_pat_\w{22,})"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[\w-]{10,}"),
    "a Google key": re.compile(r"\bAIza[\w-]{35}"),
    "a Stripe key": re.compile(r"\b[rs]k_live_\w{20,}"),
    "a Pulumi token": re.compile(r"\bpul-[0-9a-f]{40}\b"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*"),
    "a password in a URI": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@]*:[^\s:/@]+@[^\s/@]+"),
}

# A password in a URI; keys are far longer.
_SHORTEST = 8

# Random text of known purpose: public certificates, digests, ARNs (a secret's ends with six random characters), UUIDs.
_PUBLIC = re.compile(
    r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----|sha256:[0-9a-f]{64}|\barn:aws[\w-]*:[^\s\"',]+"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    re.DOTALL,
)
_SHORTEST_TOKEN = 20
_TOKEN = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST_TOKEN},}}")
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32,}(?![0-9A-Za-z])")
# Bits a character. English identifiers stay below 4; 20 random characters of base64 are above it nine times in ten.
_BASE64_BITS = 4.0
_HEX_BITS = 3.0
# "langgraph", "TLS13", "2021": parts of names, not of keys.
_WORD = re.compile(r"[A-Za-z]+\d{0,3}|\d*")

# Checksums look like secrets and have to; they say what they are.
_CHECKSUM = re.compile(r"checksum|digest|fingerprint|hash", re.IGNORECASE)

# Where a provider takes a secret, keeps it encrypted and shows it to nobody.
_MADE_FOR_SECRETS: Mapping[str, frozenset[str]] = {
    "aws:secretsmanager/secretVersion:SecretVersion": frozenset({"secretString", "secretBinary"}),
    "aws:rds/instance:Instance": frozenset({"password"}),
    "aws:rds/cluster:Cluster": frozenset({"masterPassword"}),
    "aws:elasticache/replicationGroup:ReplicationGroup": frozenset({"authToken"}),
    "aws:elasticache/user:User": frozenset({"passwords", "authenticationMode"}),
    "aws:ssm/parameter:Parameter": frozenset({"value", "valueWo"}),
    "kubernetes:core/v1:Secret": frozenset({"data", "stringData"}),
    "docker-build:index:Image": frozenset({"registries", "secrets"}),
}


@resource_rule(
    id="no-hard-coded-secrets",
    severity=Severity.CRITICAL,
    reason="Whoever reads the cluster, the state or the console reads the secret, and nobody can rotate it",
    remedy="declare it under the agent's secrets; pods read it as a file from Secrets Manager. Rotate the one that"
    " stood here",
    link="https://docs.aws.amazon.com/secretsmanager/latest/userguide/best-practices.html",
)
def no_hard_coded_secrets(resource: Resource) -> Iterator[str]:
    kubernetes = resource.type.startswith("kubernetes:")
    made_for_secrets = _MADE_FOR_SECRETS.get(resource.type, frozenset())
    for path, value in _leaves(resource.inputs, made_for_secrets):
        if kubernetes and is_secret(value):
            yield f"{_shown(path)} holds a secret, which the API server shows to whoever may read the object"
        elif isinstance(value, str):
            # An AWS resource is full of ids and documents: only what has a known form is reported there.
            found = _by_form(value) or (_by_entropy(path, value) if kubernetes else None)
            if found:
                yield f"{_shown(path)} holds {found}"
    if kubernetes:
        yield from _named_like_secrets(resource)


def _leaves(inputs: Mapping[str, Any], skip: frozenset[str]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value with its path, in order."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), inputs)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in reversed(value.items()) if key not in skip]
        elif isinstance(value, list | tuple):
            waiting += [((*path, index), value[index]) for index in range(len(value) - 1, -1, -1)]
        else:
            yield path, value


def _shown(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


# Labels, names and kinds repeat a thousand times in a large stack.
@functools.lru_cache(maxsize=8192)
def _by_form(text: str) -> str | None:
    if len(text) < _SHORTEST:
        return None
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(text)), None)


def _by_entropy(path: tuple[str | int, ...], text: str) -> str | None:
    if len(text) < _SHORTEST_TOKEN or _CHECKSUM.search(_shown(path)):
        return None
    return _random_part(text)


@functools.lru_cache(maxsize=8192)
def _random_part(text: str) -> str | None:
    text = _PUBLIC.sub("", text)
    tokens = [token for token in _TOKEN.findall(text) if _mixed(token) and entropy(token) >= _BASE64_BITS]
    tokens += [token for token in _HEX.findall(text) if entropy(token) >= _HEX_BITS]
    return f"a random text of {len(tokens[0])} characters" if tokens else None


def _mixed(token: str) -> bool:
    """Whether it has capitals, small letters and digits, in other places than a name has them."""
    kinds = (str.isupper, str.islower, str.isdigit)
    if not all(any(kind(character) for character in token) for kind in kinds):
        return False
    return not all(_WORD.fullmatch(part) for part in re.split(r"[-_/+]", token))


def entropy(text: str) -> float:
    """Shannon's entropy of ``text``, bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _named_like_secrets(resource: Resource) -> Iterator[str]:
    """Variables whose name says what they hold, whatever it looks like."""
    if resource.type == "kubernetes:core/v1:ConfigMap":
        data = resource.inputs.get("data")
        for name, value in (data if isinstance(data, Mapping) else {}).items():
            if sounds_secret(name) and isinstance(value, str) and value:
                yield f"data.{name} is set in plain text"
    elif resource.type in WORKLOADS:
        for container in pods_of(resource).containers():
            for variable in container.get("env") or ():
                if sounds_secret(str(variable.get("name"))) and variable.get("value"):
                    yield f"variable {variable['name']} of container {container['name']} is set in plain text"
