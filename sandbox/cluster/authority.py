"""A certificate authority of one's own: its certificate, its key, and what it signs."""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.common.state import write_private

_LIFETIME = datetime.timedelta(days=365)

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


class Authority:
    """`ca.crt` and `ca.key` in a folder, made now unless they are there, and the certificates beside them."""

    def __init__(self, folder: Path, common_name: str, *, lifetime: datetime.timedelta = _LIFETIME) -> None:
        """
        Args:
            lifetime: of every certificate that is made.
        """
        self._folder = folder
        self._lifetime = lifetime
        if not self.key.exists():
            self._make(common_name)

    @property
    def certificate(self) -> Path:
        """Its own certificate, by which others know what it signed."""
        return self._folder / "ca.crt"

    @property
    def key(self) -> Path:
        """Its private key."""
        return self._folder / "ca.key"

    def issue(
        self,
        name: str,
        *,
        purposes: Sequence[x509.ObjectIdentifier],
        common_name: str,
        organization: str = "",
        alternatives: Sequence[str] = (),
    ) -> tuple[Path, Path]:
        """Sign a new certificate, `<name>.crt` with `<name>.key`.

        Args:
            name: of the files.
            purposes: `SERVER`, `CLIENT`, or both.
            common_name: the subject; for Kubernetes, the user.
            organization: likewise; for Kubernetes, the user's group.
            alternatives: host names and addresses.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        loaded = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        leaf = (
            _builder(_name(common_name, organization), loaded.subject, key, self._lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            # Strict verifiers, such as Python's since 3.13, ask for it.
            .add_extension(_issued_by(loaded), critical=False)
        )
        if alternatives:
            names = x509.SubjectAlternativeName([_alternative(each) for each in alternatives])
            leaf = leaf.add_extension(names, critical=False)
        signer = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 (nobody else writes the file)
        signed = leaf.sign(signer, hashes.SHA256())
        certificate_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        write_private(key_file, private_pem(key))
        return certificate_file, key_file

    def _make(self, common_name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(common_name)
        own = (
            _builder(name, name, key, self._lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        # Written last: without the key there is no authority.
        write_private(self.key, private_pem(key))


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _name(common_name: str, organization: str = "") -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    # X.509 holds a common name of 64 characters at most; the whole name of a host is in the alternatives.
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _issued_by(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    key = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key)


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + lifetime)
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
