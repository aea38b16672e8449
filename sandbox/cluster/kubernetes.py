"""The Kubernetes stand-in: every object goes to the sandbox's API server by server-side apply.

It behaves as the official provider does where a stack can notice: names for objects that have none, dry runs in a
preview, replacement where the server calls a field immutable, waiting for readiness and for deletion.
"""

import threading
import time
from typing import Any

from sandbox.cluster import objects, readiness
from sandbox.cluster.api import Api, ApiError, Object, UnknownKindError
from sandbox.cluster.readiness import Phase
from sandbox.providers.cloud import Emulated, differing
from sandbox.providers.server import Answer, Change, NotReadyError, RefusedError, Resource
from sandbox.providers.wire import Properties, is_known

_SKIP_AWAIT = "pulumi.com/skipAwait"
_TIMEOUT = "pulumi.com/timeoutSeconds"

_EMULATED = frozenset({"kubernetes:helm.sh/v3:Release"})

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
        if (new.get("metadata") or {}).get("name"):
            return new
        return objects.autonamed(new, objects.kept_name(old) or f"{resource.name}-{seed.hex()[:8]}")

    def diff(self, resource: Resource, old_inputs: Properties, new_inputs: Properties) -> Change:
        if resource.type in _EMULATED:
            return self._emulated.diff(resource, old_inputs, new_inputs)
        changed = differing(old_inputs, new_inputs)
        if not changed:
            return Change()
        if objects.identity(old_inputs) != objects.identity(new_inputs):
            return Change(changed, [key for key in ("apiVersion", "kind", "metadata") if key in changed])
        return Change(
            changed, self._immutable(new_inputs, changed), delete_first=not objects.is_autonamed(new_inputs)
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
        api_version, kind, namespace, name = objects.address(outputs)
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
                    raise RefusedError(
                        f"{objects.title(outputs)}: not deleted in time: {objects.why_it_stays(live)}"
                    )
                self._pause()
                live = self._api.get(api_version, kind, namespace, name)
        except UnknownKindError:
            # Its definition is gone, and all objects of the kind with it.
            return
        except ApiError as error:
            raise RefusedError(f"{objects.title(outputs)}: {error}") from error

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
            if objects.is_immutable(error):
                return sorted(objects.immutable_properties(error) & set(changed)) or changed
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
                self._api.apply(manifest, dry_run=True, force=objects.is_forced(inputs))
            except ApiError as error:
                if not (as_new and objects.is_immutable(error)):
                    raise
                self._try_under_another_name(manifest)
        except UnknownKindError:
            # The update may bring the definition itself; if it does not, the update says so.
            return
        except ApiError as error:
            raise RefusedError(objects.refusal(inputs, error)) from error

    def _try_under_another_name(self, manifest: Properties) -> None:
        """Try what replaces an object of the same name, which still stands: by itself it has to be fine."""
        name = manifest["metadata"]["name"]
        other = objects.another_name(name)
        try:
            self._api.apply(
                {**manifest, "metadata": {**manifest["metadata"], "name": other}}, dry_run=True, force=True
            )
        except ApiError as error:
            raise RefusedError(objects.refusal(manifest, error).replace(f'"{other}"', f'"{name}"')) from error

    def _apply(self, inputs: Properties, timeout: float) -> Answer:
        try:
            live = self._api.apply(inputs, force=objects.is_forced(inputs))
            if (inputs["metadata"].get("annotations") or {}).get(_SKIP_AWAIT) == "true":
                return _answer(live)
            return _answer(self._await(live, self._allowance(inputs, timeout)))
        except UnknownKindError as unknown:
            raise RefusedError(
                f"{objects.title(inputs)}: {unknown}: correct it, or add its definition to sandbox/binaries/crds"
            ) from unknown
        except ApiError as error:
            raise RefusedError(objects.refusal(inputs, error)) from error

    def _await(self, live: Object, allowance: float) -> Object:
        deadline = time.monotonic() + allowance
        address = objects.address(live)
        while True:
            verdict = readiness.judge(live, self._api)
            if verdict.phase is Phase.READY:
                return live
            if verdict.phase is Phase.FAILED or time.monotonic() > deadline:
                words = [verdict.reason, readiness.explain(live, self._api)]
                after = "failed" if verdict.phase is Phase.FAILED else f"not ready after {allowance:.0f} s"
                raise NotReadyError(
                    _answer(live),
                    f"{objects.title(live)}: {after}: {' '.join(word for word in words if word)}",
                )
            self._pause()
            current = self._api.get(*address)
            if current is None:
                raise RefusedError(f"{objects.title(live)}: somebody deleted it while it was becoming ready")
            live = current

    def _allowance(self, manifest: Properties, timeout: float) -> float:
        annotated = (manifest.get("metadata", {}).get("annotations") or {}).get(_TIMEOUT)
        return min(timeout or float(annotated or self._patience), self._patience)

    def _pause(self) -> None:
        if self._cancelled.wait(self._interval):
            raise RefusedError("interrupted")


def _answer(live: dict[str, Any]) -> Answer:
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    name = metadata["name"]
    resource_id = f"{metadata['namespace']}/{name}" if metadata.get("namespace") else name
    secrets = ("data", "stringData") if live["kind"] == "Secret" and live["apiVersion"] == "v1" else ()
    return Answer(str(resource_id), {**live, "metadata": metadata}, secrets)
