"""`/openapi.json`: the service's routes, the project's own, and what the project says of its authentication."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Router


def describe(api: FastAPI, own: Router | None, security: dict[str, Any]) -> None:
    """Have the API's description hold the routes of `own` too, and `security` (`auth.openapi` of langgraph.json)."""
    described = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = described()
            if own is not None:
                _add_routes(document, get_openapi(title=api.title, version=api.version, routes=own.routes))
            _add_security(document, security)
        return described()

    api.openapi = openapi  # type: ignore[method-assign]


def _add_routes(document: dict[str, Any], own: dict[str, Any]) -> None:
    for path, operations in own.get("paths", {}).items():
        document["paths"].setdefault(path, {}).update(operations)
    for kind, named in own.get("components", {}).items():
        known = document.setdefault("components", {}).setdefault(kind, {})
        known |= {name: entry for name, entry in named.items() if name not in known}


def _add_security(document: dict[str, Any], security: dict[str, Any]) -> None:
    if schemes := security.get("securitySchemes"):
        document.setdefault("components", {}).setdefault("securitySchemes", {}).update(schemes)
    if "security" in security:
        document["security"] = security["security"]
    for path, methods in security.get("paths", {}).items():
        for method, needed in methods.items():
            if operation := document["paths"].get(path, {}).get(method.lower()):
                operation["security"] = needed
