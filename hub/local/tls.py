"""Certificates of the embedded broker: an authority that signs one certificate and is then forgotten."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hub.local.data_folder import write_privately
from hub.local.ports import LOOPBACK

_VALID = datetime.timedelta(days=365)
_RENEWED_BEFORE = datetime.timedelta(days=30)
# Clocks of containers and their hosts differ by seconds.
_BEFORE_NOW = datetime.timedelta(minutes=5)

# Python from 3.13 on refuses an authority that does not say what it is for.
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class BrokerCertificate:
    """`ca_file`: what clients check by. `keystore`: key and certificate, as Kafka reads them."""

    ca_file: Path
    keystore: Path


def broker_certificate(folder: Path) -> BrokerCertificate:
    """The certificate of a broker on loopback; made on first use, and anew a month before it ends."""
    made = BrokerCertificate(folder / "ca.pem", folder / "broker.pem")
    if not (_lasts(made.ca_file) and made.keystore.exists()):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(made)
    return made


def _lasts(path: Path) -> bool:
    try:
        end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return False
    return end - _RENEWED_BEFORE > datetime.datetime.now(tz=datetime.UTC)


def _make(made: BrokerCertificate) -> None:
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, broker = _name("Jisr embedded authority"), _name(LOOPBACK)
    ca = (
        _unsigned(authority, authority, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names = [x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    certificate = (
        _unsigned(broker, authority, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    write_privately(made.keystore, private + _pem(certificate))
    # Last: it tells whether both are there.
    write_privately(made.ca_file, _pem(ca))


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(tz=datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE_NOW)
        .not_valid_after(now + _VALID)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
