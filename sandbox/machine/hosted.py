"""The emulated packages and the Kubernetes stand-in where something real stands behind them.

AWS answers as ever; what it would run, this machine does: an image is built, a database listens, a secret is mounted.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from sandbox.cluster.api import Api
from sandbox.cluster.kubernetes import Kubernetes
from sandbox.common.errors import SandboxError
from sandbox.machine.account import CACHE, DATABASE, KEPT, RELEASE, SECRET_VALUE, Account
from sandbox.machine.postgresql import Databases
from sandbox.machine.redis import Caches
from sandbox.machine.secrets import Secrets
from sandbox.providers.cloud import Emulated
from sandbox.providers.server import Answer, RefusedError, Resource
from sandbox.providers.wire import Properties

IMAGE = "docker-build:index:Image"
_STORES = frozenset(
    {"aws:rds/getInstance:getInstance", "aws:elasticache/getReplicationGroup:getReplicationGroup"}
)
_IMAGES = frozenset({"aws:ecr/getImage:getImage", "docker:index/getRegistryImage:getRegistryImage"})
_CLASS = ":SecretProviderClass"
_CERTIFICATE = "kubernetes:cert-manager.io/v1:Certificate"


class ImageBuilder(Protocol):
    """What builds images into the node."""

    def build(self, inputs: Mapping[str, Any]) -> str:
        """Build what the inputs of a docker-build Image say, and return its digest."""


class Hosted(Emulated):
    """AWS, random and docker-build, with the account's real servers behind some of their types."""

    def __init__(
        self, account: Account, databases: Databases, caches: Caches, secrets: Secrets, images: ImageBuilder
    ) -> None:
        self._account = account
        self._databases = databases
        self._caches = caches
        self._secrets = secrets
        self._images = images
        # The engine asks for several at once, and a store is started by one of them.
        self._lock = threading.Lock()

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Answer:
        if preview and resource.type == IMAGE:
            # Only a build knows the digest.
            return Answer("", inputs)
        answer = super().create(resource, inputs, preview=preview, timeout=timeout)
        return answer if preview else self._realize(resource, answer)

    def update(
        self,
        resource: Resource,
        inputs: Properties,
        old_outputs: Properties,
        *,
        preview: bool,
        timeout: float,
    ) -> Answer:
        if preview and resource.type == IMAGE:
            return Answer("", inputs)
        answer = super().update(resource, inputs, old_outputs, preview=preview, timeout=timeout)
        return answer if preview else self._realize(resource, answer)

    def delete(self, resource: Resource, outputs: Properties, timeout: float) -> None:
        super().delete(resource, outputs, timeout)
        with self._lock, _as_refusals():
            if resource.type == DATABASE:
                self._databases.remove(outputs)
            if resource.type == CACHE:
                self._caches.remove(outputs)
            if resource.type in KEPT:
                self._account.remove(resource.type, outputs)

    def invoke(self, token: str, args: Properties) -> Properties:
        if token in _IMAGES:
            name = args.get("name") or f"{args.get('repositoryName')}:{args.get('imageTag')}"
            raise RefusedError(
                f"{name} is named by tag, and the sandbox asks no registry: its pods would pull a digest that nobody"
                " pushed. Name the image by digest, or give the agent a source"
            )
        if token in _STORES:
            name = args.get("dbInstanceIdentifier") or args.get("replicationGroupId")
            raise RefusedError(
                f"{name} is somebody else's, and the sandbox has no server that stands for it: leave `existing` out of"
                " a copy of the stack file, and one is made"
            )
        return super().invoke(token, args)

    def _realize(self, resource: Resource, answer: Answer) -> Answer:
        if resource.type == IMAGE:
            with _as_refusals():
                digest = self._images.build(answer.outputs)
            repository = str(answer.outputs["ref"]).partition("@")[0]
            outputs = {**answer.outputs, "digest": digest, "ref": f"{repository}@{digest}"}
            return Answer(answer.id, outputs, answer.secrets)
        if resource.type in KEPT:
            with self._lock, _as_refusals():
                self._account.put(resource.type, answer.outputs)
                self._follow(resource.type)
        return answer

    def _follow(self, type_: str) -> None:
        """Make the machine follow a change of a type. Add-ons wait until the agents answer."""
        if type_ == SECRET_VALUE:
            self._secrets.publish()
        elif type_.startswith("aws:rds"):
            self._databases.ensure()
        elif type_.startswith("aws:elasticache"):
            self._caches.ensure()


class Cluster(Kubernetes):
    """The Kubernetes stand-in of a cluster whose pods run."""

    def __init__(
        self,
        api: Api,
        account: Account,
        secrets: Secrets,
        run_cert_manager: Callable[[], None],
        **settings: float,
    ) -> None:
        super().__init__(api, **settings)
        self._run_cert_manager = run_cert_manager
        self._account = account
        self._secrets = secrets

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Answer:
        answer = super().create(resource, inputs, preview=preview, timeout=timeout)
        self._provide(resource, inputs, preview=preview)
        return answer

    def update(
        self,
        resource: Resource,
        inputs: Properties,
        old_outputs: Properties,
        *,
        preview: bool,
        timeout: float,
    ) -> Answer:
        answer = super().update(resource, inputs, old_outputs, preview=preview, timeout=timeout)
        self._provide(resource, inputs, preview=preview)
        return answer

    def delete(self, resource: Resource, outputs: Properties, timeout: float) -> None:
        super().delete(resource, outputs, timeout)
        if resource.type == RELEASE:
            self._account.remove(RELEASE, outputs)

    def _provide(self, resource: Resource, inputs: Properties, *, preview: bool) -> None:
        if preview:
            return
        if resource.type.endswith(_CLASS):
            self._secrets.publish()
        if resource.type == RELEASE:
            self._account.put(RELEASE, inputs)
        if resource.type == _CERTIFICATE:
            # Pods mount what it signs; an Ingress serves without.
            with _as_refusals():
                self._run_cert_manager()


@contextmanager
def _as_refusals() -> Iterator[None]:
    """Raise what goes wrong on the machine as a refusal, which the engine shows."""
    try:
        yield
    except SandboxError as error:
        raise RefusedError(str(error)) from error
