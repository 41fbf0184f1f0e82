"""Users, logins, tokens and the state of a session."""
import base64
import hashlib
import secrets
import threading
import time

import jwt
from cryptography.hazmat.primitives import serialization

from .errors import SnowflakeError, invalid_value, not_privileged

PARAMETERS = {"AUTOCOMMIT": True, "TIMEZONE": "Etc/UTC", "QUERY_TAG": "", "LOCK_TIMEOUT": None,
              "STATEMENT_TIMEOUT_IN_SECONDS": 172800, "TRANSACTION_ABORT_ON_ERROR": False,
              "CLIENT_SESSION_KEEP_ALIVE": False, "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY": 3600,
              "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD": 0, "CLIENT_PREFETCH_THREADS": 4, "MULTI_STATEMENT_COUNT": 1,
              "TIMESTAMP_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF3", "TIMESTAMP_NTZ_OUTPUT_FORMAT": "",
              "TIMESTAMP_LTZ_OUTPUT_FORMAT": "", "TIMESTAMP_TZ_OUTPUT_FORMAT": "", "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
              "TIME_OUTPUT_FORMAT": "HH24:MI:SS", "BINARY_OUTPUT_FORMAT": "HEX", "CLIENT_RESULT_CHUNK_SIZE": 160,
              "QUOTED_IDENTIFIERS_IGNORE_CASE": False, "ABORT_DETACHED_QUERY": False, "WEEK_START": 0,
              "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ", "ERROR_ON_NONDETERMINISTIC_MERGE": True,
              "ROWS_PER_RESULTSET": 0, "USE_CACHED_RESULT": True, "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": 0,
              "DATE_INPUT_FORMAT": "AUTO", "TIMESTAMP_INPUT_FORMAT": "AUTO", "TIME_INPUT_FORMAT": "AUTO",
              "GO_QUERY_RESULT_FORMAT": "ARROW", "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
              "C_API_QUERY_RESULT_FORMAT": "ARROW", "JDBC_QUERY_RESULT_FORMAT": "ARROW", "ODBC_QUERY_RESULT_FORMAT": "ARROW",
              "JSON_INDENT": 0, "STRICT_JSON_OUTPUT": False, "CLIENT_TELEMETRY_ENABLED": False}


class User:
    def __init__(self, name, password=None, public_keys=(), tokens=(), oauth_tokens=(), deny=(), default_role="SYSADMIN"):
        self.name, self.password, self.tokens, self.oauth_tokens = name.upper(), password, list(tokens), list(oauth_tokens)
        self.keys = [_load_key(k) for k in public_keys]
        self.deny = {d.upper() for d in deny}       # "CREATE TABLE", "INSERT", "UPDATE T", …
        self.default_role = default_role

    def denies(self, privilege, name=""):
        return privilege in self.deny or f"{privilege} {name}" in self.deny


def _load_key(text):
    if "-----BEGIN" not in text:
        text = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
    return serialization.load_pem_public_key(text.encode())


def fingerprint(key):
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()


class Session:
    def __init__(self, number, user, settings):
        self.number, self.user_record, self.settings = number, user, settings
        self.user, self.role, self.warehouse, self.database, self.schema = user.name, user.default_role, None, None, None
        self.parameters, self.temporary = {}, {}
        self.transaction, self.aborted = None, None
        self.lock = threading.RLock()               # statements within a transaction go one at a time
        self.last_query_id, self.application, self.account = None, "", "STANDIN"
        self.closed, self.created = False, time.time()
        self.renew()
        self.master, self.master_until = "master-" + secrets.token_urlsafe(32), time.time() + settings.master_validity_seconds

    def renew(self):
        self.token, self.until = secrets.token_urlsafe(48), time.time() + self.settings.session_validity_seconds

    def parameter(self, name):
        value = self.parameters.get(name, PARAMETERS.get(name))
        if name == "LOCK_TIMEOUT" and value is None:
            return self.settings.lock_timeout_seconds
        return value

    def set_parameter(self, name, value):
        name = name.upper()
        if name not in PARAMETERS:
            raise SnowflakeError("001030", "22023", f"SQL compilation error:\ninvalid parameter '{name}'")
        old = PARAMETERS[name]
        if isinstance(old, bool):
            value = value if isinstance(value, bool) else str(value).lower() == "true"
        elif isinstance(old, int) or name == "LOCK_TIMEOUT":
            try:
                value = int(value)
            except ValueError:
                raise invalid_value(f"invalid value [{value}] for parameter '{name}'") from None
        self.parameters[name] = value

    def parameter_list(self):
        names = sorted(set(PARAMETERS) | set(self.parameters))
        return [{"name": n, "value": self.parameter(n)} for n in names]

    def require(self, privilege, kind, name=""):
        if self.user_record.denies(privilege, name):
            raise not_privileged(privilege, kind, name)

    def context(self, word):
        return {"CURRENT_SESSION": self.number, "CURRENT_ACCOUNT": self.account, "CURRENT_VERSION": "10.0.0",
                "CURRENT_REGION": "SANDBOX", "LAST_QUERY_ID": self.last_query_id, "CURRENT_IP_ADDRESS": "127.0.0.1",
                "CURRENT_CLIENT": self.application,
                "CURRENT_TRANSACTION": self.transaction.number if self.transaction else None}[word]


class Sessions:
    def __init__(self, settings, users):
        self.settings, self.users, self.lock = settings, {u.name: u for u in users}, threading.Lock()
        self.by_token, self.by_master, self.last = {}, {}, 1000
        self.gone = set()                           # tokens of closed sessions
        self.expired_jwt_seen = set()

    # --- login

    def login(self, data, query):
        user = self._authenticate(data)
        with self.lock:
            self.last += 1
            session = Session(self.last, user, self.settings)
            self.by_token[session.token] = self.by_master[session.master] = session
        session.application = data.get("CLIENT_APP_ID") or ""
        session.account = (data.get("ACCOUNT_NAME") or "STANDIN").upper()
        for name, value in (data.get("SESSION_PARAMETERS") or {}).items():
            if name.upper() in PARAMETERS:
                session.set_parameter(name, value)
        return session

    def _authenticate(self, data):
        method = (data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
        if method == "SNOWFLAKE_JWT":
            return self._by_jwt(data)
        user = self.users.get((data.get("LOGIN_NAME") or "").upper())
        if method in ("SNOWFLAKE", "USERNAME_PASSWORD_MFA"):
            if user is None or user.password is None or user.password != data.get("PASSWORD"):
                raise login_failure("390100", "Incorrect username or password was specified.")
            return user
        token = data.get("TOKEN")
        if method == "PROGRAMMATIC_ACCESS_TOKEN":
            if user is None or token not in user.tokens:
                raise login_failure("394400", "Programmatic access token is invalid.")
            return user
        if method == "OAUTH":
            for candidate in [user] if user else self.users.values():
                if token in candidate.oauth_tokens:
                    return candidate
            raise login_failure("390303", "Invalid OAuth access token.")
        raise login_failure("390201", f"The authenticator {method} is not supported.")

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

    # --- tokens

    def of(self, headers):
        """The session of a request's token."""
        token = bearer(headers)
        if token is None:
            raise transport_failure("390103", "Session token not found in the request data.")
        with self.lock:
            session, gone = self.by_token.get(token), token in self.gone
        if session is None and gone or session is not None and session.closed:
            raise transport_failure("390111", "Session no longer exists.  New login required to access the service.")
        if session is None:
            raise transport_failure("390104", "Session token is invalid.")
        if token != session.token or session.until <= time.time():
            raise transport_failure("390112", "Your session has expired. Please login again.")
        return session

    def renew(self, headers, body):
        with self.lock:
            session = self.by_master.get(bearer(headers))
            if session is None or session.closed:
                raise transport_failure("390115", "Master token is invalid.")
            if session.master_until <= time.time():
                raise transport_failure("390114", "Authentication token has expired.  The user must authenticate again.")
            if self.by_token.get(body.get("oldSessionToken")) is not session:
                raise transport_failure("390104", "Session token is invalid.")
            session.renew()
            self.by_token[session.token] = session
            session.master_until = time.time() + self.settings.master_validity_seconds
            return session

    def close(self, session):
        with self.lock:
            session.closed = True
            self.gone.update(t for t, s in self.by_token.items() if s is session)
            for table in (self.by_token, self.by_master):
                for key in [k for k, s in table.items() if s is session]:
                    del table[key]

    def every(self):
        with self.lock:
            return sorted(set(self.by_token.values()), key=lambda s: s.number)


def bearer(headers):
    value = headers.get("authorization", "")
    if value.startswith('Snowflake Token="') and value != 'Snowflake Token="None"':
        return value[len('Snowflake Token="'):-1]
    return None


def login_failure(code, message):
    return SnowflakeError(code, "08001", message, authnMethod="")


def transport_failure(code, message):
    return SnowflakeError(code, "08001", message)
