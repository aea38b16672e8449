"""The root certificates that sign RDS server certificates, by region; README.md says where they are from."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def regions() -> list[str]:
    """The regions whose root certificates are here."""
    return sorted(path.stem for path in _FOLDER.glob("*.pem"))


def rds_ca(region: str) -> str:
    """The PEM bundle of a region's root certificates, for ``sslrootcert``.

    Raises:
        ValueError: there is none for this region; the message says how to add it.
    """
    known = {path.stem: path for path in _FOLDER.glob("*.pem")}
    if region not in known:
        raise ValueError(
            f"region is {region!r}: there are RDS root certificates for {', '.join(sorted(known))}; "
            f"components/stores/{_FOLDER.name}/README.md says how to add a region"
        )
    return known[region].read_text()
