"""A certificate authority for the TLS listeners, made once in the data folder: ca.pem is what clients trust."""
import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ["localhost", "*.localhost", "*.blob.localhost", "sfc-sandbox-stages.localhost", "sfcsandbox.blob.localhost",
         "*.snowflakecomputing.com", "storage.googleapis.com", "*.s3.amazonaws.com", "*.blob.core.windows.net",
         "*.dfs.localhost", "*.dfs.core.windows.net", "login.microsoftonline.com"]


def server_context(folder):
    if not os.path.exists(os.path.join(folder, "server.pem")):
        _make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    return context


def _make(folder):
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Snowflake sandbox CA")])
    authority = (x509.CertificateBuilder().subject_name(issuer).issuer_name(issuer).public_key(authority_key.public_key())
                 .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + 3650 * day)
                 .add_extension(x509.BasicConstraints(True, 0), True)
                 .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), False)
                 .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
                 .sign(authority_key, hashes.SHA256()))
    names = [x509.DNSName(n) for n in NAMES] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])).issuer_name(issuer)
            .public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(now - day)
            .not_valid_after(now + 800 * day).add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False)
            .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .sign(authority_key, hashes.SHA256()))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, content in (("ca.pem", authority.public_bytes(pem)), ("server.key", private), ("server.pem", leaf.public_bytes(pem))):
        with open(os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
