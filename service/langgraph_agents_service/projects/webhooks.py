"""`webhooks` of langgraph.json: where runs may be told of, and what is sent along."""

import os
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from langgraph_agents_service.projects.http import Section

BODY_FIELDS = Literal[
    "run_id",
    "thread_id",
    "assistant_id",
    "created_at",
    "updated_at",
    "metadata",
    "kwargs",
    "multitask_strategy",
    "status",
    "run_started_at",
    "run_ended_at",
    "webhook_sent_at",
    "values",
    "error",
]

_TEMPLATE = re.compile(r"\$\{\{\s*([^}]*?)\s*\}\}")


def _domain(value: str) -> str:
    if "*" in value.removeprefix("*.") or not value.removeprefix("*."):
        raise ValueError("write a host name, or one behind '*.' for all below it")
    return value.lower()


class UrlPolicy(Section):
    """Which addresses webhooks may have. The defaults are the strict ones."""

    require_https: bool = True
    allowed_domains: list[Annotated[str, AfterValidator(_domain)]] = Field(default_factory=list)
    """Empty: any."""
    allowed_ports: list[int] | None = None
    max_url_length: int = Field(4096, ge=1)
    disable_loopback: bool = True
    disable_private_ips: bool = True

    def allows_host(self, host: str) -> bool:
        host = host.lower()
        return not self.allowed_domains or any(
            host.endswith(domain[1:]) if domain.startswith("*.") else host == domain
            for domain in self.allowed_domains
        )


class Webhooks(Section):
    env_prefix: str = "LG_WEBHOOK_"
    """What names of variables have to begin with that headers may hold."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with each; `${{ env.NAME }}` is the value of a variable."""
    url: UrlPolicy = UrlPolicy()
    allowed_fields: list[BODY_FIELDS] | None = None
    """What of a run is told; None: all."""

    @model_validator(mode="after")
    def _names_of_the_prefix(self) -> Self:
        for header, value in self.headers.items():
            for name in _TEMPLATE.findall(value):
                variable = name.removeprefix("env.")
                if variable == name or not variable.startswith(self.env_prefix):
                    raise ValueError(
                        f"headers.{header}: {name!r} has to be env.NAME with a NAME that begins with {self.env_prefix}"
                    )
        return self

    def missing(self) -> list[str]:
        """Variables that headers hold and that are not set."""
        names = [name for value in self.headers.values() for name in _TEMPLATE.findall(value)]
        return sorted({name.removeprefix("env.") for name in names} - set(os.environ))

    def filled(self) -> dict[str, str]:
        """The headers with the values of their variables, as they are now."""

        def value(found: re.Match[str]) -> str:
            return os.environ.get(found[1].removeprefix("env."), "")

        return {name: _TEMPLATE.sub(value, text) for name, text in self.headers.items()}
