"""Plain data with holes, written as a Helm template."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from preview.recording.manifests import as_yaml


@dataclass(frozen=True)
class Hole:
    """What Helm fills in.

    Attributes:
        text: the lines in place of an entry, given the column where it begins and its key ("" in a list).
    """

    text: Callable[[int, str], str]


_EXPRESSION = re.compile(r"expression-([0-9a-f]+)-here")
_TOKEN = re.compile(r"hole-(\d+)-here")
_LINE = re.compile(rf"^(?P<lead>(?: |- )*)(?:(?P<key>[^\s'\"][^\n]*?): )?{_TOKEN.pattern}$", re.MULTILINE)


def expression(text: str) -> str:
    """An expression as a text, or within one."""
    # In letters and digits, which YAML neither quotes nor wraps.
    return f"expression-{text.encode().hex()}-here"


def action(expression: str) -> Hole:
    """A scalar that an expression gives."""
    return Hole(lambda column, key: f"{_start(column, key)}{{{{ {expression} }}}}")


def block(expression: str) -> Hole:
    """Data that an expression gives, such as `.Values.resources`."""
    return Hole(
        lambda column, key: f"{_start(column, key)}\n{_nested(column, f'toYaml {expression}')}".replace(
            ": \n", ":\n"
        )
    )


def optional(path: str) -> Hole:
    """Likewise; without data there is no such key."""

    def text(column: int, key: str) -> str:
        return f"{{{{- with .Values.{path} }}}}\n{' ' * column}{key}:\n{_nested(column, 'toYaml .')}\n{{{{- end }}}}"

    return Hole(text)


def given(path: str) -> Hole:
    """Likewise, of a scalar."""

    def text(column: int, key: str) -> str:
        return f"{{{{- with .Values.{path} }}}}\n{' ' * column}{key}: {{{{ . }}}}\n{{{{- end }}}}"

    return Hole(text)


def lines(text: str) -> Hole:
    """A mapping's entries as they are written, from column 0 on."""

    def placed(column: int, key: str) -> str:
        inner = "\n".join(f"{' ' * (column + 2)}{line}" for line in text.splitlines())
        return f"{' ' * column}{key}:\n{inner}"

    return Hole(placed)


def included(expression: str) -> Hole:
    """A list's items that a named template gives."""
    return Hole(lambda column, _key: f"{{{{- {expression} | nindent {column} }}}}")


def when(condition: str, content: Any) -> Hole:
    """An entry that is there only if a condition holds."""

    def text(column: int, key: str) -> str:
        inner = template({key: content} if key else [content]).rstrip("\n")
        placed = "\n".join(" " * column + line for line in inner.splitlines())
        return f"{{{{- if {condition} }}}}\n{placed}\n{{{{- end }}}}"

    return Hole(text)


def template(content: Any) -> str:
    """The text of a template."""
    holes: list[Hole] = []
    text = as_yaml(_without_holes(content, holes)).replace("{{", "{{ `{{` }}")
    text = _EXPRESSION.sub(lambda match: f"{{{{ {bytes.fromhex(match[1]).decode()} }}}}", text)

    def filled(match: re.Match[str]) -> str:
        lead, key, number = match["lead"], match["key"] or "", int(match[3])
        if not key:
            # An item: its dash is the last of the lead.
            lead = lead.removesuffix("- ")
        written = holes[number].text(len(lead), key)
        return lead + written.removeprefix(" " * len(lead)) if "-" in lead else written

    return _LINE.sub(filled, text)


def _start(column: int, key: str) -> str:
    return f"{' ' * column}{key}: " if key else f"{' ' * column}- "


def _nested(column: int, expression: str) -> str:
    return f"{' ' * (column + 2)}{{{{- {expression} | nindent {column + 2} }}}}"


def _without_holes(content: Any, holes: list[Hole]) -> Any:
    if isinstance(content, Hole):
        holes.append(content)
        return f"hole-{len(holes) - 1}-here"
    if isinstance(content, dict):
        return {key: _without_holes(each, holes) for key, each in content.items()}
    if isinstance(content, list):
        return [_without_holes(each, holes) for each in content]
    return content
