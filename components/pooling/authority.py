"""A certificate authority within a namespace, by cert-manager, and the certificate of one server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

_API_VERSION = "cert-manager.io/v1"
_KEY = {"algorithm": "ECDSA", "size": 256}
# Ten years. It is renewed with the same key, so that what it signed before is still trusted.
_AUTHORITY_DURATION = "87600h"


@dataclass(frozen=True, kw_only=True)
class ServerCertificateArgs:
    """Whose certificate.

    Attributes:
        server: names every object, and the Secret with ``tls.crt``, ``tls.key`` and the authority's ``ca.crt``.
        dns_names: by which clients know it.
        crds_ready: the add-on that brings cert-manager and its kinds; None where they are there already.
    """

    namespace: pulumi.Input[str]
    server: str
    dns_names: Sequence[str]
    labels: Mapping[str, str]
    crds_ready: pulumi.Resource | None


class ServerCertificate(pulumi.ComponentResource):
    """A certificate for a server within the cluster, by an authority that signs for nobody else.

    cert-manager renews it when a third of its 90 days is left.

    Attributes:
        secret_name: the Secret that holds it.
    """

    secret_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServerCertificateArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("langgraph-agents:components:ServerCertificate", name, None, opts)
        self._args = args
        authority = f"{args.server}-authority"
        own = self._object(f"{name}-self", "Issuer", authority, {"selfSigned": {}})
        root = self._object(
            f"{name}-authority",
            "Certificate",
            authority,
            {
                "isCA": True,
                "commonName": authority,
                "secretName": authority,
                "duration": _AUTHORITY_DURATION,
                "privateKey": {**_KEY, "rotationPolicy": "Never"},
                "usages": ["cert sign", "crl sign"],
                "issuerRef": {"kind": "Issuer", "name": authority},
            },
        )
        issuer = self._object(f"{name}-issuer", "Issuer", args.server, {"ca": {"secretName": authority}})
        secret = f"{args.server}-tls"
        certificate = self._object(
            f"{name}-certificate",
            "Certificate",
            args.server,
            {
                "secretName": secret,
                "dnsNames": list(args.dns_names),
                "privateKey": {**_KEY, "rotationPolicy": "Always"},
                "usages": ["digital signature", "server auth"],
                "issuerRef": {"kind": "Issuer", "name": args.server},
            },
            # Pods that mount it wait until it is signed.
            signed_by=(own, root, issuer),
        )
        # The name is known beforehand; its URN makes resources that use it wait for the object.
        self.secret_name = certificate.urn.apply(lambda _: secret)
        self.register_outputs({"secret_name": self.secret_name})

    def _object(
        self,
        name: str,
        kind: str,
        object_name: str,
        spec: Mapping[str, object],
        signed_by: tuple[pulumi.Resource, ...] = (),
    ) -> k8s.apiextensions.CustomResource:
        args = self._args
        return k8s.apiextensions.CustomResource(
            name,
            api_version=_API_VERSION,
            kind=kind,
            metadata={"name": object_name, "namespace": args.namespace, "labels": dict(args.labels)},
            spec=spec,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*([args.crds_ready] if args.crds_ready else []), *signed_by]
            ),
        )
