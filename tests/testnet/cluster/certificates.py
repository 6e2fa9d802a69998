"""An authority and a certificate for the processes of a cluster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class ClusterCertificates:
    """Files in a folder; `settings` are Dask's, by which they are found."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        _certificate(folder / "ca.pem", "authority", authority, authority, is_authority=True)
        _certificate(folder / "cert.pem", "cluster", key, authority, is_authority=False)
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        one = {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
        self.settings = {
            "distributed.comm.require-encryption": True,
            "distributed.comm.tls.ca-file": str(folder / "ca.pem"),
            **{
                f"distributed.comm.tls.{who}.{what}": file
                for who in ("scheduler", "worker", "client")
                for what, file in one.items()
            },
        }

    @property
    def environment(self) -> dict[str, str]:
        """The settings as a process takes them."""
        names = {name: f"DASK_{name.upper().replace('.', '__').replace('-', '_')}" for name in self.settings}
        return {names[name]: str(value) for name, value in self.settings.items()}


def _certificate(
    file: Path, name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *, is_authority: bool
) -> None:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .sign(by, hashes.SHA256())
    )
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
