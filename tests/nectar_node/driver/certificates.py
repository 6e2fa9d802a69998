"""An authority of its own, and servers' certificates that it has signed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """An authority whose files lie in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        built = self._builder(self._name, self._key, timedelta(days=-1), timedelta(days=1))
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = built.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, since: timedelta, until: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since)
            .not_valid_after(now + until)
            .add_extension(identifier, critical=False)
            .add_extension(issuer, critical=False)
        )

    def trust(self) -> ssl.SSLContext:
        """What verifies servers by this authority alone."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def issue(self, host: str, *, expired: bool = False) -> tuple[str, str]:
        """The files of a new certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = timedelta(hours=-1) if expired else timedelta(days=1)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        built = self._builder(name, key, timedelta(days=-1), until)
        is_address = host.replace(".", "").isdecimal()
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
        names = x509.SubjectAlternativeName([alternative])
        certificate = built.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        files = self.folder / "server.pem", self.folder / "server.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        files[1].write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        return str(files[0]), str(files[1])

    def serving(self, host: str, *, expired: bool = False) -> ssl.SSLContext:
        """What a server shows a new certificate with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.issue(host, expired=expired))
        return context
