"""Reads a signed token with PyJWT, by a public key in DER: JSON on stdin and stdout."""
import base64
import json
import sys

import jwt
from cryptography.hazmat.primitives import serialization

if __name__ == "__main__":
    asked = json.load(sys.stdin)
    key = serialization.load_der_public_key(base64.b64decode(asked["public"]))
    claims = jwt.decode(asked["token"], key, algorithms=["RS256"], audience=asked["audience"], options={"verify_iat": False, "verify_exp": False})
    header = jwt.get_unverified_header(asked["token"])
    order = ("iat", "exp", "iss", "aud", "scope")
    print(json.dumps({"header": {n: header[n] for n in ("typ", "alg", "kid")}, "claims": {n: claims[n] for n in order}}))
