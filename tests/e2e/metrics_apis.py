"""The metrics APIs of Kubernetes as a test answers them: `metrics.k8s.io` and `external.metrics.k8s.io`."""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox.cluster.api import Api
from sandbox.cluster.authority import SERVER
from sandbox.cluster.pki import Pki

NAMESPACE, NAME = "kube-system", "metrics"
RESOURCES = {
    "metrics.k8s.io": [
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["list"]}
    ],
    "external.metrics.k8s.io": [
        {
            "name": "queue",
            "singularName": "",
            "namespaced": True,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }
    ],
}
"""By group: what its version v1beta1 lists."""

Answer = Callable[[str, str, str], dict[str, Any] | None]
"""From group, namespace and the resource's name to the answer; None: it fails."""


@contextmanager
def served(api: Api, pki: Pki, answer: Answer) -> Iterator[None]:
    """Answer on this machine's loopback, and register both groups with the API server."""
    host = f"{NAME}.{NAMESPACE}.svc"
    certificate, key = pki.authority.issue(NAME, purposes=[SERVER], common_name=host, alternatives=[host])
    server = _Server(("127.0.0.1", 0), _handler(answer))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for manifest in _manifests(server.server_address[1], pki.ca):
            api.apply(manifest, force=True)
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: the API server ends connections when it is ended."""


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = self.path.partition("?")[0].strip("/").split("/")
            document: dict[str, Any] | None = None
            code = 404
            if len(parts) == 3 and parts[1] in RESOURCES:
                document = {
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": f"{parts[1]}/{parts[2]}",
                    "resources": RESOURCES[parts[1]],
                }
            elif len(parts) == 6 and parts[1] in RESOURCES:
                code = 500
                document = answer(parts[1], parts[4], parts[5])
            code = 200 if document else code
            body = json.dumps(
                document or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
            )
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what matters."""

    return Handler


def _manifests(port: int, ca: Path) -> Iterator[dict[str, Any]]:
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        # The API server goes to this name itself; no kube-proxy is needed.
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }
    for group in RESOURCES:
        yield {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1beta1.{group}"},
            "spec": {
                "group": group,
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": NAME, "namespace": NAMESPACE, "port": port},
                "caBundle": base64.b64encode(ca.read_bytes()).decode(),
            },
        }
