"""The Kubernetes stand-in: every object goes to the sandbox's API server by server-side apply.

It behaves as the official provider does where a stack can notice: names for objects that have none, dry runs in a
preview, replacement where the server calls a field immutable, waiting for readiness and for deletion.
"""

import re
import threading
import time
from typing import Any

from sandbox import readiness
from sandbox.api import Api, ApiError, Object, UnknownKindError
from sandbox.cloud import Emulated, differing
from sandbox.providers import Answer, Change, NotReadyError, RefusedError, Resource
from sandbox.readiness import Phase
from sandbox.wire import Properties, is_known

_AUTONAMED = "pulumi.com/autonamed"
_SKIP_AWAIT = "pulumi.com/skipAwait"
_FORCE = "pulumi.com/patchForce"
_TIMEOUT = "pulumi.com/timeoutSeconds"

_EMULATED = frozenset({"kubernetes:helm.sh/v3:Release"})

# How the server says that a field cannot be changed, over all kinds; its status has no code for it.
_IMMUTABLE = re.compile(
    r"immutable|may not (change|be changed)|cannot (be )?change|[Uu]pdates to .* (is|are) forbidden"
    r"|fields other than .* are forbidden",
    re.DOTALL,
)

# A preview may be asked about a namespace that the same update makes: the verdict is then sought in this one.
_EXISTING_NAMESPACE = "default"


class Kubernetes:
    """The backend of the package `kubernetes`."""

    def __init__(self, api: Api, *, patience: float = 120.0, interval: float = 0.2) -> None:
        """Simulated pods are ready soon: no wait is longer than `patience` seconds, whatever a stack allows."""
        self._api = api
        self._patience = patience
        self._interval = interval
        self._cancelled = threading.Event()
        self._emulated = Emulated()

    def check(self, resource: Resource, old: Properties | None, new: Properties, seed: bytes) -> Properties:
        if resource.type in _EMULATED:
            return new
        if resource.type.endswith(("Patch", "List")) or "apiVersion" not in new or "kind" not in new:
            raise RefusedError(
                f"{resource.type} is not served by the sandbox: declare the object itself, with apiVersion and kind"
            )
        metadata = dict(new.get("metadata") or {})
        if not metadata.get("name"):
            annotations = dict(metadata.get("annotations") or {}) | {_AUTONAMED: "true"}
            metadata |= {
                "name": _kept_name(old) or f"{resource.name}-{seed.hex()[:8]}",
                "annotations": annotations,
            }
        return {**new, "metadata": metadata}

    def diff(self, resource: Resource, old_inputs: Properties, new_inputs: Properties) -> Change:
        if resource.type in _EMULATED:
            return self._emulated.diff(resource, old_inputs, new_inputs)
        changed = differing(old_inputs, new_inputs)
        if not changed:
            return Change()
        if _identity(old_inputs) != _identity(new_inputs):
            return Change(changed, [key for key in ("apiVersion", "kind", "metadata") if key in changed])
        return Change(
            changed, self._immutable(new_inputs, changed), delete_first=not _is_autonamed(new_inputs)
        )

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Answer:
        if resource.type in _EMULATED:
            return self._emulated.create(resource, inputs, preview=preview, timeout=timeout)
        if preview:
            self._try(inputs, as_new=True)
            return _answer(inputs)
        return self._apply(inputs, timeout)

    def update(
        self,
        resource: Resource,
        inputs: Properties,
        old_outputs: Properties,
        *,
        preview: bool,
        timeout: float,
    ) -> Answer:
        if resource.type in _EMULATED:
            return self._emulated.update(resource, inputs, old_outputs, preview=preview, timeout=timeout)
        if preview:
            self._try(inputs, as_new=False)
            return _answer(inputs)
        return self._apply(inputs, timeout)

    def delete(self, resource: Resource, outputs: Properties, timeout: float) -> None:
        if resource.type in _EMULATED:
            return
        api_version, kind, namespace, name = _address(outputs)
        deadline = time.monotonic() + self._allowance(outputs, timeout)
        try:
            live = self._api.get(api_version, kind, namespace, name)
            # Under this name there may be a successor by now, which is not to be deleted with its predecessor.
            uid = outputs.get("metadata", {}).get("uid")
            if live is None or (uid and live["metadata"]["uid"] != uid):
                return
            self._api.delete(api_version, kind, namespace, name)
            while live is not None and live["metadata"].get("uid") == (uid or live["metadata"].get("uid")):
                if time.monotonic() > deadline:
                    raise RefusedError(f"{_title(outputs)}: not deleted in time: {_why_it_stays(live)}")
                self._pause()
                live = self._api.get(api_version, kind, namespace, name)
        except UnknownKindError:
            # Its definition is gone, and all objects of the kind with it.
            return
        except ApiError as error:
            raise RefusedError(f"{_title(outputs)}: {error}") from error

    def read(self, resource: Resource, resource_id: str, outputs: Properties) -> Answer | None:
        if resource.type in _EMULATED:
            return self._emulated.read(resource, resource_id, outputs)
        namespace, _, name = resource_id.rpartition("/")
        _, group_version, kind = resource.type.split(":")
        api_version = outputs.get("apiVersion") or group_version.removeprefix("core/")
        try:
            live = self._api.get(api_version, kind, namespace or None, name)
        except (ApiError, UnknownKindError) as error:
            raise RefusedError(f"{kind} {resource_id}: {error}") from error
        return _answer(live) if live else None

    def invoke(self, token: str, args: Properties) -> Properties:
        raise RefusedError(
            f"{token} is not served by the sandbox: declare the objects, or a helm.sh/v3 Release"
        )

    def begin(self) -> None:
        self._cancelled.clear()

    def cancel(self) -> None:
        self._cancelled.set()

    def _immutable(self, inputs: Properties, changed: list[str]) -> list[str]:
        """The changed properties that the server refuses to change in place."""
        if not is_known(inputs):
            return []
        try:
            self._api.apply(inputs, dry_run=True, force=True)
        except ApiError as error:
            if _is_immutable(error):
                fields = {
                    field.partition(".")[0] for field, message in error.causes if _IMMUTABLE.search(message)
                }
                return sorted(fields & set(changed)) or changed
        except UnknownKindError:
            pass
        return []

    def _try(self, inputs: Properties, *, as_new: bool) -> None:
        """Ask for the server's verdict without changing anything, as far as the inputs are known.

        Raises:
            RefusedError: the server would not accept the object.
        """
        if not is_known(inputs):
            return
        try:
            namespace = inputs["metadata"].get("namespace")
            if namespace and self._api.get("v1", "Namespace", None, namespace) is None:
                namespace = _EXISTING_NAMESPACE
            manifest = {
                **inputs,
                "metadata": {**inputs["metadata"], **({"namespace": namespace} if namespace else {})},
            }
            try:
                self._api.apply(manifest, dry_run=True, force=_is_forced(inputs))
            except ApiError as error:
                if not (as_new and _is_immutable(error)):
                    raise
                self._try_under_another_name(manifest)
        except UnknownKindError:
            # The update may bring the definition itself; if it does not, the update says so.
            return
        except ApiError as error:
            raise RefusedError(_told(inputs, error)) from error

    def _try_under_another_name(self, manifest: Properties) -> None:
        """Try what replaces an object of the same name, which still stands: by itself it has to be fine."""
        name = manifest["metadata"]["name"]
        other = _another_name(name)
        try:
            self._api.apply(
                {**manifest, "metadata": {**manifest["metadata"], "name": other}}, dry_run=True, force=True
            )
        except ApiError as error:
            raise RefusedError(_told(manifest, error).replace(f'"{other}"', f'"{name}"')) from error

    def _apply(self, inputs: Properties, timeout: float) -> Answer:
        try:
            live = self._api.apply(inputs, force=_is_forced(inputs))
            if (inputs["metadata"].get("annotations") or {}).get(_SKIP_AWAIT) == "true":
                return _answer(live)
            return _answer(self._await(live, self._allowance(inputs, timeout)))
        except UnknownKindError as unknown:
            raise RefusedError(
                f"{_title(inputs)}: {unknown}: correct it, or add its definition to sandbox/crds"
            ) from unknown
        except ApiError as error:
            raise RefusedError(_told(inputs, error)) from error

    def _await(self, live: Object, allowance: float) -> Object:
        deadline = time.monotonic() + allowance
        address = _address(live)
        while True:
            verdict = readiness.judge(live, self._api)
            if verdict.phase is Phase.READY:
                return live
            if verdict.phase is Phase.FAILED or time.monotonic() > deadline:
                words = [verdict.reason, readiness.explain(live, self._api)]
                after = "failed" if verdict.phase is Phase.FAILED else f"not ready after {allowance:.0f} s"
                raise NotReadyError(
                    _answer(live), f"{_title(live)}: {after}: {' '.join(word for word in words if word)}"
                )
            self._pause()
            current = self._api.get(*address)
            if current is None:
                raise RefusedError(f"{_title(live)}: somebody deleted it while it was becoming ready")
            live = current

    def _allowance(self, manifest: Properties, timeout: float) -> float:
        annotated = (manifest.get("metadata", {}).get("annotations") or {}).get(_TIMEOUT)
        return min(timeout or float(annotated or self._patience), self._patience)

    def _pause(self) -> None:
        if self._cancelled.wait(self._interval):
            raise RefusedError("interrupted")


def _kept_name(old: Properties | None) -> str | None:
    return str(old["metadata"]["name"]) if old and _is_autonamed(old) else None


def _is_autonamed(inputs: Properties) -> bool:
    return bool((inputs["metadata"].get("annotations") or {}).get(_AUTONAMED) == "true")


def _is_forced(inputs: Properties) -> bool:
    return bool((inputs["metadata"].get("annotations") or {}).get(_FORCE) == "true")


def _is_immutable(error: ApiError) -> bool:
    return error.reason in {"Invalid", "Forbidden"} and bool(_IMMUTABLE.search(str(error)))


def _address(manifest: Properties) -> tuple[str, str, str, str]:
    """apiVersion, kind, namespace and name. The namespace is of no consequence for kinds that have none."""
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata.get("namespace") or "default", metadata["name"]


def _another_name(name: str) -> str:
    """A name of the same length, since names have limits."""
    return f"{name[:-1]}{'1' if name[-1] == '0' else '0'}"


def _identity(inputs: Properties) -> tuple[str, ...]:
    """What makes an object another one; a new version of the same API does not."""
    api_version, *rest = _address(inputs)
    return (api_version.rpartition("/")[0], *rest)


def _title(manifest: Properties) -> str:
    metadata = manifest["metadata"]
    within = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest['kind']} {within}{metadata['name']}"


def _told(inputs: Properties, error: ApiError) -> str:
    remedy = ""
    if error.reason == "Conflict":
        remedy = f' (annotate it with {_FORCE}: "true" to take the fields over)'
    return f"{_title(inputs)}: the API server refuses it: {error}{remedy}"


def _why_it_stays(live: Object) -> str:
    finalizers = [*live["metadata"].get("finalizers", ()), *live.get("spec", {}).get("finalizers", ())]
    conditions = (live.get("status") or {}).get("conditions") or []
    words = [c["message"] for c in conditions if c.get("status") == "True" and c.get("message")]
    return f"finalizers {', '.join(finalizers) or 'none'}. {' '.join(words)}".strip()


def _answer(live: dict[str, Any]) -> Answer:
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    name = metadata["name"]
    resource_id = f"{metadata['namespace']}/{name}" if metadata.get("namespace") else name
    secrets = ("data", "stringData") if live["kind"] == "Secret" and live["apiVersion"] == "v1" else ()
    return Answer(str(resource_id), {**live, "metadata": metadata}, secrets)
