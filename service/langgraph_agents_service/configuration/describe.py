"""Words for people about the settings: what is wrong with them, and the table of all of them."""

import os
from enum import StrEnum

from pydantic import SecretStr, ValidationError

from langgraph_agents_service.configuration.settings import Settings, load


def faults(error: ValidationError) -> list[str]:
    """Word each fault: variable, value (never of a secret) and what would be right."""
    lines: list[str] = []
    for fault in error.errors(include_url=False):
        if not fault["loc"]:
            lines += fault["msg"].removeprefix("Value error, ").splitlines()
            continue
        field = str(fault["loc"][0])
        variable = field.upper()
        value = os.environ.get(variable)
        shown = "" if value is None or is_secret(field) else f"={value}"
        lines.append(f"{variable}{shown}: {fault['msg'].removeprefix('Value error, ')}")
    return lines


def every_fault(error: ValidationError) -> list[str]:
    """The faults of load(Settings), and those between settings, which pydantic looks for only when each is right."""
    wrong = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
    if not wrong:
        return faults(error)
    try:
        load(Settings, **{field: Settings.model_fields[field].default for field in wrong})
    except ValidationError as others:
        # With a default in its place, what is said of a wrong setting would mislead.
        between = [line for line in faults(others) if not any(field.upper() in line for field in wrong)]
        return [*faults(error), *between]
    return faults(error)


def is_secret(field: str) -> bool:
    """Whether the field's value must never be shown."""
    info = Settings.model_fields.get(field)
    return info is not None and info.annotation is SecretStr


def table() -> str:
    """All settings as a Markdown table."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        if name == "langgraph_config":
            default = "langgraph.json beside the package"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            choices = " One of " + ", ".join(f"`{choice}`" for choice in kind) + "."
        else:
            choices = ""
        shown = f"`{str(default).lower() if isinstance(default, bool) else default}`" if default != "" else ""
        rows.append(f"| `{name.upper()}` | {shown} | {field.description}{choices} |")
    return "\n".join(rows)
