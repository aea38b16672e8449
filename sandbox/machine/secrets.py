"""What pods read from the emulated Secrets Manager: a Secret for each SecretProviderClass, with the same files.

The admission policies mount it where the Secrets Store CSI driver would mount what it fetches. A kubelet writes a
changed Secret into the pods that run, as the driver does on rotation.
"""

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.cluster.api import Api, Object
from sandbox.common.errors import InputError
from sandbox.machine.account import SECRET_VALUE, Account

_CLASS = ("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass")


class Secrets:
    """Keeps the cluster's Secrets as the account has them."""

    def __init__(self, api: Api, account: Account) -> None:
        self._api = api
        self._account = account

    def publish(self) -> None:
        """Write the Secret of every SecretProviderClass."""
        for provided in self._api.list(*_CLASS):
            self._api.apply(self._secret(provided), force=True)

    def put(self, secret: str, value: str) -> None:
        """Give an entry another value, and the pods with it.

        Args:
            secret: its name or its ARN, which is the name and six random characters.
            value: the new value.

        Raises:
            InputError: there is no such entry with a value.
        """
        versions = self._account.all(SECRET_VALUE)
        arns = [version["secretId"] for version in versions]
        found = [arn for arn in arns if secret == arn or secret == _entry(arn)]
        if not found:
            names = ", ".join(sorted({_entry(arn) for arn in arns}))
            raise InputError(f"--secret-id is {secret!r}: the entries with a value are {names}")
        version = {"secretId": found[-1], "secretString": value, "versionId": str(uuid.uuid4())}
        self._account.put(SECRET_VALUE, version)
        self.publish()

    def _secret(self, provided: Object) -> Object:
        objects = json.loads(provided["spec"]["parameters"]["objects"])
        files = {each["objectAlias"]: self._value(each) for each in objects}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": provided["metadata"]["name"],
                "namespace": provided["metadata"]["namespace"],
                # It goes when its class does.
                "ownerReferences": [
                    {
                        "apiVersion": provided["apiVersion"],
                        "kind": provided["kind"],
                        "name": provided["metadata"]["name"],
                        "uid": provided["metadata"]["uid"],
                    }
                ],
            },
            "data": {name: base64.b64encode(value.encode()).decode() for name, value in files.items()},
        }

    def _value(self, wanted: Mapping[str, Any]) -> str:
        """The entry's current value; a stand-in for one that people fill in by hand, or that others own."""
        version = self._account.named(SECRET_VALUE, "secretId", wanted["objectName"])
        return str(version.get("secretString") or f"stand-in-for-{wanted['objectAlias']}")


def _entry(arn: str) -> str:
    """The name of the entry that has an ARN."""
    return arn.rpartition(":")[2].rpartition("-")[0]
