"""The user of a request, as a project's authentication made it and as graphs and handlers read it."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any

import orjson
from langgraph_sdk.auth.types import StudioUser

STUDIO_KIND = "StudioUser"

Json = dict[str, Any]


class UserError(ValueError):
    """What `authenticate` returned is no user. The message names types, never values."""


class User:
    """Reads as an object and as a mapping, as LangGraph's server has it. What it is made from is asked too."""

    def __init__(self, document: Json, source: object = None) -> None:
        self._document = document
        self._source = source

    @property
    def identity(self) -> str:
        return str(self._document["identity"])

    @property
    def is_authenticated(self) -> bool:
        return bool(self._document["is_authenticated"])

    @property
    def display_name(self) -> str:
        return str(self._document["display_name"])

    @property
    def permissions(self) -> Sequence[str]:
        return list(self._document.get("permissions") or ())

    def dict(self) -> Json:
        return dict(self._document)

    model_dump = dict

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._source is not None and hasattr(self._source, name):
            return getattr(self._source, name)
        try:
            return self._document[name]
        except KeyError:
            raise AttributeError(f"the user has no {name!r}") from None

    def __getitem__(self, key: str) -> Any:
        return self._document[key]

    def __contains__(self, key: object) -> bool:
        return key in self._document

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)

    def get(self, key: str, default: Any = None) -> Any:
        return self._document.get(key, default)

    def keys(self) -> KeysView[str]:
        return self._document.keys()

    def values(self) -> ValuesView[Any]:
        return self._document.values()

    def items(self) -> ItemsView[str, Any]:
        return self._document.items()

    def __repr__(self) -> str:
        return f"User({self.identity!r})"


class Studio(User, StudioUser):
    """Whoever uses LangGraph Studio: `isinstance(user, StudioUser)` holds in handlers."""

    __slots__ = ()

    def __init__(self) -> None:
        name = "langgraph-studio-user"
        StudioUser.__init__(self, name, is_authenticated=True)
        document = {
            "kind": STUDIO_KIND,
            "identity": name,
            "is_authenticated": True,
            "display_name": name,
            "permissions": ["authenticated"],
        }
        User.__init__(self, document)


def user_of(returned: Any) -> User:
    """The user that `authenticate` returned: a string, a mapping, an object with `identity`, or one of these after
    its permissions. Raises UserError."""
    permissions: Any = None
    if isinstance(returned, tuple):
        if len(returned) != 2:
            raise UserError("a tuple holds permissions and a user")
        permissions, returned = returned
    source = None
    if isinstance(returned, str):
        document: Json = {"identity": returned}
    elif isinstance(returned, Mapping):
        document = dict(returned)
    elif hasattr(returned, "identity"):
        document, source = _read(returned), returned
    else:
        raise UserError(
            f"a {type(returned).__name__} is no user; return a string, or something with `identity`"
        )
    if not isinstance(document.get("identity"), str):
        raise UserError("`identity` of a user is a string")
    if permissions is not None:
        document["permissions"] = permissions
    document["permissions"] = list(document.get("permissions") or ())
    document.setdefault("is_authenticated", True)
    document.setdefault("display_name", document["identity"])
    return User(document, source)


def restored(document: Json) -> User:
    """The user of a run, from what travels with it."""
    return Studio() if document.get("kind") == STUDIO_KIND else User(document)


def portable(user: User) -> Json:
    """What travels with a run: JSON, without what is none."""
    return {key: value for key, value in user.items() if _is_json(value)}


def _read(source: Any) -> Json:
    for name in ("model_dump", "dict"):
        read = getattr(source, name, None)
        if callable(read):
            found = read()
            if isinstance(found, Mapping):
                return {"identity": source.identity, **found}
    found = {key: value for key, value in getattr(source, "__dict__", {}).items() if not key.startswith("_")}
    for name in ("identity", "is_authenticated", "display_name", "permissions"):
        if hasattr(source, name):
            found[name] = getattr(source, name)
    return found


def _is_json(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
