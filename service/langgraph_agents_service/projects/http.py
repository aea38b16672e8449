"""`http` of langgraph.json: how requests reach the service, beside what is the same for every project."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field


def _prefix(value: str) -> str:
    if not value.startswith("/") or value.endswith("/") or "//" in value:
        raise ValueError(f"{value!r} has to begin with / and not to end with it, e.g. /my-agent")
    return value


class Section(BaseModel):
    """A part of langgraph.json, in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Cors(Section):
    """Handed on as they are to Starlette's CORSMiddleware, whose defaults hold for what is not there."""

    allow_origins: list[str] = []
    allow_methods: list[str] | None = None
    allow_headers: list[str] | None = None
    allow_credentials: bool | None = None
    allow_origin_regex: str | None = None
    expose_headers: list[str] | None = None
    max_age: int | None = None

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class Headers(Section):
    """Names of headers, with `*` for any characters. What is excluded is out whatever is included."""

    includes: list[str] | None = Field(None, validation_alias=AliasChoices("includes", "include"))
    excludes: list[str] | None = Field(None, validation_alias=AliasChoices("excludes", "exclude"))

    def pick(self, headers: list[tuple[bytes, bytes]], *, never: frozenset[str]) -> dict[str, str]:
        """The headers that are wanted, by their names in lower case."""
        found = {}
        for name_bytes, value in headers:
            name = name_bytes.decode("latin-1").lower()
            if (
                name not in never
                and not name.startswith("__")  # LangGraph's own names
                and not any(_matches(pattern, name) for pattern in self.excludes or ())
                and any(_matches(pattern, name) for pattern in self.includes or ())
            ):
                found[name] = value.decode("latin-1")
        return found


class Http(Section):
    app: str | None = None
    disable_assistants: bool = False
    disable_threads: bool = False
    disable_runs: bool = False
    disable_store: bool = False
    disable_meta: bool = False
    disable_webhooks: bool = False
    disable_ui: bool = False
    disable_mcp: bool = False
    disable_a2a: bool = False
    cors: Cors | None = None
    mount_prefix: Annotated[str, AfterValidator(_prefix)] | None = None
    configurable_headers: Headers | None = None
    logging_headers: Headers | None = None
    enable_custom_route_auth: bool = False
    middleware_order: Literal["auth_first", "middleware_first"] | None = None

    def disables(self, path: str) -> bool:
        """Whether the route of this path is not to be there, as LangGraph's server takes them away."""
        first, _, rest = path.strip("/").partition("/")
        if first == "threads":
            runs = re.match(r"(\{[^}]*\}/)?runs(/|$)", rest) is not None
            return self.disable_runs if runs else self.disable_threads
        return {
            "assistants": self.disable_assistants,
            "runs": self.disable_runs,
            "invoke": self.disable_runs,
            "store": self.disable_store,
            "mcp": self.disable_mcp,
            "a2a": self.disable_a2a,
            ".well-known": self.disable_a2a,
            "ui": self.disable_ui,
            "info": self.disable_meta,
            "docs": self.disable_meta,
            "openapi.json": self.disable_meta,
        }.get(first, False)


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.lower().split("*")), name) is not None
