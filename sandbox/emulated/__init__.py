"""What AWS, random, docker-build and Helm would answer: the one place of it, for tests, preview and sandbox.

Ids, ARNs and endpoints are plausible, follow from the URN and are nobody's. Passwords are really random. A type that
is in no table is refused, so that a new resource is never silently faked.
"""

from collections.abc import Mapping
from typing import Any

from sandbox.emulated import changes, delivery, ec2, edge, eks, events, stores
from sandbox.emulated.lookups import LOOKUPS
from sandbox.emulated.subject import Created, Kind, Subject

__all__ = ["Created", "UnknownType", "create", "invoke", "replaced", "secret_outputs", "update"]

_KINDS: Mapping[str, Kind] = {
    **delivery.KINDS,
    **ec2.KINDS,
    **edge.KINDS,
    **eks.KINDS,
    **events.KINDS,
    **stores.KINDS,
}


class UnknownType(Exception):  # noqa: N818 (it names what is wrong)
    """Nothing here answers for this type or function; the message says where to add it."""


def create(type_: str, name: str, inputs: Mapping[str, Any], urn: str) -> Created:
    """Make a resource.

    Args:
        type_: the type token, such as ``aws:ec2/vpc:Vpc``.
        name: the logical name.
        inputs: by their wire names (camelCase), secrets unwrapped.
        urn: what all that is made up follows from.

    Raises:
        UnknownType: no table has the type.
    """
    kind, subject = _kind(type_), Subject(name, inputs, urn)
    id_ = kind.id(subject)
    return Created(id_, {**inputs, **kind.computed(subject, id_)})


def update(
    type_: str, name: str, inputs: Mapping[str, Any], old_outputs: Mapping[str, Any], urn: str
) -> dict[str, Any]:
    """The outputs of a resource whose inputs changed: what was computed stays.

    Raises:
        UnknownType: no table has the type.
    """
    kind = _kind(type_)
    computed = create(type_, name, inputs, urn).outputs
    kept = {
        key: old_outputs[key] for key in computed.keys() - inputs.keys() - kind.renewed if key in old_outputs
    }
    return {**computed, **kept, **kind.updated(old_outputs)}


def replaced(type_: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The inputs whose change makes a new resource, as the real provider has it.

    Raises:
        UnknownType: no table has the type.
    """
    _kind(type_)
    return changes.replaced(type_, old, new, {})


def secret_outputs(type_: str) -> frozenset[str]:
    """The outputs that the real provider marks as secret by itself.

    Raises:
        UnknownType: no table has the type.
    """
    return _kind(type_).secret


def invoke(token: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a provider function, such as ``aws:index/getRegion:getRegion``.

    Raises:
        UnknownType: no table has the function.
    """
    if token not in LOOKUPS:
        raise UnknownType(f"{token} is not emulated: add it to LOOKUPS in sandbox/emulated/lookups.py")
    return {**args, **LOOKUPS[token](args)}


def _kind(type_: str) -> Kind:
    if type_ not in _KINDS:
        raise UnknownType(f"{type_} is not emulated: add it to KINDS in a module of sandbox/emulated/")
    return _KINDS[type_]
