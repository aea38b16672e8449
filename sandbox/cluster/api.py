"""A small client of the Kubernetes API: what the sandbox needs of it, with the server's own words in its errors.

The official client takes a second to import and has no server-side apply of arbitrary kinds; this is httpx and JSON.
"""

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from sandbox.common.errors import SandboxError

Object = dict[str, Any]

# The server itself gives up a request after 60 s.
_PATIENCE = 65.0
_APPLY = {"Content-Type": "application/apply-patch+yaml"}


class ApiError(Exception):
    """The API server refused. `str()` is its message; `causes` are (field, message) pairs."""

    def __init__(self, code: int, status: Mapping[str, Any]) -> None:
        super().__init__(str(status.get("message") or f"HTTP {code}"))
        self.code = code
        self.reason = str(status.get("reason", ""))
        details = status.get("details") or {}
        self.causes = [
            (str(c.get("field", "")), str(c.get("message", ""))) for c in details.get("causes") or ()
        ]
        self.about = f"{details.get('kind', '')}/{details.get('name', '')}"


class UnknownKindError(Exception):
    """The server has no such kind: its CRD is missing, or the apiVersion or kind is misspelt."""


@dataclass(frozen=True)
class Endpoint:
    """How to reach an API server."""

    server: str
    """`https://127.0.0.1:PORT`"""
    ca_file: str
    token: str


@dataclass(frozen=True)
class Kind:
    """Where the objects of a kind are found."""

    api_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str = "") -> str:
        base = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{base}{within}/{self.plural}{f'/{name}' if name else ''}"


class Api:
    """A connection to one API server; may be used by several threads."""

    def __init__(self, endpoint: Endpoint, field_manager: str = "pulumi") -> None:
        self._client = httpx.Client(
            base_url=endpoint.server,
            headers={"Authorization": f"Bearer {endpoint.token}"},
            verify=ssl.create_default_context(cafile=endpoint.ca_file),
            timeout=_PATIENCE,
            # The API server is on this machine: a proxy of the environment is not meant for it.
            trust_env=False,
        )
        self._manager = field_manager
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def ready(self) -> bool:
        """Whether the server answers and calls itself ready."""
        try:
            return self._client.get("/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def kind(self, api_version: str, kind: str) -> Kind:
        """Look a kind up on the server.

        Raises:
            UnknownKindError: the server does not have it.
        """
        with self._lock:
            if kind not in self._kinds.get(api_version, {}):
                self._kinds[api_version] = self._discover(api_version)
            try:
                return self._kinds[api_version][kind]
            except KeyError:
                raise UnknownKindError(f"the API server has no kind {kind} in {api_version}") from None

    def _discover(self, api_version: str) -> dict[str, Kind]:
        try:
            listed = self._request("GET", Kind(api_version, "", namespaced=False).path(None).rstrip("/"))
        except ApiError as error:
            if error.code == httpx.codes.NOT_FOUND:
                return {}
            raise
        return {
            entry["kind"]: Kind(api_version, entry["name"], entry["namespaced"])
            for entry in listed["resources"]
            if "/" not in entry["name"]
        }

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        """An object, or None when there is none."""
        try:
            return self._request("GET", self.kind(api_version, kind).path(namespace, name))
        except ApiError as error:
            if error.code == httpx.codes.NOT_FOUND:
                return None
            raise

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """The objects of a kind in a namespace, or in all, that carry the labels."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        path = self.kind(api_version, kind).path(namespace)
        items = self._request("GET", path, params={"labelSelector": selector})["items"]
        return list(items)

    def apply(self, manifest: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        """Server-side apply as this client's field manager.

        Raises:
            ApiError: the server refuses; with its status.
            UnknownKindError: the server does not have the kind.
        """
        metadata = manifest["metadata"]
        kind = self.kind(manifest["apiVersion"], manifest["kind"])
        params = {"fieldManager": self._manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            params["dryRun"] = "All"
        path = kind.path(metadata.get("namespace", "default"), metadata["name"])
        return self._request("PATCH", path, params=params, json=manifest, headers=_APPLY)

    def delete(self, api_version: str, kind: str, namespace: str | None, name: str) -> None:
        """Ask for an object's deletion, dependents first. It is no error when there is none."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
        try:
            self._request("DELETE", self.kind(api_version, kind).path(namespace, name), json=options)
        except ApiError as error:
            if error.code != httpx.codes.NOT_FOUND:
                raise

    def _request(self, method: str, path: str, **arguments: Any) -> Object:
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise SandboxError(
                f"the API server at {self._client.base_url} does not answer {method} {path}"
                f" ({str(error) or type(error).__name__}): `make up` starts it again if it has ended; if this machine"
                " is busy with other things, try again when it is not"
            ) from error
        try:
            body: Object = answer.json()
        except ValueError:
            body = {"message": answer.text}
        if answer.is_error:
            raise ApiError(answer.status_code, body)
        return body
