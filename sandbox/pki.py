"""The certificates, keys and the token of one control plane. All are made here, for this sandbox alone."""

import datetime
import ipaddress
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.state import write_private

_LIFETIME = datetime.timedelta(days=365)
_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class Pki:
    """A folder with `ca.crt`, a server and a client certificate, the service accounts' key pair, and the token.

    The server certificate is presented by etcd and by the API server, the client certificate by the API server to etcd.
    """

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def certificate(self, name: str) -> tuple[Path, Path]:
        """The files of the certificate `name` (`server` or `client`): the certificate, and its key."""
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


def ensure(folder: Path, service_address: str) -> Pki:
    """The PKI in `folder`, made now unless it is there; `service_address` is the API server's in the cluster."""
    if not folder.exists():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        _make(Pki(partial), service_address)
        partial.rename(folder)
    return Pki(folder)


def _make(pki: Pki, service_address: str) -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("langgraph-agents sandbox CA")
    ca = (
        _certificate(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    pki.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))

    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", service_address)]
    names = x509.SubjectAlternativeName([*(x509.DNSName(name) for name in _SERVER_NAMES), *addresses])
    for name, purposes in {
        # etcd's peers present one certificate in both roles.
        "server": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
        "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    }.items():
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = (
            _certificate(_name(f"sandbox-{name}"), ca_name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(names, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        certificate_file, key_file = pki.certificate(name)
        certificate_file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        write_private(key_file, _pem(key))

    signer = ec.generate_private_key(ec.SECP256R1())
    private, public = pki.service_accounts
    write_private(private, _pem(signer))
    public.write_bytes(
        signer.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    write_private(pki.tokens, f"{secrets.token_urlsafe(32)},admin,admin,system:masters\n")


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
