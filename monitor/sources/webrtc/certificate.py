"""A certificate that this machine signs for itself, because browsers give cameras to secure pages only."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from monitor.errors import BadInputError
from monitor.sources.webrtc.settings import IngestSettings

VALID_DAYS = 365
_RENEW_DAYS = 14
_NAME = "classroom monitor"


def tls_context(settings: IngestSettings, folder: Path) -> ssl.SSLContext | None:
    """What the server speaks TLS with; None where plain HTTP is enough.

    Args:
        settings: the user's own files, if any.
        folder: where a self-signed certificate is kept.

    Raises:
        BadInputError: files that cannot be read or do not belong together.
    """
    if not settings.tls:
        return None
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificate, key = settings.tls_cert, settings.tls_key
    else:
        certificate, key = self_signed(folder, reachable_names(settings.host))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise BadInputError(
            f"{certificate} and {key}: expected a certificate and its key as PEM without a password, found: {error}. "
            "Leave --tls-cert and --tls-key out for a self-signed one"
        ) from error
    return context


def self_signed(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """Certificate and key in a folder: those that lie there while they are good for these names, else new ones.

    The key is readable by its owner alone.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not _is_good(certificate, key, names):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made_key = ec.generate_private_key(ec.SECP256R1())
        write_private(key, _key_pem(made_key))
        certificate.write_bytes(_certificate(made_key, names).public_bytes(serialization.Encoding.PEM))
    return certificate, key


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def reachable_names(host: str) -> list[str]:
    """Names and addresses by which this machine may be reached on what it listens to."""
    names = {"localhost", "127.0.0.1", socket.gethostname(), *addresses(), *_named(host)}
    return sorted(name for name in names if name and name.isascii())


def addresses() -> list[str]:
    """This machine's addresses in its networks, loopback and link-local ones left out."""
    import ifaddr  # aioice brings it

    found = {ip.ip if isinstance(ip.ip, str) else ip.ip[0] for card in ifaddr.get_adapters() for ip in card.ips}
    kept = [ip for ip in map(ipaddress.ip_address, found) if not (ip.is_loopback or ip.is_link_local)]
    return [str(ip) for ip in sorted(kept, key=lambda ip: (ip.version, int(ip)))]


def _named(host: str) -> set[str]:
    return set() if host in ("", "0.0.0.0", "::") else {host}


def _is_good(certificate: Path, key: Path, names: Sequence[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        if not key.is_file() or found.not_valid_after_utc - datetime.now(UTC) < timedelta(days=_RENEW_DAYS):
            return False
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    covered = {str(name.value) for name in alternative}
    return set(names) <= covered


def _certificate(key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
