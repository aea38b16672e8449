"""URNs, as the engine makes them: what a resource is called, and what it may have been called before."""

from collections.abc import Iterable
from dataclasses import dataclass

_STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Alias:
    """A former name, type or parent; None is what it is now."""

    urn: str | None = None
    name: str | None = None
    type: str | None = None
    stack: str | None = None
    project: str | None = None
    parent: str | None = None
    """A URN; "" for the stack itself."""


def make(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN of a resource; ``parent`` is a URN, or "" at the top of the stack."""
    above = qualified_type(parent)
    return f"urn:pulumi:{stack}::{project}::{f'{above}$' if above else ''}{type_}::{name}"


def name_of(urn: str) -> str:
    """The logical name in a URN."""
    return urn.split("::", 3)[3]


def qualified_type(urn: str) -> str:
    """The types of a resource and those above it, outermost first; "" for the stack, which children do not show."""
    if not urn:
        return ""
    type_ = urn.split("::", 3)[2]
    return "" if type_ == _STACK_TYPE else type_


def type_of(urn: str) -> str:
    """The type token in a URN."""
    return qualified_type(urn).rsplit("$", 1)[-1]


def former(
    stack: str,
    project: str,
    parent: str,
    type_: str,
    name: str,
    aliases: Iterable[Alias],
    parent_aliases: Iterable[str],
) -> tuple[str, ...]:
    """Every URN that the resource may have had: by its own aliases, and by those of its parent.

    The engine takes a child whose name begins with its parent's to be named after it, and renames both.
    """
    parents = [parent, *parent_aliases]
    found: dict[str, None] = {}
    for alias in (Alias(), *aliases):
        if alias.urn is not None:
            found[alias.urn] = None
            continue
        for above in parents if alias.parent is None else [alias.parent]:
            called = name if alias.name is None else alias.name
            if above and parent and alias.name is None and alias.parent is None:
                called = _renamed(called, name_of(parent), name_of(above))
            urn = make(alias.stack or stack, alias.project or project, above, alias.type or type_, called)
            found[urn] = None
    found.pop(make(stack, project, parent, type_, name), None)
    return tuple(found)


def _renamed(name: str, parent: str, former_parent: str) -> str:
    return former_parent + name.removeprefix(parent) if name.startswith(parent) else name
