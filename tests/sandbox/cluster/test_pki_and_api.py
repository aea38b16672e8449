"""The client talks to a server that it verifies, with the certificates that the sandbox makes."""

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from langgraph_agents_service.ports import free_port
from sandbox.cluster import pki
from sandbox.cluster.api import Api, ApiError, Endpoint, UnknownKindError
from sandbox.cluster.kubeconfig import kubeconfig
from sandbox.cluster.pki import Pki
from sandbox.common.errors import SandboxError


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return pki.ensure(tmp_path_factory.mktemp("state") / "pki", ["127.0.0.1", "10.96.0.1"])


@dataclass
class Server:
    """Answers by path, and remembers what it was asked."""

    endpoint: Endpoint
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, str, Any]] = field(default_factory=list)


CORE = {"resources": [{"kind": "Namespace", "name": "namespaces", "namespaced": False},
                      {"kind": "Pod", "name": "pods", "namespaced": True},
                      {"kind": "Pod", "name": "pods/status", "namespaced": True}]}  # fmt: skip


@pytest.fixture
def server(certificates: Pki) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            served.asked.append((self.command, self.path, self.headers.get("Authorization", ""), body))
            missing = (404, {"reason": "NotFound", "message": f"{self.path} not found"})
            code, answer = served.answers.get(self.path.partition("?")[0], missing)
            payload = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificates.certificate("server"))
    http.socket = context.wrap_socket(http.socket, server_side=True)
    url = f"https://127.0.0.1:{http.server_address[1]}"
    served = Server(Endpoint(url, str(certificates.ca), certificates.token), {"/api/v1": (200, CORE)})
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield served
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    client = Api(server.endpoint)
    yield client
    client.close()


def test_keys_and_tokens_are_for_their_owner_only(certificates: Pki) -> None:
    private = [*certificates.folder.glob("*.key"), certificates.tokens]
    assert len(private) == 6
    assert {file.stat().st_mode & 0o777 for file in private} == {0o600}
    assert certificates.folder.stat().st_mode & 0o777 == 0o700


def test_the_same_certificates_serve_until_they_are_removed(certificates: Pki) -> None:
    before = certificates.ca.read_bytes()
    assert pki.ensure(certificates.folder, ["127.0.0.1", "10.96.0.1"]).ca.read_bytes() == before


def test_each_sandbox_has_a_token_of_its_own(certificates: Pki, tmp_path: Path) -> None:
    assert pki.ensure(tmp_path / "pki", ["127.0.0.1", "10.96.0.1"]).token != certificates.token


def test_a_kubeconfig_names_the_authority_and_the_token() -> None:
    loaded = yaml.safe_load(
        kubeconfig(Endpoint("https://127.0.0.1:1", "ca", "tok"), "sandbox-dev", {"token": "tok"})
    )
    cluster = loaded["clusters"][0]["cluster"]
    assert cluster == {"server": "https://127.0.0.1:1", "certificate-authority": "ca"}
    assert loaded["users"][0]["user"] == {"token": "tok"}


def test_a_server_of_another_authority_is_not_trusted(server: Server, tmp_path: Path) -> None:
    other = pki.ensure(tmp_path / "pki", ["127.0.0.1", "10.96.0.1"])
    stranger = Api(Endpoint(server.endpoint.server, str(other.ca), "token"))
    server.answers["/readyz"] = (200, {})
    assert not stranger.ready()
    assert not server.asked
    stranger.close()


def test_readiness_is_asked_with_the_token(server: Server, api: Api, certificates: Pki) -> None:
    server.answers["/readyz"] = (500, {})
    assert not api.ready()
    server.answers["/readyz"] = (200, {})
    assert api.ready()
    assert {authorization for _, _, authorization, _ in server.asked} == {f"Bearer {certificates.token}"}


def test_a_namespaced_object_is_applied_at_its_place_by_one_field_manager(server: Server, api: Api) -> None:
    server.answers["/api/v1/namespaces/a/pods/p"] = (200, {"metadata": {"name": "p"}})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}}
    assert api.apply(pod, dry_run=True) == {"metadata": {"name": "p"}}
    method, path, _, body = server.asked[-1]
    assert (method, body) == ("PATCH", pod)
    assert path.endswith("/pods/p?fieldManager=pulumi&force=false&fieldValidation=Strict&dryRun=All")


def test_an_object_of_the_whole_cluster_has_no_namespace_in_its_path(server: Server, api: Api) -> None:
    server.answers["/api/v1/namespaces/a"] = (200, {})
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}, force=True)
    assert server.asked[-1][1] == "/api/v1/namespaces/a?fieldManager=pulumi&force=true&fieldValidation=Strict"


def test_a_missing_object_is_none_and_its_deletion_no_error(api: Api) -> None:
    assert api.get("v1", "Pod", "a", "p") is None
    api.delete("v1", "Pod", "a", "p")


def test_a_refusal_carries_the_servers_words_and_fields(server: Server, api: Api) -> None:
    details = {"kind": "Pod", "name": "p", "causes": [{"field": "spec", "message": "is required"}]}
    server.answers["/api/v1/namespaces/a/pods/p"] = (
        422,
        {"reason": "Invalid", "message": "Pod p is invalid: spec is required", "details": details},
    )
    with pytest.raises(ApiError, match="Pod p is invalid: spec is required") as refused:
        api.get("v1", "Pod", "a", "p")
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert refused.value.causes == [("spec", "is required")]


def test_a_server_that_is_gone_is_told_with_what_to_do(certificates: Pki) -> None:
    nobody = Endpoint(f"https://127.0.0.1:{free_port()}", str(certificates.ca), certificates.token)
    with Api(nobody) as api, pytest.raises(SandboxError, match=r"does not answer GET /api/v1.*make up"):
        api.get("v1", "Pod", "default", "a")


def test_an_unknown_kind_is_reported_with_its_api_version(api: Api) -> None:
    with pytest.raises(UnknownKindError, match=r"no kind Widget in example\.com/v1"):
        api.get("example.com/v1", "Widget", "a", "w")


def test_a_kind_that_came_later_is_found(server: Server, api: Api) -> None:
    with pytest.raises(UnknownKindError):
        api.kind("example.com/v1", "Widget")
    listed = {"resources": [{"kind": "Widget", "name": "widgets", "namespaced": True}]}
    server.answers["/apis/example.com/v1"] = (200, listed)
    assert (
        api.kind("example.com/v1", "Widget").path("a", "w") == "/apis/example.com/v1/namespaces/a/widgets/w"
    )
