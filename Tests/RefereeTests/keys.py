"""Keys and signatures by others' code, for HTTPTests: one request in JSON on stdin, the answer in JSON on stdout."""
import base64
import json
import sys

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8, PKCS1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL


def b64(data):
    return base64.b64encode(data).decode()


def make(request):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    secret = serialization.BestAvailableEncryption(request["passphrase"].encode())
    forms = {
        "pkcs8.pem": (PEM, PKCS8, plain), "pkcs8.der": (DER, PKCS8, plain), "pkcs1.pem": (PEM, PKCS1, plain),
        "pkcs1.der": (DER, PKCS1, plain), "encrypted-pkcs8.pem": (PEM, PKCS8, secret),
        "encrypted-pkcs8.der": (DER, PKCS8, secret), "encrypted-pkcs1.pem": (PEM, PKCS1, secret),
    }
    answer = {name: b64(key.private_bytes(*form)) for name, form in forms.items()}
    answer["public"] = b64(key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    answer["elliptic"] = b64(ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, plain))
    return answer


def verify(request):
    public = serialization.load_der_public_key(base64.b64decode(request["public"]))
    public.verify(base64.b64decode(request["signature"]), base64.b64decode(request["message"]), padding.PKCS1v15(),
                  hashes.SHA256())
    return {"claims": jwt.decode(request["token"], public, algorithms=["RS256"])}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    json.dump({"make": make, "verify": verify}[request["do"]](request), sys.stdout)
