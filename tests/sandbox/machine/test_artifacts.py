"""The files that the node is made from: an image of one program, names, policies, certificates."""

import json
import ssl
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox.binaries.debian import Debian
from sandbox.cluster.api import Api
from sandbox.cluster.authority import SERVER, Authority
from sandbox.common.errors import SandboxError
from sandbox.common.namespaces import Namespaces
from sandbox.common.state import State
from sandbox.machine import admission, base
from sandbox.machine.containers import write_image
from sandbox.machine.dns import Dns
from tests.sandbox.fakes import FakeApi


def test_an_image_of_one_program_holds_it_and_runs_it(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    with (tmp_path / "image.tar").open("wb") as stream:
        write_image(stream, "sandbox.local/pause:1", program, ["/pause", "-P"])
    with tarfile.open(tmp_path / "image.tar") as image:
        (manifest,) = json.load(cast(Any, image.extractfile("manifest.json")))
        config = json.load(cast(Any, image.extractfile("config.json")))
        with tarfile.open(fileobj=image.extractfile("layer.tar")) as layer:
            assert layer.getmember("pause").mode == 0o755
    assert manifest["RepoTags"] == ["sandbox.local/pause:1"]
    assert config["config"]["Entrypoint"] == ["/pause", "-P"]


def test_published_names_are_added_to_those_before(tmp_path: Path) -> None:
    state = State(tmp_path, "dev")
    state.create()
    dns = Dns(state, tmp_path, Namespaces(state))
    dns.publish({"db.example.com": "10.254.2.1"})
    dns.publish({"cache.example.com": "10.254.2.2"})
    dns.publish({"db.example.com": "10.254.2.3"})
    hosts = (state.machine / "dns" / "hosts").read_text().splitlines()
    assert sorted(hosts) == ["10.254.2.2 cache.example.com", "10.254.2.3 db.example.com"]


def test_each_policy_has_its_binding_and_the_authority_is_quoted() -> None:
    api = FakeApi()
    admission.ensure(cast(Api, api), "-----BEGIN\nMIIB\n-----END\n")
    kinds = [kind for kind, _, _ in api.objects]
    assert kinds.count("MutatingAdmissionPolicy") == kinds.count("MutatingAdmissionPolicyBinding") == 4
    for config_map, key in (
        ("database-certificates", "rds-ca.pem"),
        ("rds-proxy-certificates", "amazon-roots.pem"),
    ):
        policy = api.objects["MutatingAdmissionPolicy", None, f"sandbox-{config_map}"]
        (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
        assert rule["resourceNames"] == [config_map]
        (mutation,) = policy["spec"]["mutations"]
        assert f'"/data/{key}"' in mutation["jsonPatch"]["expression"]
        assert r"-----BEGIN\nMIIB\n-----END\n" in mutation["jsonPatch"]["expression"]


@pytest.mark.parametrize(
    "image", ["node:22-slim", "python:3.13", "registry.example.com/python:3.13-slim-trixie"]
)
def test_a_base_that_debian_cannot_give_is_refused(image: str, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="only python:<version>-slim-<Debian release> can be made"):
        base.ensure(tmp_path, Debian(tmp_path), image)


def test_a_strict_client_accepts_what_the_authority_signs(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "test CA")
    certificate, key = authority.issue(
        "db", purposes=[SERVER], common_name="x" * 80, alternatives=["db.example.com", "10.254.2.1"]
    )
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate, key)
    asking = ssl.create_default_context(cafile=str(authority.certificate))
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname="db.example.com")
    server = served.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"
    assert key.stat().st_mode & 0o777 == 0o600


def test_an_authority_stays_the_same(tmp_path: Path) -> None:
    first = Authority(tmp_path, "test CA").certificate.read_bytes()
    assert Authority(tmp_path, "test CA").certificate.read_bytes() == first
