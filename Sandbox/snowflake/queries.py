"""Queries as they run: one record for each requestId, so that a repeat gets the first answer."""
import contextlib
import threading
import time
import uuid

import duckdb

from .engine import translated
from .errors import SnowflakeError, canceled
from .types import text


class Result:
    """Rows of a finished statement. `extra` replaces the rowset for PUT."""

    def __init__(self, columns=(), rows=(), type_id=0x1000, extra=None, message=None):
        self.columns, self.rows, self.type_id, self.extra, self.message = list(columns), rows, type_id, extra, message


def status(message, type_id=0x6000):
    """A statement's answer of one sentence."""
    return Result([("status", text())], [(message,)], type_id)


class Query:
    def __init__(self, request_id, session, sql, body):
        self.id, self.request_id, self.session, self.sql, self.body = str(uuid.uuid4()), request_id, session, sql, body
        self.status, self.started, self.ended = "RUNNING", time.time(), None
        self.canceled, self.connection, self.transaction = False, None, None
        self.done = threading.Event()
        self.result, self.error, self.data = None, None, None      # data: the answer, made once
        self.tag = session.parameter("QUERY_TAG")
        self.children = []
        self.bound = None         # the transaction of a statement whose request arrives late
        self.within = None        # the transaction in which an asynchronous, or long, statement was submitted
        self.place = None         # its turn among the session's statements
        self.detached = bool(body.get("asyncExec"))

    def cancel(self, after=0.0):
        """`after`: seconds until it takes effect."""
        if after > 0:
            timer = threading.Timer(after, self.cancel)
            timer.daemon = True
            return timer.start()
        self.canceled = True
        connection = self.connection
        if connection is not None:
            with contextlib.suppress(duckdb.Error):
                connection.interrupt()


class Queries:
    def __init__(self, execute, transactions, keep=20000):
        self.execute, self.transactions, self.keep = execute, transactions, keep
        self.lock, self.by_request, self.by_id = threading.Lock(), {}, {}

    def submit(self, request_id, session, sql, body, rule=None):
        """The query of a request: a new one that starts to run, or the one that this requestId started before. `rule` is the
        fault that delays the request ("late") or the statement."""
        with self.lock:
            known = self.by_request.get(request_id) if request_id else None
            if known is not None:
                return known, False
            query = Query(request_id, session, sql, body)
            if request_id:
                self.by_request[request_id] = query
            self.by_id[query.id] = query
            self._forget()
            late = rule is not None and rule.action == "late"
            if late and session.transaction is not None:
                query.bound = session.transaction
                query.bound.pending += 1
            elif not late:
                ends = sql.lstrip()[:8].upper().startswith(("BEGIN", "START", "COMMIT", "ROLLBACK"))
                if session.transaction is not None or ends:
                    query.place = session.turns.take()
                if (rule is not None or query.detached) and not ends and session.transaction is not None \
                        and self.transactions.enter(session.transaction):
                    query.within = session.transaction      # runs from now on, for whoever ends the transaction
        threading.Thread(target=self._run, args=(query, rule), daemon=True).start()
        return query, True

    def _forget(self):
        if len(self.by_id) > self.keep:
            for query in [q for q in list(self.by_id.values())[:self.keep // 4] if q.done.is_set()]:
                self.by_id.pop(query.id, None)
                self.by_request.pop(query.request_id, None)

    def _run(self, query, rule):
        try:
            if query.place is not None:
                query.session.turns.wait(query.place, lambda: query.canceled)
            failure = None
            if rule is not None:
                query.status = rule.get("state", "RUNNING")
                rule.pause(None if rule.action == "late" else query)
                failure = rule.failure if rule.action == "fail_execution" else None
            self.perform(query, failure)
        finally:
            if query.place is not None:
                query.session.turns.leave(query.place)
            if query.within is not None:
                self.transactions.leave(query.within)
        if query.bound is not None:
            query.bound.pending -= 1

    def perform(self, query, failure=None):
        try:
            if failure is not None and not query.canceled:
                raise failure
            query.status = "RUNNING"
            query.result = self.execute(query)
            query.status = "SUCCESS"
        except SnowflakeError as error:
            query.error = error
        except duckdb.InterruptException:
            query.error = canceled()
        except duckdb.Error as error:
            query.error = translated(error)
        except Exception as error:                 # a defect of the stand-in: shown, never hidden
            import traceback
            traceback.print_exc()
            query.error = SnowflakeError("000603", "XX000", f"stand-in failure: {type(error).__name__}: {error}")
        if query.error is not None:
            query.status = "FAILED_WITH_ERROR"
        query.ended = time.time()
        query.done.set()

    def child(self, parent, sql):
        """A statement of a multi-statement request, with its own query id."""
        query = Query(None, parent.session, sql, parent.body)
        with self.lock:
            self.by_id[query.id] = query
        parent.children.append(query)
        return query

    def get(self, query_id):
        with self.lock:
            return self.by_id.get(query_id)

    def abort(self, request_id=None, query_id=None):
        with self.lock:
            query = self.by_request.get(request_id) if request_id else self.by_id.get(query_id)
        if query is None or query.done.is_set():
            raise SnowflakeError("000605", "57014", "Identified SQL statement is not currently executing.")
        query.cancel(query.session.settings.cancel_delay_seconds)
        self.transactions.wake()

    def every(self):
        with self.lock:
            return list(self.by_id.values())

    def running(self):
        with self.lock:
            return [q for q in self.by_id.values() if not q.done.is_set()]
