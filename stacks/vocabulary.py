"""The words of a stack file: annotated types that say what a value must look like, and how to mend it.

Those that AWS defines are in ``stacks.aws_vocabulary``.
"""

import difflib
import inspect
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic.alias_generators import to_camel

from components.workload.image_name import image_name
from stacks.cron import check_schedule


class Model(BaseModel):
    """A part of a stack file: frozen, camelCase in the file, and closed to keys that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        validate_default=True,
    )


def model_in(annotation: Any) -> type[Model] | None:
    """The part of a stack file that a field holds, by itself or in a list; None where it holds none."""
    if inspect.isclass(annotation) and issubclass(annotation, Model):
        return annotation
    return next((found for arg in get_args(annotation) if (found := model_in(arg))), None)


_SECRET_WORDS = re.compile(r"(KEY|TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL)S?$")


def sounds_secret(name: str) -> bool:
    """Whether a variable or field of this name would hold a secret: ``OPENAI_API_KEY``, ``apiKey``, ``db_password``."""
    return _SECRET_WORDS.search(name.upper()) is not None


@dataclass(frozen=True)
class matches:  # noqa: N801  # read as a function: AfterValidator(matches(...))
    """A check that a text is ``pattern`` as a whole; stacks.schema tells editors the same."""

    pattern: str
    remedy: str

    def __call__(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(self.remedy)
        return value


def number_as_text(value: Any) -> Any:
    """Kubernetes takes quantities as numbers, too."""
    return (
        f"{Decimal(str(value)):f}"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
    )


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
    image_name(value)
    return value


def _known_provider(value: str) -> str:
    provider = value.partition(":")[0]
    if value != "fake" and provider not in MODEL_PROVIDERS:
        similar = difflib.get_close_matches(provider, MODEL_PROVIDERS, n=3)
        known = " or ".join(similar) if similar else f"one of {', '.join(MODEL_PROVIDERS)}"
        raise ValueError(
            f"names {provider}, which init_chat_model does not know as a provider: write {known}"
        )
    return value


def _schedule(value: str) -> str:
    check_schedule(value)
    return value


#: The providers of ``langchain.chat_models.init_chat_model``; a test compares them with the installed langchain's.
MODEL_PROVIDERS = (
    "anthropic",
    "anthropic_bedrock",
    "azure_ai",
    "azure_openai",
    "baseten",
    "bedrock",
    "bedrock_converse",
    "bedrock_mantle_anthropic",
    "bedrock_mantle_openai",
    "cohere",
    "deepseek",
    "fireworks",
    "google_anthropic_vertex",
    "google_genai",
    "google_vertexai",
    "groq",
    "huggingface",
    "ibm",
    "langsmith",
    "litellm",
    "meta",
    "mistralai",
    "nvidia",
    "ollama",
    "openai",
    "openrouter",
    "perplexity",
    "together",
    "upstage",
    "xai",
)

Flag = Annotated[bool, Strict()]
"""``true`` or ``false``: ``"no"`` and ``0`` would be true to one reader and false to another."""

Whole = Annotated[int, Strict()]
"""A whole number."""

Name = Annotated[
    str,
    Field(max_length=24),
    AfterValidator(
        matches(
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
        matches(
            r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
            "write a full host name in lower case, such as support.agents.example.com",
        )
    ),
]
Email = Annotated[
    str,
    AfterValidator(matches(r"[^@\s]+@[^@\s]+\.[^@\s]+", "write an e-mail address, such as ops@example.com")),
]
Cpu = Annotated[str, BeforeValidator(number_as_text), AfterValidator(_cpu)]
Memory = Annotated[str, BeforeValidator(number_as_text), AfterValidator(_memory)]
ProjectPath = Annotated[str, Field(min_length=1)]
"""Relative to Pulumi.yaml, or absolute."""
ImageReference = Annotated[str, AfterValidator(_image_reference)]
"""An image by tag or digest."""
RegistryServer = Annotated[
    str,
    AfterValidator(
        matches(
            r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,63}(:\d{1,5})?",
            "write the registry's host as images have it, such as ghcr.io; Docker Hub's is docker.io",
        )
    ),
]

KubernetesVersion = Annotated[
    str,
    AfterValidator(matches(r"1\.\d{2}", 'write the minor version that EKS offers, in quotes: "1.36"')),
]
EngineVersion = Annotated[
    str,
    AfterValidator(matches(r"\d+(\.\d+)*", 'write the engine version in quotes, such as "17" or "8.1"')),
]
EnvName = Annotated[
    str,
    AfterValidator(
        matches(r"[A-Z][A-Z0-9_]*", "use capital letters, digits and underscores, such as OPENAI_API_KEY")
    ),
]
KeyPrefix = Annotated[
    str,
    AfterValidator(
        matches(
            r"[a-z0-9][a-z0-9_-]{0,62}",
            "use at most 63 lower-case letters, digits, _ and -, starting with a letter or a digit; the colon is added",
        )
    ),
]
ModelName = Annotated[
    str,
    AfterValidator(
        matches(
            r"fake|[A-Za-z0-9_-]+:\S+",
            "write provider:model as init_chat_model takes it, such as openai:gpt-5-mini, or fake for no provider",
        )
    ),
    AfterValidator(_known_provider),
]
CronSchedule = Annotated[str, AfterValidator(_schedule)]


ObjectName = Annotated[
    str,
    AfterValidator(
        matches(
            r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            "write a name of Kubernetes: at most 63 lower-case letters, digits and hyphens",
        )
    ),
]
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
LabelName = Annotated[
    str,
    AfterValidator(
        matches(
            rf"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?{_LABEL}",
            "write a key of Kubernetes, such as team or node.kubernetes.io/instance-type",
        )
    ),
]
LabelValue = Annotated[
    str,
    AfterValidator(
        matches(rf"({_LABEL})?", "write at most 63 letters, digits, dots, _ and -, in quotes if need be")
    ),
]
Port = Annotated[Whole, Field(ge=1, le=65_535)]


def _foreign_annotations(annotations: dict[str, str]) -> dict[str, str]:
    for name in annotations:
        if name.startswith(("checksum/", "prometheus.io/")):
            raise ValueError(f"the stack sets {name} itself: remove it")
    return annotations


Annotations = Annotated[dict[LabelName, str], AfterValidator(_foreign_annotations)]
"""Annotations of pods by name."""


def _own_priority(value: str) -> str:
    if value.startswith("system-"):
        raise ValueError(
            "is for what a cluster cannot run without: make a PriorityClass for agents, and name that"
        )
    return value


PriorityClass = Annotated[ObjectName, AfterValidator(_own_priority)]

Percent = Annotated[Whole, Field(ge=1, le=100)]
Days = Annotated[Whole, Field(ge=1, le=3650)]


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


class Runtime(StrEnum):
    """What serves an agent's graphs."""

    SERVICE = "service"
    LANGGRAPH_SERVER = "langgraph-server"


class Durability(StrEnum):
    """When LangGraph writes a checkpoint: before the next step, beside it, or only at the run's end."""

    SYNC = "sync"
    ASYNC = "async"
    EXIT = "exit"


class CheckpointHistory(StrEnum):
    """Which checkpoints of a thread stay: all, or the latest and what it needs."""

    ALL = "all"
    KEEP_LATEST = "keep_latest"


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


class Pooler(StrEnum):
    """What stands between the agents' pods and PostgreSQL and shares few connections among many: nothing, PgBouncer in
    pods of the stack, or RDS Proxy, which AWS runs."""

    NONE = "none"
    PGBOUNCER = "pgbouncer"
    RDS_PROXY = "rds-proxy"


class Compute(StrEnum):
    """Who runs the nodes: managed node groups of the stack file, with the Cluster Autoscaler or with Karpenter beside
    them, or EKS Auto Mode."""

    NODE_GROUPS = "node-groups"
    KARPENTER = "karpenter"
    AUTO_MODE = "auto-mode"


class TolerationOperator(StrEnum):
    """Which values of a taint are tolerated: one, or all."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"
