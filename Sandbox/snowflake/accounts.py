"""Credentials of people with buckets of their own: keys and tokens that live long, and how temporary ones are got."""
import base64
import json
import os
import secrets
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BUCKET = "sfc-sandbox-stages"                         # the internal stages' own, for nobody with credentials of these


class Accounts:
    """`s3`: access key → (secret, session token or None, until or None); `azure`: account → [key, base64]; `tokens`: Google's bearer
    tokens → until or None; `services`: client_email → public key (PEM); `refresh`: refresh tokens; `web_identity`: accepted JWTs."""

    def __init__(self, settings):
        self.settings = settings
        self.s3, self.azure, self.tokens, self.services = {}, {}, {}, {}
        self.refresh, self.web_identity, self.requests = set(), set(), []
        self.imds_tokens, self.ecs_token, self.role = {}, "ecs-" + secrets.token_hex(8), "sandbox-role"

    def add(self, given):
        """{"s3": {key: secret}, "azure": {account: key}, "gcs_tokens": [token], "gcs_services": {email: PEM}, "gcs_refresh_tokens": [],
        "web_identity_tokens": []}: more of them; an empty value takes one away."""
        for name in given:
            if name not in ("s3", "azure", "gcs_tokens", "gcs_services", "gcs_refresh_tokens", "web_identity_tokens"):
                raise KeyError(f"unknown: {name}")
        for key, secret in given.get("s3", {}).items():
            self.s3.pop(key, None)
            if secret:
                self.s3[key] = (secret, None, None)
        for account, key in given.get("azure", {}).items():
            keys = [key] if isinstance(key, str) else list(key or [])
            for one in keys:
                base64.b64decode(one, validate=True)
            self.azure[account] = keys
        self.services.update(given.get("gcs_services", {}))
        self.tokens.update(dict.fromkeys(given.get("gcs_tokens", []), None))
        self.refresh.update(given.get("gcs_refresh_tokens", []))
        self.web_identity.update(given.get("web_identity_tokens", []))

    def service_account(self, path, token_uri):
        """The key file at `path`, made when it is not there; its token_uri is this stand-in's in any case."""
        if os.path.exists(path):
            with open(path) as file:
                given = json.load(file)
            key = serialization.load_pem_private_key(given["private_key"].encode(), None)
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            given = {"type": "service_account", "project_id": "sandbox", "private_key_id": secrets.token_hex(20), "client_id": "1",
                     "client_email": "loader@sandbox.iam.gserviceaccount.com", "auth_uri": token_uri,
                     "private_key": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()}
        with open(path, "w") as file:
            json.dump({**given, "token_uri": token_uri}, file)
        self.services[given["client_email"]] = key.public_key().public_bytes(serialization.Encoding.PEM,
                                                                             serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def names(self):
        return {"s3": sorted(self.s3), "azure": sorted(self.azure), "gcs_tokens": len(self.tokens), "gcs_services": sorted(self.services),
                "ecs_token": self.ecs_token, "role": self.role}

    def expire(self):
        """Every temporary credential handed out so far."""
        past = time.time() - 1
        self.s3 = {k: (s, t, until and past) for k, (s, t, until) in self.s3.items()}
        self.tokens = {t: until and past for t, until in self.tokens.items()}

    def temporary_s3(self):
        """(access key, secret, session token, until)"""
        until = time.time() + self.settings.temporary_seconds
        key, secret, token = "ASIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30), secrets.token_urlsafe(60)
        self.s3[key] = (secret, token, until)
        return key, secret, token, until

    def temporary_token(self):
        """(Google bearer token, seconds)"""
        token = "ya29.c." + secrets.token_urlsafe(60)
        self.tokens[token] = time.time() + self.settings.temporary_seconds
        return token, int(self.settings.temporary_seconds)

    def has_token(self, token):
        until = self.tokens.get(token, 0)
        return until is None or until > time.time()

    def azure_keys(self, account):
        return [base64.b64decode(k) for k in self.azure.get(account, [])]
