"""The certificates, keys and the token of one control plane. All are made here, for this sandbox alone."""

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.cluster.authority import CLIENT, SERVER, Authority, private_pem
from sandbox.common.state import write_private

_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class Pki:
    """A folder with `ca.crt`, a server and client certificates, the service accounts' key pair, and the token.

    The server certificate is presented by etcd and by the API server, the client certificate by the API server to etcd
    and to kubelets, the front proxy's by the API server to the servers that extend it.
    """

    folder: Path

    @property
    def authority(self) -> Authority:
        """Signs what belongs to the cluster."""
        return Authority(self.folder, "langgraph-agents sandbox CA")

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def certificate(self, name: str) -> tuple[Path, Path]:
        """The files of the certificate `name` (`server`, `client`, `front-proxy`): the certificate, and its key."""
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    @property
    def service_accounts(self) -> tuple[Path, Path]:
        """The key pair that service account tokens are signed with: private, public."""
        return self.folder / "service-accounts.key", self.folder / "service-accounts.pub"

    @property
    def tokens(self) -> Path:
        """The API server's token file, which holds the administrator's token."""
        return self.folder / "tokens.csv"

    @property
    def token(self) -> str:
        return self.tokens.read_text().partition(",")[0]


def ensure(folder: Path, addresses: Sequence[str]) -> Pki:
    """The PKI in `folder`, made now unless it is there; `addresses` are those of the API server."""
    if not folder.exists():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        _make(Pki(partial), addresses)
        partial.rename(folder)
    return Pki(folder)


def _make(pki: Pki, addresses: Sequence[str]) -> None:
    authority = pki.authority
    authority.issue(
        "server",
        # etcd's peers present one certificate in both roles.
        purposes=[SERVER, CLIENT],
        common_name="sandbox-server",
        alternatives=[*_SERVER_NAMES, *addresses],
    )
    authority.issue(
        "client", purposes=[CLIENT], common_name="kube-apiserver-client", organization="system:masters"
    )
    authority.issue("front-proxy", purposes=[CLIENT], common_name="front-proxy")

    signer = ec.generate_private_key(ec.SECP256R1())
    private, public = pki.service_accounts
    write_private(private, private_pem(signer))
    public.write_bytes(
        signer.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    write_private(pki.tokens, f"{secrets.token_urlsafe(32)},admin,admin,system:masters\n")
