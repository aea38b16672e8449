"""The packages that are emulated: AWS, random, docker-build and docker, answered by `sandbox.emulated`."""

from sandbox import emulated
from sandbox.providers.server import Answer, Change, RefusedError, Resource
from sandbox.providers.wire import Properties, is_known

PACKAGES = ("aws", "random", "docker-build", "docker")


class Emulated:
    """The backend of the emulated packages."""

    def check(self, resource: Resource, old: Properties | None, new: Properties, seed: bytes) -> Properties:
        return new

    def diff(self, resource: Resource, old_inputs: Properties, new_inputs: Properties) -> Change:
        replacing = {path.split(".")[0] for path in emulated.replaced(resource.type, old_inputs, new_inputs)}
        changed = differing(old_inputs, new_inputs)
        return Change(changed, [key for key in changed if key in replacing])

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> Answer:
        if preview and not self._foreseeable(resource, inputs):
            return Answer("", inputs)
        try:
            created = emulated.create(resource.type, resource.name, inputs, resource.urn)
        except emulated.UnknownType as unknown:
            raise RefusedError(f"{resource.type}: {unknown}") from unknown
        return Answer(created.id, created.outputs, emulated.secret_outputs(resource.type))

    def update(
        self,
        resource: Resource,
        inputs: Properties,
        old_outputs: Properties,
        *,
        preview: bool,
        timeout: float,
    ) -> Answer:
        if preview and not self._foreseeable(resource, inputs):
            return Answer("", inputs)
        outputs = emulated.update(resource.type, resource.name, inputs, old_outputs, resource.urn)
        return Answer("", outputs, emulated.secret_outputs(resource.type))

    def delete(self, resource: Resource, outputs: Properties, timeout: float) -> None:
        """Nothing remains of what is only in the state."""

    def read(self, resource: Resource, resource_id: str, outputs: Properties) -> Answer | None:
        return Answer(resource_id, outputs, emulated.secret_outputs(resource.type))

    def invoke(self, token: str, args: Properties) -> Properties:
        try:
            return emulated.invoke(token, args)
        except emulated.UnknownType as unknown:
            raise RefusedError(f"{token}: {unknown}") from unknown

    def begin(self) -> None:
        """No operation leaves anything to the next."""

    def cancel(self) -> None:
        """Nothing waits."""

    @staticmethod
    def _foreseeable(resource: Resource, inputs: Properties) -> bool:
        """Whether a preview may say what the resource will be.

        Ids follow from names here, so a preview knows more than one of AWS does, and the API server can judge the
        manifests that hold them. A random value is another each time.
        """
        return is_known(inputs) and not resource.type.startswith("random:")


def differing(old: Properties, new: Properties) -> list[str]:
    """The top-level properties in which two sets of inputs differ."""
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
