"""Everything one stand-in consists of."""
import os
import shutil
import tempfile
import time

from .accounts import Accounts
from .catalog import Catalog
from .engine import Engine
from .faults import Faults
from .objects import Objects
from .queries import Queries
from .rejects import Kept
from .results import Results
from .sessions import Sessions
from .settings import Settings
from .stages import Stages
from .statements import Statements
from .transactions import Transactions


class World:
    def __init__(self, data=None, users=(), settings=None, memory="4GB", threads=None):
        self.settings = settings or Settings()
        self.owned = data is None
        self.data = data or tempfile.mkdtemp(prefix="snowflake-sandbox-")
        os.makedirs(self.data, exist_ok=True)
        self.temporary = os.path.join(self.data, "tmp")
        shutil.rmtree(self.temporary, ignore_errors=True)
        os.makedirs(self.temporary)
        self.transactions = Transactions(self.settings)
        self.engine = Engine(self.data, self.transactions, memory, threads)
        self.catalog = Catalog(os.path.join(self.data, "catalog.sqlite"))
        self.objects = Objects(os.path.join(self.data, "objects"))
        self.accounts = Accounts(self.settings)
        self.stages = Stages(self.data, self.objects, self.settings, self.catalog, self.accounts)
        self.sessions = Sessions(self.settings, users)
        self.results = Results(os.path.join(self.data, "chunks"))
        self.queries = Queries(Statements(self), self.transactions)
        self.rejected = Kept(os.path.join(self.data, "rejected"))
        self.faults = Faults()
        self.stalled_until = 0.0

    def wait_while_stalled(self):
        """Nothing is answered until a stall (POST /sandbox/stall) ends."""
        while (left := self.stalled_until - time.time()) > 0:
            time.sleep(min(left, 0.05))

    def pause(self, query, seconds):
        """SYSTEM$WAIT, cancellable."""
        until = time.time() + seconds
        while time.time() < until:
            if query.canceled:
                from .errors import canceled
                raise canceled()
            time.sleep(0.02)

    def end(self, transaction, state):
        """Undoes a transaction: no further statement of it starts, running ones are cancelled first."""
        def cancel():
            for query in self.queries.running():
                if transaction in (query.transaction, query.within) and query not in told:
                    told.add(query)
                    query.cancel(self.settings.cancel_delay_seconds)
        told = set()
        if self.transactions.claim(transaction, state, cancel):
            self.engine.rollback(transaction, state)

    def close_session(self, session):
        """DELETE of a session: its transaction is rolled back (or not, by setting), its temporary tables go."""
        self.sessions.close(session)
        if self.settings.close_cancels:
            for query in self.queries.running():
                if query.session is session and query.detached:
                    query.cancel(self.settings.cancel_delay_seconds)
        transaction, session.transaction = session.transaction, None
        if transaction is not None:
            if self.settings.close_rolls_back and not transaction.pending and not transaction.failed:
                self.end(transaction, "rolled_back")
            else:
                transaction.detached = True
        self._forget_temporary(session)

    def kill_session(self, session):
        """The client vanished: the session is gone, its transaction lives on detached."""
        self.sessions.close(session)
        if session.transaction is not None:
            session.transaction.detached = True
        self._forget_temporary(session)

    def _forget_temporary(self, session):
        for table in session.temporary.values():
            self.engine.drop_table(table)
        session.temporary.clear()

    def close(self):
        self.engine.base.close()
        if self.owned:
            shutil.rmtree(self.data, ignore_errors=True)
