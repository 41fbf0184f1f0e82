"""Transactions and table locks.

Rows carry the transaction that made them (`__x`) and the one that deleted them (`__d`). A transaction's rows
are written at once and are visible to others when it is no longer in `open`; so COMMIT is one step, ROLLBACK
deletes what it made. UPDATE, DELETE and MERGE hold the table's lock until the transaction ends, as Snowflake's
do; INSERT and COPY hold none. A transaction whose session vanished stays open and keeps its locks until
SYSTEM$ABORT_TRANSACTION, or until it blocks somebody and has been idle for `blocking_idle_seconds`."""
import threading
import time

from .errors import canceled, deadlock, lock_timeout, transaction_aborted


class Transaction:
    def __init__(self, number, name, session, implicit=False):
        self.number, self.name, self.session, self.implicit = number, name, session, implicit
        self.started = self.last_used = time.time()
        self.tables = {}          # table number → did it delete rows there?
        self.locks = set()
        self.recorded = False     # stands in the durable list of open transactions
        self.running = 0          # statements in progress
        self.pending = 0          # statements that were received and will be applied late
        self.failed = False       # by TRANSACTION_ABORT_ON_ERROR: already undone, waits for COMMIT or ROLLBACK
        self.detached = False
        self.state = "running"    # committed | rolled_back | aborted


class Transactions:
    def __init__(self, settings):
        self.settings = settings
        self.condition = threading.Condition(threading.RLock())
        self.open = {}            # number → Transaction
        self.holders = {}         # table number → Transaction
        self.waiting = {}         # waiting Transaction → table number
        self.last_number = 0
        self.abort = None         # set by the engine: abort(transaction)

    def begin(self, session, name=None, implicit=False):
        with self.condition:
            self.last_number = max(self.last_number + 1, int(time.time() * 1000) * 1000)
            transaction = Transaction(self.last_number, name or f"tx-{self.last_number}", session, implicit)
            self.open[transaction.number] = transaction
            return transaction

    def enter(self, transaction):
        """A statement of it starts; False when the transaction was ended from outside."""
        with self.condition:
            if transaction.state != "running":
                return False
            transaction.running += 1
            return True

    def leave(self, transaction):
        with self.condition:
            transaction.running -= 1
            transaction.last_used = time.time()
            self.condition.notify_all()

    def claim(self, transaction, state, cancel):
        """Lets no further statement of it start, cancels the running ones, and waits for their end."""
        with self.condition:
            if transaction.state != "running":
                return False
            transaction.state = state
            while transaction.running:
                cancel()
                self.condition.notify_all()
                self.condition.wait(0.05)
            return True

    def others(self, transaction):
        """Numbers of open transactions whose rows are not to be seen."""
        with self.condition:
            return [n for n in self.open if transaction is None or n != transaction.number]

    def lock(self, transaction, table, name, query):
        """Waits for the table's lock, until LOCK_TIMEOUT, a cancel, or the transaction's own abort."""
        seconds = int(query.session.parameter("LOCK_TIMEOUT"))
        deadline = time.time() + seconds
        with self.condition:
            try:
                while True:
                    holder = self.holders.get(table)
                    if holder is None or holder is transaction:
                        self.holders[table] = transaction
                        transaction.locks.add(table)
                        return
                    if query.canceled:
                        raise canceled()
                    if transaction.state != "running":
                        raise transaction_aborted(transaction.number)
                    now = time.time()
                    if now >= deadline:
                        raise lock_timeout(query.id, holder.number, name, seconds)
                    self.waiting[transaction] = table
                    if self._cycle(transaction):
                        raise deadlock(name)
                    if holder.state == "running" and not holder.running and now - holder.last_used >= self.settings.blocking_idle_seconds:
                        self.abort(holder)
                        continue
                    query.status = "BLOCKED"
                    self.condition.wait(min(0.25, deadline - now))
            finally:
                query.status = "RUNNING"
                self.waiting.pop(transaction, None)

    def _cycle(self, start):
        at = start
        while at in self.waiting:
            at = self.holders.get(self.waiting[at])
            if at is start:
                return True
        return False

    def committing(self, transaction):
        """From here nobody can abort it; an error when somebody did before."""
        with self.condition:
            if transaction.state not in ("running", "committing"):
                raise transaction_aborted(transaction.number)
            transaction.state = "committing"

    def finish(self, transaction, state):
        """Ends it: from here its rows are everybody's, or about to be removed. Locks are let go separately."""
        with self.condition:
            transaction.state = state
            if state == "committed":
                self.open.pop(transaction.number, None)

    def release(self, transaction):
        with self.condition:
            self.open.pop(transaction.number, None)
            for table in transaction.locks:
                if self.holders.get(table) is transaction:
                    del self.holders[table]
            transaction.locks.clear()
            self.condition.notify_all()

    def wake(self):
        with self.condition:
            self.condition.notify_all()
