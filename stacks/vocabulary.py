"""The words of a stack file: annotated types that say what a value must look like, and how to mend it."""

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A part of a stack file: frozen, camelCase in the file, and closed to keys that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        validate_default=True,
    )


_SECRET_WORDS = re.compile(r"(KEY|TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL)S?$")


def sounds_secret(name: str) -> bool:
    """Whether a variable or field of this name would hold a secret: ``OPENAI_API_KEY``, ``apiKey``, ``db_password``."""
    return _SECRET_WORDS.search(name.upper()) is not None


def _matches(pattern: str, remedy: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(remedy)
        return value

    return check


def _quoted_number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'YAML reads this as a number: put it in quotes, "{value}"')
    return value


def _cidr(value: str) -> str:
    try:
        ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"write an IPv4 network such as 10.20.0.0/16 ({error})") from None
    return value


_QUANTITY = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<suffix>m|k|Ki|M|Mi|G|Gi|T|Ti)?")
_FACTORS = {
    None: Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "Ki": Decimal(2**10),
    "M": Decimal(10**6),
    "Mi": Decimal(2**20),
    "G": Decimal(10**9),
    "Gi": Decimal(2**30),
    "T": Decimal(10**12),
    "Ti": Decimal(2**40),
}


def quantity(text: str) -> Decimal:
    """A Kubernetes quantity as a number: cores of CPU, or bytes of memory.

    Raises:
        ValueError: ``text`` is not a quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("write a Kubernetes quantity such as 500m (CPU) or 1Gi (memory)")
    return Decimal(match["number"]) * _FACTORS[match["suffix"]]


def _cpu(value: str) -> str:
    if not Decimal("0.01") <= quantity(value) <= Decimal(192):
        raise ValueError("write CPU as cores or millicores, 10m to 192, such as 500m or 2")
    return value


def _memory(value: str) -> str:
    if not 2**24 <= quantity(value) <= 2**42:
        raise ValueError("write memory with its unit, 16Mi to 4Ti, such as 512Mi or 1Gi")
    return value


def _image_reference(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9.\-]+(:\d+)?(/[a-z0-9._\-]+)*(:[\w.\-]+)?@sha256:[0-9a-f]{64}", value):
        raise ValueError(
            "name the image by digest, registry/repository@sha256:<64 hex digits>: a tag can be moved"
            " (docker buildx imagetools inspect IMAGE shows the digest)"
        )
    return value


Name = Annotated[
    str,
    Field(max_length=24),
    AfterValidator(
        _matches(
            r"[a-z]([a-z0-9-]*[a-z0-9])?",
            "use lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen",
        )
    ),
]
"""A short name that Kubernetes, IAM, RDS and Secrets Manager all accept with the stack's name before it."""

Fqdn = Annotated[
    str,
    Field(max_length=253),
    AfterValidator(
        _matches(
            r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
            "write a full host name in lower case, such as support.agents.example.com",
        )
    ),
]
Email = Annotated[
    str,
    AfterValidator(_matches(r"[^@\s]+@[^@\s]+\.[^@\s]+", "write an e-mail address, such as ops@example.com")),
]
Cidr = Annotated[str, AfterValidator(_cidr)]
Cpu = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int) else v), AfterValidator(_cpu)]
Memory = Annotated[str, AfterValidator(_memory)]
Digest = Annotated[str, AfterValidator(_image_reference)]
"""An image by digest."""

KubernetesVersion = Annotated[
    str,
    BeforeValidator(_quoted_number),
    AfterValidator(_matches(r"1\.\d{2}", 'write the minor version that EKS offers, in quotes: "1.36"')),
]
EngineVersion = Annotated[
    str,
    BeforeValidator(_quoted_number),
    AfterValidator(_matches(r"\d+(\.\d+)*", 'write the engine version in quotes, such as "17" or "8.1"')),
]
InstanceClass = Annotated[
    str,
    AfterValidator(
        _matches(r"db\.[a-z0-9-]+\.[a-z0-9]+", "write an RDS instance class, such as db.t4g.medium")
    ),
]
CacheNodeType = Annotated[
    str,
    AfterValidator(
        _matches(r"cache\.[a-z0-9-]+\.[a-z0-9]+", "write an ElastiCache node type, such as cache.t4g.small")
    ),
]
InstanceType = Annotated[
    str, AfterValidator(_matches(r"[a-z0-9-]+\.[a-z0-9-]+", "write an EC2 instance type, such as m7g.large"))
]
IamArn = Annotated[
    str,
    AfterValidator(
        _matches(
            r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/.+",
            "write the ARN of an IAM role, such as arn:aws:iam::123456789012:role/platform-admin",
        )
    ),
]
SecretArn = Annotated[
    str,
    AfterValidator(
        _matches(
            r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}",
            "write the secret's full ARN with its six-character suffix: an IAM policy must not need a wildcard",
        )
    ),
]
EnvName = Annotated[
    str,
    AfterValidator(
        _matches(r"[A-Z][A-Z0-9_]*", "use capital letters, digits and underscores, such as OPENAI_API_KEY")
    ),
]
ModelName = Annotated[
    str,
    AfterValidator(
        _matches(
            r"fake|[a-z0-9_]+:\S+",
            "write provider:model as init_chat_model takes it, such as openai:gpt-5-mini, or fake for no provider",
        )
    ),
]
CronSchedule = Annotated[
    str,
    AfterValidator(
        _matches(
            r"(\S+\s+){4}\S+", 'write five cron fields in quotes, such as "17 3 * * *" for 03:17 UTC daily'
        )
    ),
]


def _log_retention(value: int) -> int:
    if value not in _LOG_RETENTION:
        raise ValueError(
            f"CloudWatch keeps logs for one of these numbers of days: {', '.join(map(str, _LOG_RETENTION))}"
        )
    return value


# The values that CloudWatch Logs' PutRetentionPolicy accepts, up to ten years.
_LOG_RETENTION = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
LogRetentionDays = Annotated[int, AfterValidator(_log_retention)]
Percent = Annotated[int, Field(ge=1, le=100)]
Days = Annotated[int, Field(ge=1, le=3650)]


class LogLevel(StrEnum):
    """How much an agent logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Checkpointer(StrEnum):
    """Where an agent keeps its checkpoints."""

    POSTGRES = "postgres"
    VALKEY = "valkey"


class Durability(StrEnum):
    """When LangGraph writes a checkpoint: before the next step, beside it, or only at the run's end."""

    SYNC = "sync"
    ASYNC = "async"
    EXIT = "exit"


class MultitaskStrategy(StrEnum):
    """What a second run on a thread that has one gets: refused, or a place behind it."""

    REJECT = "reject"
    ENQUEUE = "enqueue"


class SecretSource(StrEnum):
    """Where the value of an agent's secret comes from."""

    CONFIG = "config"
    """``pulumi config set --secret --path apiKeys.<agent>.<NAME>``."""
    MANUAL = "manual"
    """Filled in by hand in Secrets Manager once the entry exists."""
    GENERATED = "generated"
    """A random value, made once."""
    EXISTING = "existing"
    """An entry that somebody else owns, referenced by ARN."""


class IngressController(StrEnum):
    """What terminates TLS: Traefik behind a Network Load Balancer, or an Application Load Balancer."""

    TRAEFIK = "traefik"
    ALB = "alb"


class Issuer(StrEnum):
    """Which of Let's Encrypt's two authorities signs: staging is untrusted, and generous with its limits."""

    STAGING = "letsencrypt-staging"
    PRODUCTION = "letsencrypt-prod"


class Compute(StrEnum):
    """Who runs the nodes: managed node groups of the stack file, or EKS Auto Mode."""

    NODE_GROUPS = "node-groups"
    AUTO_MODE = "auto-mode"
