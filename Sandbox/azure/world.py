"""Everything the stand-in knows: the account, its keys and content, who may sign in, the faults and the operation log."""
import collections
import os
import shutil
import tempfile
import time

from .faults import Faults
from .paths import Store
from .segments import Segments
from .settings import Settings
from .signin import SignIn

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="    # the emulators' well-known key
TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT, SECRET = "22222222-2222-2222-2222-222222222222", "sandbox-secret"
ASSERTION, IDENTITY_HEADER = "sandbox.federated.token", "sandbox-identity-header"
SYSTEM_IDENTITY, USER_IDENTITY = "33333333-3333-3333-3333-333333333333", "44444444-4444-4444-4444-444444444444"


class Log:
    """Counts by operation and outcome, and the last requests one by one."""

    def __init__(self, kept):
        self.kept = kept
        self.clear()

    def clear(self):
        self.operations, self.statuses, self.codes = collections.Counter(), collections.Counter(), collections.Counter()
        self.received = self.sent = 0
        self.last = collections.deque(maxlen=self.kept)

    def add(self, name, request, response, code):
        self.operations[name] += 1
        self.statuses[response.status] += 1
        if code:
            self.codes[code] += 1
        self.received += request.length
        if request.method != "HEAD":
            self.sent += response.length
        self.last.append((time.time(), name, request.method, request.target, request.length, response.status, code, request.headers))


class World:
    def __init__(self, folder=None, account=ACCOUNT, keys=(), settings=None):
        self.owned = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="azure-sandbox-")
        os.makedirs(self.folder, exist_ok=True)
        self.settings = settings or Settings()
        self.account, self.raw_keys = account, []
        self.set_keys(list(keys) or [KEY])
        self.segments = Segments(os.path.join(self.folder, "segments"), self.settings.segment_bytes)
        self.store, self.faults, self.log = Store(self.segments), Faults(), Log(self.settings.kept_requests)
        self.signin = SignIn(TENANT, IDENTITY_HEADER, self.settings)
        self.lease_offset = self.stalled_until = 0.0

    def set_keys(self, keys):
        import base64
        self.keys, self.raw_keys = [base64.b64decode(key, validate=True) for key in keys], list(keys)

    def now(self):
        return time.time() + self.settings.clock_offset_seconds

    def lease_now(self):
        return time.monotonic() + self.lease_offset

    def close(self):
        self.segments.close()
        if self.owned:
            shutil.rmtree(self.folder, ignore_errors=True)
