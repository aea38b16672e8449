"""A Kubernetes API in memory, with verdicts that a test decides."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.cluster.api import ApiError, Object, UnknownKindError

Verdict = Callable[[Object], None]


def invalid(message: str, field: str = "spec") -> ApiError:
    """The server's answer to an object that it refuses."""
    causes = [{"field": field, "message": message}]
    return ApiError(422, {"reason": "Invalid", "message": message, "details": {"causes": causes}})


class FakeApi:
    """Keeps objects by kind, namespace and name; `verdict` may raise what the server would answer to an apply."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str | None, str], Object] = {}
        self.applied: list[Object] = []
        self.dry_runs: list[Object] = []
        self.unknown_kinds: set[str] = set()
        self.verdict: Verdict = lambda manifest: None
        self.on_get: Verdict = lambda live: None
        self._uids = 0

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        self._known(kind)
        live = self.objects.get((kind, namespace, name)) or self.objects.get((kind, None, name))
        if live is not None:
            self.on_get(live)
        return live

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> list[Object]:
        wanted = (labels or {}).items()
        return [
            live
            for (of_kind, within, _), live in self.objects.items()
            if of_kind == kind
            and namespace in (None, within)
            and wanted <= live["metadata"].get("labels", {}).items()
        ]

    def apply(self, manifest: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        self._known(manifest["kind"])
        self.verdict(manifest)
        if dry_run:
            self.dry_runs.append(manifest)
            return manifest
        self.applied.append(manifest)
        metadata = manifest["metadata"]
        key = (manifest["kind"], metadata.get("namespace"), metadata["name"])
        known = self.objects.get(key)
        self._uids += 1
        uid = known["metadata"]["uid"] if known else f"uid-{self._uids}"
        live: dict[str, Any] = {
            **manifest,
            "metadata": {**metadata, "uid": uid, "generation": 1, "managedFields": [1]},
        }
        live["status"] = known["status"] if known else {}
        self.objects[key] = live
        return live

    def delete(self, api_version: str, kind: str, namespace: str | None, name: str) -> None:
        for key in ((kind, namespace, name), (kind, None, name)):
            self.objects.pop(key, None)

    def _known(self, kind: str) -> None:
        if kind in self.unknown_kinds:
            raise UnknownKindError(f"the API server has no kind {kind} in example.com/v1")
