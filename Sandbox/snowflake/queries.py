"""Queries as they run: one record for each requestId, so that a repeat gets the first answer."""
import contextlib
import threading
import time
import uuid

import duckdb

from .engine import translated
from .errors import SnowflakeError, canceled


class Result:
    """Rows of a finished statement. `extra` replaces the rowset for PUT."""

    def __init__(self, columns=(), rows=(), type_id=0x1000, extra=None, message=None):
        self.columns, self.rows, self.type_id, self.extra, self.message = list(columns), rows, type_id, extra, message


class Query:
    def __init__(self, request_id, session, sql, body):
        self.id, self.request_id, self.session, self.sql, self.body = str(uuid.uuid4()), request_id, session, sql, body
        self.status, self.started, self.ended = "RUNNING", time.time(), None
        self.canceled, self.connection, self.transaction = False, None, None
        self.done = threading.Event()
        self.result, self.error, self.data = None, None, None      # data: the answer, made once
        self.tag = session.parameter("QUERY_TAG")
        self.children = []
        self.bound = None         # the transaction of a statement that is applied late

    def cancel(self):
        self.canceled = True
        connection = self.connection
        if connection is not None:
            with contextlib.suppress(duckdb.Error):
                connection.interrupt()


class Queries:
    def __init__(self, execute, wake, keep=20000):
        self.execute, self.wake, self.keep = execute, wake, keep
        self.lock, self.by_request, self.by_id = threading.Lock(), {}, {}

    def submit(self, request_id, session, sql, body, pause=None):
        """The query of a request: a new one that starts to run, or the one that this requestId started before."""
        with self.lock:
            known = self.by_request.get(request_id) if request_id else None
            if known is not None:
                return known, False
            query = Query(request_id, session, sql, body)
            if request_id:
                self.by_request[request_id] = query
            self.by_id[query.id] = query
            self._forget()
            if pause and session.transaction is not None:
                query.bound = session.transaction
                query.bound.pending += 1
        threading.Thread(target=self._run, args=(query, pause), daemon=True).start()
        return query, True

    def _forget(self):
        if len(self.by_id) > self.keep:
            for query in [q for q in list(self.by_id.values())[:self.keep // 4] if q.done.is_set()]:
                self.by_id.pop(query.id, None)
                self.by_request.pop(query.request_id, None)

    def _run(self, query, pause):
        if pause:
            pause()
        self.perform(query)
        if query.bound is not None:
            query.bound.pending -= 1

    def perform(self, query):
        try:
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
        query.cancel()
        self.wake()

    def running(self):
        with self.lock:
            return [q for q in self.by_id.values() if not q.done.is_set()]
