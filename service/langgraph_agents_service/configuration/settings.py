"""Every setting of the service: one model, read from the environment and from mounted secret files.

A field's name in upper case is its variable, and the name of its file when it is a secret. Nothing else in
the service reads the environment. `python -m langgraph_agents_service settings` prints the table that docs/agent.md
holds.
"""

import json
import os
from base64 import b64decode
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

DEFAULT_SECRETS_DIR = "/var/run/secrets/langgraph-agents"
TLS_SSLMODES = ("require", "verify-ca", "verify-full")


class Environment(StrEnum):
    DEV = "dev"
    PROD = "prod"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Checkpointer(StrEnum):
    """Where threads, runs and checkpoints live."""

    POSTGRES = "postgres"
    VALKEY = "valkey"
    MEMORY = "memory"
    NONE = "none"


class ProcessRole(StrEnum):
    """What a process does of an agent's work."""

    ALL = "all"
    ANSWER = "answer"
    """Answers requests, and leaves their runs to processes that execute."""
    EXECUTE = "execute"
    """Executes runs that wait, and answers probes alone."""

    @property
    def executes(self) -> bool:
        return self is not ProcessRole.ANSWER

    @property
    def answers(self) -> bool:
        return self is not ProcessRole.EXECUTE


class PreparedStatements(StrEnum):
    """Whether PostgreSQL keeps the plans of statements for the next time."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Durability(StrEnum):
    """When LangGraph writes a checkpoint: before the next step, beside it, or when the run ends."""

    SYNC = "sync"
    ASYNC = "async"
    EXIT = "exit"


class CheckpointHistory(StrEnum):
    """Which checkpoints of a thread stay; the latter in LangGraph's word."""

    ALL = "all"
    KEEP_LATEST = "keep_latest"


class MultitaskStrategy(StrEnum):
    """What happens to a run that meets another one on its thread."""

    REJECT = "reject"
    ENQUEUE = "enqueue"


def _uri(*schemes: str) -> AfterValidator:
    """Accept an empty value or a URI of one of the schemes that names a host or a socket; never echo it."""

    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        try:
            parts = urlsplit(text)
            whole = bool(parts.netloc or parts.query or parts.path) and (parts.port or True)
        except ValueError:
            raise ValueError("is not a URI; percent-encode special characters of the password") from None
        if text and (parts.scheme not in schemes or not whole):
            raise ValueError(f"is not a {schemes[0]}://user:password@host:port/name URI")
        return SecretStr(text)

    return AfterValidator(check)


PostgresUri = Annotated[SecretStr, _uri("postgresql", "postgres")]
ValkeyUri = Annotated[SecretStr, _uri("redis", "rediss", "valkey", "valkeys")]


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # A file wins over a variable: files rotate, variables cannot.
        return init_settings, file_secret_settings, env_settings


class ModelSettings(_FromEnvironment):
    """What the reference agent needs."""

    model: str = Field(
        "fake",
        min_length=1,
        description="Model of the reference agent: `provider:name` of `init_chat_model`, or `fake` (no key).",
    )


class DatabaseSettings(_FromEnvironment):
    """What `migrate` and `prune` need. Raises pydantic.ValidationError; `describe.faults` words it."""

    environment: Environment = Field(
        Environment.DEV, description="`prod` refuses what is only fit for development (see below)."
    )
    log_level: LogLevel = Field(LogLevel.INFO, description="Least severe level that is logged.")
    secrets_dir: Path = Field(
        Path(DEFAULT_SECRETS_DIR),
        description="Directory of secret files, one per variable, re-read when they rotate.",
    )
    langgraph_config: Path = Field(
        Path(__file__).parents[1] / "reference" / "langgraph.json",
        description="Path of the `langgraph.json` to serve.",
    )
    database_uri: PostgresUri = Field(SecretStr(""), description="**Secret.** PostgreSQL of the service.")
    database_admin_uri: PostgresUri = Field(
        SecretStr(""),
        description="**Secret.** Login that may create roles and databases; only `migrate` reads it.",
    )
    database_pool_min_size: int = Field(1, ge=0, le=1000, description="Connections kept open per process.")
    database_pool_max_size: int = Field(10, ge=2, le=1000, description="Connections of a process at most.")
    database_pool_timeout_seconds: float = Field(
        5, gt=0, le=300, description="Longest wait for a connection; then 503 with `Retry-After`."
    )
    database_prepared_statements: PreparedStatements = Field(
        PreparedStatements.AUTO,
        description="Whether statements are prepared. `auto`: unless a pooler such as PgBouncer answers "
        "for PostgreSQL, which is noticed.",
    )
    database_relaxed_commits: bool = Field(
        True,
        description="Whether the start and the end of a run whose client waits may reach the disk with the commits of "
        "its checkpoints, by a parameter of their transaction. Behind RDS Proxy, which may keep a connection for a "
        "session that sets one, `false`.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = [
            *self._consistency(),
            *(self._production() if self.environment is Environment.PROD else ()),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _consistency(self) -> list[str]:
        if self.database_pool_min_size <= self.database_pool_max_size:
            return []
        return [
            f"DATABASE_POOL_MIN_SIZE is {self.database_pool_min_size}, above DATABASE_POOL_MAX_SIZE "
            f"{self.database_pool_max_size}; lower it"
        ]

    def _production(self) -> list[str]:
        problems = []
        for variable, uri in (
            ("DATABASE_URI", self.database_uri),
            ("DATABASE_ADMIN_URI", self.database_admin_uri),
        ):
            parts = urlsplit(uri.get_secret_value())
            sslmode = parse_qs(parts.query).get("sslmode", ["(none)"])[-1]
            if parts.scheme and sslmode not in TLS_SSLMODES:
                problems.append(
                    f"{variable} has sslmode={sslmode}; prod needs one of {', '.join(TLS_SSLMODES)}"
                )
        return problems


class Settings(ModelSettings, DatabaseSettings):
    """The settings of the serving process."""

    log_content: bool = Field(False, description="Log inputs and outputs of runs. They may be personal data.")
    host: str = Field(
        "0.0.0.0",  # noqa: S104
        description="Address to listen on. Anything but loopback needs API_KEYS, or `auth` in langgraph.json.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port of the API and the probes.")
    metrics_port: int = Field(
        9464, ge=0, le=65535, description="Port of `/metrics`, kept off the API's port. 0 serves none."
    )
    process_role: ProcessRole = Field(
        ProcessRole.ALL,
        description="What this process does: `answer` requests, whose runs wait for processes that `execute` and "
        "answer probes alone; or `all`. The first two need CHECKPOINTER=postgres.",
    )
    max_iterations: int = Field(
        25, ge=1, le=1000, description="Recursion limit of a run that does not ask for one."
    )
    max_recursion_limit: int = Field(
        10_007,
        ge=1,
        le=1_000_000,
        description="Highest recursion limit that a run may ask for. The default is what a `RemoteGraph` asks for.",
    )

    checkpointer: Checkpointer = Field(
        Checkpointer.POSTGRES, description="Where threads, runs and checkpoints live."
    )
    durability: Durability = Field(
        Durability.ASYNC,
        description="When a checkpoint is written: before the next step, beside it, at the end.",
    )
    checkpoint_history: CheckpointHistory = Field(
        CheckpointHistory.ALL,
        description="Which checkpoints of a thread stay between its runs. `keep_latest`: none that only time travel "
        "needs.",
    )
    multitask_strategy: MultitaskStrategy = Field(
        MultitaskStrategy.ENQUEUE,
        description="A second run on a busy thread, where the request does not say: refuse it, or queue it.",
    )
    redis_uri: ValkeyUri = Field(
        SecretStr(""),
        description="**Secret.** Valkey or Redis: checkpoints, and rate limits shared by all pods.",
    )
    redis_pool_max_size: int = Field(
        20,
        ge=1,
        le=10000,
        description="Valkey connections of a process at most, beside one that keeps threads taken.",
    )
    cache_key_prefix: str = Field(
        "langgraph-agents:", max_length=100, description="Put before every key in Valkey."
    )
    checkpoint_ttl_seconds: int = Field(
        3600, ge=1, description="Idle life of a thread in Valkey. PostgreSQL keeps threads until `prune`."
    )

    max_concurrent_runs: int = Field(
        100, ge=1, le=100_000, description="Runs that one process executes at once."
    )
    max_concurrent_runs_per_caller: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Runs that one key or user may wait for at once, on one process; then 429. "
        "0: as many as there are places.",
    )
    sync_threads: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Threads of one process for nodes and tools that are not async. "
        "0: as many as MAX_CONCURRENT_RUNS, and 1000 at most.",
    )
    queue_timeout_seconds: float = Field(
        10,
        gt=0,
        le=600,
        description="Longest wait of a request for a free place; then 503 with `Retry-After`.",
    )
    run_timeout_seconds: float = Field(
        300, gt=0, le=86_400, description="Longest run; then status `timeout`."
    )
    drain_timeout_seconds: float = Field(
        30, ge=0, le=86_400, description="After SIGTERM, how long runs in flight may take to finish here."
    )
    stream_buffer_bytes: int = Field(
        2_097_152,
        ge=65_536,
        description="Events of one run that are kept in memory while it executes, for who reads along.",
    )
    store_shared: bool = Field(
        False, description="Whether all keys see the same items of the store, instead of each its own."
    )
    lease_seconds: float = Field(
        15, ge=1, le=600, description="A process silent for this long has died; others resume its runs."
    )
    max_run_attempts: int = Field(
        3, ge=1, le=100, description="Processes that may die under one run before it counts as failed."
    )

    api_keys: SecretStr = Field(
        SecretStr(""), description="**Secret.** Keys for `X-API-Key`: `key` or `name:key`, by line or comma."
    )
    require_api_key_with_auth: bool = Field(
        False,
        description="Where langgraph.json has `auth`: requests need one of API_KEYS as well. "
        "Otherwise `auth` alone decides.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="**Secret.** Signs webhooks: `whsec_` and base64; several by line or comma. `prod` needs it.",
    )
    rate_limit_per_minute: int = Field(
        600, ge=0, description="Requests of one key or user in a minute; 0 for no limit."
    )
    max_request_bytes: int = Field(16_777_216, ge=1024, description="Largest request body.")
    max_request_bytes_at_once: int = Field(
        0,
        ge=0,
        description="Bodies above 64 KiB that one process holds until they are answered and their runs have ended; "
        "more wait QUEUE_TIMEOUT_SECONDS, then 503. 0: four of the largest.",
    )
    cors_origins: str = Field(
        "",
        description="Origins that browsers may call from, comma-separated. Empty: none.",
    )
    otel_exporter_otlp_endpoint: str = Field(
        "", description="OTLP/HTTP collector for traces, e.g. `http://collector:4318`. Empty: no traces."
    )

    def _consistency(self) -> list[str]:
        problems = super()._consistency()
        if self.checkpointer is Checkpointer.POSTGRES and not self.database_uri.get_secret_value():
            problems.append(
                "DATABASE_URI is empty, and CHECKPOINTER=postgres needs it; set it, or choose another"
            )
        if self.checkpointer is Checkpointer.VALKEY and not self.redis_uri.get_secret_value():
            problems.append("REDIS_URI is empty, and CHECKPOINTER=valkey needs it; set it, or choose another")
        if self.process_role is not ProcessRole.ALL and self.checkpointer is not Checkpointer.POSTGRES:
            problems.append(
                f"PROCESS_ROLE={self.process_role} needs runs that all processes see, and "
                f"CHECKPOINTER={self.checkpointer} is not postgres; use postgres, or PROCESS_ROLE=all"
            )
        if (
            self.checkpoint_history is CheckpointHistory.KEEP_LATEST
            and self.checkpointer is not Checkpointer.POSTGRES
        ):
            problems.append(
                f"CHECKPOINT_HISTORY=keep_latest needs CHECKPOINTER=postgres, and it is {self.checkpointer}; "
                "set CHECKPOINT_HISTORY=all"
            )
        if 0 < self.max_request_bytes_at_once < self.max_request_bytes:
            problems.append(
                f"MAX_REQUEST_BYTES_AT_ONCE is {self.max_request_bytes_at_once}, below MAX_REQUEST_BYTES "
                f"{self.max_request_bytes}; raise it, or leave it out"
            )
        if self.require_api_key_with_auth and not self.keys:
            problems.append("API_KEYS is empty, and REQUIRE_API_KEY_WITH_AUTH needs it; set keys")
        if not self.keys and not self.project_authenticates and not self.listens_on_loopback:
            problems.append(
                f"API_KEYS is empty while HOST={self.host} is open to others; set keys, or HOST=127.0.0.1"
            )
        if any(not _signs(secret) for secret in self.webhook_secrets):
            problems.append(
                "WEBHOOK_SECRET is not whsec_ and the base64 of 24 bytes or more; make one by "
                '`echo "whsec_$(openssl rand -base64 32)"`'
            )
        if self.model != "fake" and ":" not in self.model:
            problems.append(
                f"MODEL={self.model} names no provider; write provider:name, e.g. openai:gpt-5-mini"
            )
        return problems

    def _production(self) -> list[str]:
        problems = super()._production()
        if "*" in self.cors:
            problems.append("CORS_ORIGINS=* is refused in prod; list the origins")
        if self.checkpointer in (Checkpointer.MEMORY, Checkpointer.NONE):
            problems.append(
                f"CHECKPOINTER={self.checkpointer} loses threads and is refused in prod; use postgres"
            )
        if self.model == "fake":
            problems.append("MODEL=fake is refused in prod; name a real model, e.g. openai:gpt-5-mini")
        if not self.keys and not self.project_authenticates:
            problems.append("API_KEYS is empty, which is refused in prod; set at least one key")
        if any(len(key.partition(":")[2] or key) < 16 for key in self.keys):
            problems.append(
                "API_KEYS holds a key of fewer than 16 characters; use e.g. `openssl rand -hex 24`"
            )
        if urlsplit(self.redis_uri.get_secret_value()).scheme in ("redis", "valkey"):
            problems.append("REDIS_URI is without TLS; prod needs rediss://")
        return problems

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The entries of API_KEYS: `key`, or `name:key` for threads that outlive a change of the key."""
        return _entries(self.api_keys)

    @cached_property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets of WEBHOOK_SECRET, each of which signs."""
        return _entries(self.webhook_secret)

    @cached_property
    def project_authenticates(self) -> bool:
        """Whether langgraph.json has `auth`, so that nobody needs a key. What is wrong with the file is said when it is
        read for all that it holds."""
        path = self.langgraph_config
        try:
            document = json.loads((path / "langgraph.json" if path.is_dir() else path).read_text())
        except (OSError, ValueError):
            return False
        return isinstance(document, dict) and bool(document.get("auth"))

    @cached_property
    def cors(self) -> tuple[str, ...]:
        """The origins of CORS_ORIGINS, without blanks."""
        return tuple(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())

    @property
    def bodies_bytes(self) -> int:
        """For large bodies that are held at a time."""
        return self.max_request_bytes_at_once or 4 * self.max_request_bytes

    @property
    def threads(self) -> int:
        """For nodes and tools that are not async."""
        return self.sync_threads or min(self.max_concurrent_runs, 1000)

    @property
    def listens_on_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _entries(secret: SecretStr) -> tuple[str, ...]:
    """What stands on lines of its own, or between commas."""
    text = secret.get_secret_value().replace(",", "\n")
    return tuple(entry.strip() for entry in text.splitlines() if entry.strip())


def _signs(secret: str) -> bool:
    try:
        return len(b64decode(secret.removeprefix("whsec_"), validate=True)) >= 24
    except ValueError:
        return False


S = TypeVar("S", bound=_FromEnvironment)


def load(kind: type[S], **overrides: Any) -> S:
    """Read the environment and the secret files. Raises pydantic.ValidationError with every fault."""
    folder = Path(overrides.get("secrets_dir") or os.environ.get("SECRETS_DIR") or DEFAULT_SECRETS_DIR)
    return kind(_secrets_dir=folder if folder.is_dir() else None, **overrides)
