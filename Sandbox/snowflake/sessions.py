"""Sessions: their tokens, their state, their parameters."""
import secrets
import threading
import time

from .errors import SnowflakeError, invalid_value, not_privileged
from .logins import Logins
from .turns import Turns

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


class Session:
    def __init__(self, number, user, settings):
        self.number, self.user_record, self.settings = number, user, settings
        self.user, self.role, self.warehouse, self.database, self.schema = user.name, user.default_role, None, None, None
        self.parameters, self.temporary = {}, {}
        self.transaction, self.aborted = None, None
        self.lock = threading.RLock()               # statements within a transaction go one at a time,
        self.turns = Turns()                        # in the order in which they were submitted
        self.last_query_id, self.last_copy, self.application, self.account = None, None, "", "STANDIN"
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
        self.settings, self.lock = settings, threading.Lock()
        self.logins = Logins(settings, users)
        self.by_token, self.by_master, self.last = {}, {}, 1000
        self.gone = set()                           # tokens of closed sessions

    # --- login

    def login(self, data, query):
        user, role = self.logins.authenticate(data, query)
        with self.lock:
            self.last += 1
            session = Session(self.last, user, self.settings)
            self.by_token[session.token] = self.by_master[session.master] = session
        session.role = role or session.role
        session.application = data.get("CLIENT_APP_ID") or ""
        session.account = (data.get("ACCOUNT_NAME") or "STANDIN").upper()
        for name, value in (data.get("SESSION_PARAMETERS") or {}).items():
            if name.upper() in PARAMETERS:
                session.set_parameter(name, value)
        return session

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


def transport_failure(code, message):
    return SnowflakeError(code, "08001", message)
