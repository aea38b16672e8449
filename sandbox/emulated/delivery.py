"""ECR, image builds, Helm releases and random values."""

import base64
import hashlib
import json
import secrets
import string
from typing import Any

from sandbox.emulated.subject import ACCOUNT, Kind, Subject, keys


def _repository(subject: Subject, id_: str) -> dict[str, Any]:
    return {
        "arn": subject.arn("ecr", f"repository/{id_}"),
        "name": id_,
        "registryId": ACCOUNT,
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{subject.region}.amazonaws.com/{id_}",
    }


def _build(subject: Subject, id_: str) -> dict[str, Any]:
    """A digest of what is built: its labels follow from the source, so another source is another digest."""
    what = {key: value for key, value in subject.inputs.items() if key != "registries"}
    digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()
    tag = next(iter(subject.inputs.get("tags") or ["image"]))
    return {
        "contextHash": digest,
        "digest": f"sha256:{digest}",
        "ref": f"{str(tag).rsplit(':', 1)[0]}@sha256:{digest}",
    }


def _release(subject: Subject, id_: str) -> dict[str, Any]:
    namespace, _, name = id_.rpartition("/")
    return {
        "name": name,
        "namespace": namespace,
        "resourceNames": {},
        "status": {
            "chart": subject.get("chart"),
            "name": name,
            "namespace": namespace,
            "revision": 1,
            "status": "deployed",
            "version": subject.get("version"),
        },
    }


# The special characters of the random provider, in its documentation's order.
_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"


def _alphabet(subject: Subject) -> str:
    classes = {
        "lower": string.ascii_lowercase,
        "upper": string.ascii_uppercase,
        "numeric": string.digits,
        "special": subject.get("overrideSpecial", _SPECIAL),
    }
    return "".join(letters for name, letters in classes.items() if subject.inputs.get(name) is not False)


def _random_string(subject: Subject) -> str:
    alphabet = _alphabet(subject)
    return "".join(secrets.choice(alphabet) for _ in range(int(subject.inputs["length"])))


def _password(subject: Subject, id_: str) -> dict[str, Any]:
    # The id says nothing of the value, and a bcrypt hash is 53 characters after its prefix.
    return {"bcryptHash": f"$2a$10${secrets.token_hex(27)[:53]}", "result": _random_string(subject)}


def _random_id(subject: Subject, id_: str) -> dict[str, Any]:
    value = secrets.token_bytes(int(subject.inputs["byteLength"]))
    url = base64.urlsafe_b64encode(value).decode().rstrip("=")
    return {
        "b64Std": base64.b64encode(value).decode(),
        "b64Url": url,
        "dec": str(int.from_bytes(value, "big")),
        "hex": value.hex(),
    }


KINDS = {
    "aws:ecr/repository:Repository": Kind(lambda s: s.named(), _repository),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Kind(
        lambda s: s.get("repository"), lambda s, id_: {"registryId": ACCOUNT}
    ),
    "docker-build:index:Image": Kind(
        lambda s: s.hex(16), _build, renewed=keys("contextHash", "digest", "ref")
    ),
    "kubernetes:helm.sh/v3:Release": Kind(
        lambda s: f"{s.get('namespace', 'default')}/{s.named()}",
        _release,
        renewed=keys("status"),
    ),
    "random:index/randomPassword:RandomPassword": Kind(
        lambda s: "none", _password, secret=keys("bcryptHash", "result")
    ),
    "random:index/randomString:RandomString": Kind(
        lambda s: s.hex(16), lambda s, id_: {"result": _random_string(s)}
    ),
    "random:index/randomId:RandomId": Kind(lambda s: s.hex(16), _random_id),
}
