"""Pictures with Content Credentials, signed by certificates made here as the C2PA wants them."""

from __future__ import annotations

import datetime
import io
import json
from functools import cache
from typing import Any, NamedTuple

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hostile import encode

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ACTION = {"action": "c2pa.created", "when": "2026-11-01T12:00:00Z", "digitalSourceType": f"{IPTC}digitalCapture"}
MANIFEST = {
    "claim_generator_info": [{"name": "Test Camera", "version": "1.0"}],
    "assertions": [{"label": "c2pa.actions", "data": {"actions": [ACTION]}}],
}


class Signer(NamedTuple):
    """PEM of a certificate with that of its authority, of the private key, and of the authority alone."""

    chain: bytes
    key: bytes
    authority: bytes


@cache
def signer(organisation: str = "Example Camera Works", seconds: int = 86400) -> Signer:
    """Of a certificate that is valid for so many seconds."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Example Authority", root_key, None, root_key, 86400, authority=True)
    certificate = _certificate(organisation, key, root, root_key, seconds, authority=False)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return Signer(certificate.public_bytes(pem) + root.public_bytes(pem), private, root.public_bytes(pem))


def _certificate(
    organisation: str, key: Any, issuer: Any, issuer_key: Any, seconds: int, authority: bool
) -> x509.Certificate:
    """By the profile of C2PA 2.1, 14.5.1."""
    parts = [(NameOID.COMMON_NAME, "Test"), (NameOID.ORGANIZATION_NAME, organisation)]
    name = x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    usage |= {"decipher_only": False, "digital_signature": not authority, "key_cert_sign": authority}
    made = (
        x509.CertificateBuilder(name if issuer is None else issuer.subject, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(seconds=seconds))
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.KeyUsage(crl_sign=authority, **usage), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    if not authority:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return made.sign(issuer_key, hashes.SHA256())


def sign(
    format_: str = "JPEG",
    by: Signer | None = None,
    manifest: dict[str, Any] | None = None,
    address: str | None = None,
    picture: bytes | None = None,
) -> bytes:
    """A picture with a signed manifest.

    Args:
        format_: of Pillow.
        by: whom; by default `signer()`.
        manifest: what the SDK's builder takes.
        address: where the file says its manifest lies, in place of having it in it.
        picture: which; by default one made here.
    """
    chain, key, _ = by or signer()
    settings = {"verify": {"verify_trust": False, "verify_after_sign": False}}
    builder = c2pa.Builder(json.dumps(manifest or MANIFEST), context=c2pa.Context.from_dict(settings))
    if address:
        builder.set_remote_url(address)
        builder.set_no_embed()
    out = io.BytesIO()
    signs = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, key, None))
    builder.sign(signs, f"image/{format_.lower()}", io.BytesIO(picture or encode(format_)), out)
    return out.getvalue()
