"""langgraph.json, whole: what it may say, and what this service does with it.

The keys are those of the schema that langgraph-cli publishes (https://langgra.ph/schema.json). What is known is done,
or is the image's business; everything else is refused by name, all of it at once: a key that is passed over may be the
one that keeps strangers out.
"""

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PositiveInt,
    PrivateAttr,
    ValidationError,
    field_validator,
)

from langgraph_agents_service.projects.http import Http, Section
from langgraph_agents_service.projects.webhooks import Webhooks

FILE = "langgraph.json"

_JAVASCRIPT = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")


class ProjectError(Exception):
    """langgraph.json, or what it names, is wrong. The message says where, what and what to do."""


def _names_an_object(path: str) -> str:
    source, colon, attribute = path.rpartition(":")
    if source.endswith(_JAVASCRIPT):
        raise ValueError(
            f"{source} is JavaScript, which this service does not run; LangGraph's Agent Server does, in the image "
            "that `langgraph build` makes: set `runtime: langgraph-server` of the stack's agent"
        )
    if not colon or not source or not attribute:
        raise ValueError("write ./file.py:attribute or package.module:attribute")
    return path


Minutes = Annotated[float, Field(gt=0, le=10**9)]
"""How long something is kept. The store's table holds whole minutes of 32 bits; this is the round number below."""

ObjectPath = Annotated[str, AfterValidator(_names_an_object)]
"""`./file.py:attribute` or `package.module:attribute`."""


def _refused(why: str) -> Any:
    """A key that is known and cannot be done."""

    def refuse(value: Any) -> Any:
        if value is None:
            return value
        raise ValueError(why)

    return Annotated[Any, AfterValidator(refuse)]


class GraphEntry(Section):
    path: ObjectPath
    description: str | None = None


class AuthCache(Section):
    cache_keys: list[str] = Field(min_length=1)
    """Headers that say who asks."""
    ttl_seconds: float = Field(gt=0, le=86_400)
    max_size: PositiveInt = 1000


class Auth(Section):
    path: ObjectPath
    disable_studio_auth: bool = False
    openapi: dict[str, Any] | None = None
    """For documentation alone."""
    cache: AuthCache | None = None
    """How long an answer of `authenticate` is believed."""


class StoreIndex(Section):
    dims: PositiveInt
    embed: str
    """`./file.py:function`, or `provider:model`."""
    fields: list[str] | None = None


class StoreTtl(Section):
    refresh_on_read: bool = True
    default_ttl: Minutes | None = None
    sweep_interval_minutes: float | None = Field(None, gt=0)


class Store(Section):
    path: ObjectPath | None = None
    index: StoreIndex | None = None
    ttl: StoreTtl | None = None


class ThreadTtl(Section):
    strategy: Literal["delete", "keep_latest"] = "delete"
    default_ttl: Minutes | None = None
    """From a thread's last change on."""
    sweep_interval_minutes: float = Field(5, gt=0)
    sweep_limit: PositiveInt = 10_000


class Serde(Section):
    allowed_json_modules: list[list[str]] | bool | None = None
    allowed_msgpack_modules: list[list[str]] | bool | None = None
    pickle_fallback: bool = False

    @field_validator("pickle_fallback")
    @classmethod
    def _no_pickle(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "what is unpickled can run code; keep values that msgpack can hold, and leave it out"
            )
        return value


class Checkpointer(Section):
    path: _refused("threads are kept where CHECKPOINTER says; leave it out") = None  # type: ignore[valid-type]
    ttl: ThreadTtl | None = None
    serde: Serde | None = None


class Project(Section):
    """One langgraph.json. Fields without a comment are the image's business."""

    graphs: dict[str, GraphEntry] = Field(min_length=1)
    dependencies: list[str] = Field(default_factory=list)
    env: dict[str, Any] | str = Field(default_factory=dict)
    auth: Auth | None = None
    http: Http = Field(default_factory=Http)
    store: Store | None = None
    checkpointer: Checkpointer | None = None
    ui: dict[str, str] | None = None
    """Components for browsers, which nothing here bundles: their routes answer 501."""
    ui_config: dict[str, Any] | None = None
    encryption: _refused("nothing encrypts values before they are kept; encrypt the database") = None  # type: ignore[valid-type]
    priority: _refused("runs are executed in the order in which they came; leave it out") = None  # type: ignore[valid-type]
    webhooks: Webhooks = Field(default_factory=Webhooks)

    python_version: str | None = None
    node_version: str | None = None
    api_version: str | None = None
    base_image: str | None = None
    image_distro: str | None = None
    pip_config_file: str | None = None
    pip_installer: Literal["auto", "pip", "uv"] | None = None
    source: dict[str, Any] | None = None
    dockerfile_lines: list[str] = Field(default_factory=list)
    keep_pkg_tools: bool | list[str] | None = None

    schema_: str | None = Field(None, alias="$schema")
    _file: Path = PrivateAttr(default=Path(FILE))

    @field_validator("graphs", mode="before")
    @classmethod
    def _paths_alone(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: {"path": entry} if isinstance(entry, str) else entry for name, entry in given.items()}

    @field_validator("http", "webhooks", mode="before")
    @classmethod
    def _nothing(cls, given: Any) -> Any:
        return {} if given is None else given

    @property
    def file(self) -> Path:
        """Where it was read."""
        return self._file

    @property
    def folder(self) -> Path:
        return self._file.parent


def read(path: Path) -> Project:
    """The project of a langgraph.json, or of the folder that has one. Raises ProjectError with every problem."""
    file = (path / FILE if path.is_dir() else path).resolve()
    try:
        document = json.loads(file.read_text(), object_pairs_hook=_once_each)
    except OSError as error:
        raise ProjectError(
            f"LANGGRAPH_CONFIG={file} cannot be read ({error.strerror}); name a langgraph.json or its folder"
        ) from None
    except ValueError as error:
        raise ProjectError(f"{file} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ProjectError(f'{file} holds no object; write {{"graphs": {{"agent": "./agent.py:graph"}}}}')
    try:
        project = Project.model_validate(document)
    except ValidationError as error:
        problems = "\n".join(f"  {line}" for line in _problems(error))
        raise ProjectError(f"{file}:\n{problems}") from None
    project._file = file
    return project


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice, and only one of them would count")
        found[key] = value
    return found


_WORDS = {
    "missing": "is missing",
    "string_type": "has to be a text",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "float_type": "has to be a number",
    "float_parsing": "has to be a number",
    "list_type": "has to be a list",
    "dict_type": "has to be an object",
    "model_type": "has to be an object",
    "too_short": "is empty",
}


def _problems(error: ValidationError) -> list[str]:
    found: dict[str, None] = {}
    for fault in error.errors():
        place = tuple(str(part) for part in fault["loc"])
        where = ".".join(part for part in place if not part.endswith(("]", ")")))
        if fault["type"] == "extra_forbidden":
            words = f"is not known{_nearest(place)}"
        elif (fault["type"] == "missing" and where == "graphs") or fault["type"] == "too_short":
            words = 'names no graphs; write "graphs": {"agent": "./agent.py:graph"}'
        elif fault["type"] == "value_error":
            words = f"{_shown(fault['input'])}{fault['ctx']['error']}"
        else:
            words = _WORDS.get(fault["type"], fault["msg"].lower())
            if fault["type"] != "missing":
                words = f"{_shown(fault['input'])}{words}"
        found.setdefault(f"{where}: {words}" if where else words, None)
    return list(found)


def _shown(value: Any) -> str:
    return f"{value!r} " if isinstance(value, str | int | float) else ""


def _nearest(place: tuple[str, ...]) -> str:
    """A known key that is meant, perhaps."""
    model: Any = Project
    for part in place[:-1]:
        field = model.model_fields.get(part) if _is_section(model) else None
        if field is not None:
            model = next((one for one in _parts(field.annotation) if _is_section(one)), None)
    known = list(model.model_fields) if _is_section(model) else []
    near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.6)
    return (
        f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(sorted(known))}" if known else ""
    )


def _is_section(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) is None:
        return [annotation]
    return [part for argument in get_args(annotation) for part in _parts(argument)]
