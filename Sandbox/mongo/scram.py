"""SCRAM-SHA-256 (RFC 7677) for one user, as MongoDB's saslStart and saslContinue carry it."""
import base64
import hashlib
import hmac
import os
import secrets

from bson import Binary

from .failures import CommandError

ITERATIONS = 15_000


class Credentials:
    def __init__(self, user: str, password: str):
        self.user, self.salt = user, os.urandom(28)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, ITERATIONS)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        self.stored_key = hashlib.sha256(client_key).digest()
        self.server_key = hmac.digest(salted, b"Server Key", "sha256")


class Conversation:
    def __init__(self, credentials: Credentials | None, payload: bytes):
        self.credentials = credentials
        header, bare = payload[:3], payload[3:]
        fields = dict(part.split(b"=", 1) for part in bare.split(b","))
        self.user = fields[b"n"].replace(b"=2C", b",").replace(b"=3D", b"=").decode()
        self.nonce = fields[b"r"] + base64.b64encode(secrets.token_bytes(24))
        salt = credentials.salt if credentials else os.urandom(28)
        self.first = b"r=%s,s=%s,i=%d" % (self.nonce, base64.b64encode(salt), ITERATIONS)
        self.transcript = bare + b"," + self.first
        self.binding = base64.b64encode(header)
        self.proven = False

    def finish(self, payload: bytes) -> bytes:
        fields = dict(part.split(b"=", 1) for part in payload.split(b","))
        known = self.credentials
        if fields[b"r"] != self.nonce or fields[b"c"] != self.binding or known is None or known.user != self.user:
            raise failed()
        message = self.transcript + b"," + payload[:payload.rindex(b",p=")]
        signature = hmac.digest(known.stored_key, message, "sha256")
        key = bytes(a ^ b for a, b in zip(signature, base64.b64decode(fields[b"p"]), strict=True))
        if not hmac.compare_digest(hashlib.sha256(key).digest(), known.stored_key):
            raise failed()
        self.proven = True
        return b"v=" + base64.b64encode(hmac.digest(known.server_key, message, "sha256"))


def failed() -> CommandError:
    return CommandError(18, "Authentication failed.")


def start(server, connection, body: dict) -> dict:
    if body.get("mechanism") != "SCRAM-SHA-256":
        raise CommandError(334, f"Received authentication for mechanism {body.get('mechanism')} which is not enabled",
                           name="MechanismUnavailable")
    if body.get("db", body.get("$db", "admin")) not in ("admin", "$external"):
        raise failed()
    connection.conversation = Conversation(server.credentials, bytes(body["payload"]))
    return {"conversationId": 1, "done": False, "payload": Binary(connection.conversation.first, 0)}


def proceed(server, connection, body: dict) -> dict:
    talk = connection.conversation
    if talk is None:
        raise CommandError(17, "No SASL session state found", name="ProtocolError")
    payload = b""
    if not talk.proven:
        try:
            payload = talk.finish(bytes(body["payload"]))
        except (KeyError, ValueError):
            raise failed() from None
        connection.user = talk.user
    return {"conversationId": 1, "done": True, "payload": Binary(payload, 0)}
