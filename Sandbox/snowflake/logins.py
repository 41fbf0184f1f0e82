"""Users, and every way of logging in: password with or without a passcode, key pair, programmatic access token, OAuth."""
import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives import serialization

from .errors import SnowflakeError
from .http_server import Response


class User:
    """`deny`: "CREATE TABLE", "INSERT", "UPDATE T", …; `passcode`: who has one must give it with the password."""

    def __init__(self, name, password=None, public_keys=(), tokens=(), oauth_tokens=(), deny=(), default_role="SYSADMIN", passcode=None):
        self.name, self.password, self.tokens, self.oauth_tokens = name.upper(), password, list(tokens), list(oauth_tokens)
        self.keys = [_load_key(k) for k in public_keys]
        self.deny = {d.upper() for d in deny}
        self.default_role, self.passcode = default_role, passcode
        self.mfa_tokens, self.used_passcodes = set(), set()

    @staticmethod
    def of(given):
        return User(given["name"], given.get("password"), given.get("public_keys", ()), given.get("tokens", ()), given.get("oauth_tokens", ()),
                    given.get("deny", ()), passcode=given.get("passcode"))

    def denies(self, privilege, name=""):
        return privilege in self.deny or f"{privilege} {name}" in self.deny


def _load_key(text):
    if "-----BEGIN" not in text:
        text = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
    return serialization.load_pem_public_key(text.encode())


def fingerprint(key):
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()


class Logins:
    def __init__(self, settings, users):
        self.settings, self.users, self.oauth, self.lock = settings, {u.name: u for u in users}, OAuth(settings), threading.Lock()

    def authenticate(self, data, query):
        """(User, role or None) of a login's body."""
        method = (data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
        if method == "SNOWFLAKE_JWT":
            return self._by_jwt(data), None
        user = self.users.get((data.get("LOGIN_NAME") or "").upper())
        if method in ("SNOWFLAKE", "USERNAME_PASSWORD_MFA"):
            return self._by_password(user, data), None
        token = data.get("TOKEN")
        if method == "PROGRAMMATIC_ACCESS_TOKEN":
            if user is None or token not in user.tokens:
                raise login_failure("394400", "Programmatic access token is invalid.")
            return user, None
        if method == "OAUTH":
            return self._by_oauth(user, token, query)
        raise login_failure("390201", f"The authenticator {method} is not supported.")

    def _by_password(self, user, data):
        password, given, way = data.get("PASSWORD"), data.get("PASSCODE"), data.get("EXT_AUTHN_DUO_METHOD")
        wrong = login_failure("390100", "Incorrect username or password was specified.")
        if user is None or user.password is None or password is None:
            raise wrong
        if user.passcode is None:
            if password != user.password:
                raise wrong
            return user
        if given is None and way == "passcode":           # the passcode stands at the end of the password
            password, given = password[:-len(user.passcode)], password[-len(user.passcode):]
        if password != user.password:
            raise wrong
        if data.get("TOKEN") in user.mfa_tokens:
            return user
        if way != "passcode" or given is None:
            raise login_failure("394508", "Failed to authenticate: MFA with TOTP is required. To authenticate, provide both your password and a current "
                                "TOTP passcode.")
        with self.lock:
            if given != user.passcode or given in user.used_passcodes:
                raise login_failure("390127", "Failed to authenticate: incorrect passcode was specified.")
            if self.settings.passcode_once:
                user.used_passcodes.add(given)
        return user

    def mfa_token(self, user, data):
        """A token to be given instead of the next passcodes, for who asks for one."""
        if user.passcode is None or not (data.get("SESSION_PARAMETERS") or {}).get("CLIENT_REQUEST_MFA_TOKEN"):
            return None
        token = secrets.token_urlsafe(32)
        user.mfa_tokens.add(token)
        return token

    def _by_oauth(self, user, token, query):
        for candidate in [user] if user else self.users.values():
            if token in candidate.oauth_tokens:
                return candidate, None
        minted = self.oauth.tokens.get(token)
        if minted is None or user is not None and user.name != minted.user:
            raise login_failure("390303", "Invalid OAuth access token.")
        if minted.until <= time.time():
            raise login_failure("390318", "OAuth access token expired.")
        asked = (query.get("roleName") or "").upper()
        if minted.role and asked and asked != minted.role:
            raise login_failure("390317", "The role requested in the connection, or the default role if none was requested in the connection, is not "
                                "listed in the Access Token or was filtered.")
        return self.users[minted.user], minted.role

    def _by_jwt(self, data):
        def refused(why):
            return login_failure("390144", f"JWT token is invalid. [{why}]")
        token = data.get("TOKEN") or ""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
            account, name, print_ = claims["iss"].split(".", 2)
        except (jwt.PyJWTError, KeyError, ValueError, AttributeError):
            raise refused("malformed") from None
        user = self.users.get(name)
        if user is None or claims.get("sub") != f"{account}.{name}":
            raise refused("subject")
        wanted = (data.get("ACCOUNT_NAME") or "").upper().partition(".")[0]
        if account != account.upper() or name != name.upper() or wanted and account != wanted:
            raise refused("account or user does not match")
        if data.get("LOGIN_NAME") and data["LOGIN_NAME"].upper() != name:
            raise refused("login name does not match")
        key = next((k for k in user.keys if fingerprint(k) == print_), None)
        if key is None:
            raise refused("unknown public key")
        if "exp" not in claims or "iat" not in claims or claims["exp"] - claims["iat"] > 3600:
            raise refused("lifetime")
        try:
            jwt.decode(token, key, algorithms=["RS256", "ES256", "ES384", "ES512"], leeway=0,
                       options={"verify_aud": False, "verify_iat": True})
        except jwt.ExpiredSignatureError:
            raise login_failure("394304", "JWT token has expired.") from None
        except jwt.PyJWTError as error:
            raise refused(str(error)) from None
        return user


class Minted:
    def __init__(self, user, role, until):
        self.user, self.role, self.until = user, role, until


class OAuth:
    """The token endpoint of an identity provider: client credentials by Basic authorization or in the form."""

    def __init__(self, settings):
        self.settings, self.clients, self.tokens, self.requests = settings, {}, {}, []

    def add(self, client_id, secret, user, scopes=None):
        """`scopes`: those that may be asked for; None allows all."""
        self.clients[client_id] = (secret, user.upper(), scopes)

    def expire(self):
        for minted in self.tokens.values():
            minted.until = 0

    def handle(self, request):
        form = dict(urllib.parse.parse_qsl(request.body().decode("utf-8", "replace"), keep_blank_values=True))
        basic = request.headers.get("authorization", "")
        self.requests.append({"form": {k: v for k, v in form.items() if k != "client_secret"}, "basic": basic.startswith("Basic ")})
        del self.requests[:-200]
        if request.method != "POST" or not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return self._refused(400, "invalid_request", "a form is expected")
        client, secret = form.get("client_id"), form.get("client_secret")
        if basic.startswith("Basic "):
            try:
                pair = base64.b64decode(basic[6:], validate=True).decode().split(":", 1)
                client, secret = map(urllib.parse.unquote_plus, pair) if "%" in pair[0] + pair[-1] else pair
            except ValueError:
                return self._refused(401, "invalid_client", "the authorization is malformed")
        known = self.clients.get(client)
        if known is None or known[0] != secret:
            return self._refused(401, "invalid_client", "This is an invalid client.")
        if form.get("grant_type") != "client_credentials":
            return self._refused(400, "unsupported_grant_type", f"grant_type {form.get('grant_type')}")
        scope = form.get("scope", "")
        if known[2] is not None and scope not in known[2]:
            return self._refused(400, "invalid_scope", f"the scope '{scope}' is not allowed for this client")
        role = scope.partition("session:role:")[2].split(" ")[0].upper() or None
        seconds, token = self.settings.oauth_seconds, "ver:1-hint:" + secrets.token_urlsafe(48)
        self.tokens[token] = Minted(known[1], role if role != "ANY" else None, time.time() + seconds)
        return self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": int(seconds), "scope": scope})

    @staticmethod
    def _answer(status, value):
        return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json", "Cache-Control": "no-store"})

    def _refused(self, status, error, description):
        return self._answer(status, {"error": error, "error_description": description})


def login_failure(code, message):
    return SnowflakeError(code, "08001", message, authnMethod="")
