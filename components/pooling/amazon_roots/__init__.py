"""The root certificates that sign for RDS Proxy; README.md says where they are from."""

from pathlib import Path


def amazon_roots() -> str:
    """Their PEM bundle, for ``sslrootcert``."""
    return (Path(__file__).parent / "amazon-roots.pem").read_text()
