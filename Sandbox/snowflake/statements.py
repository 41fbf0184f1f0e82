"""The statement recogniser: which words start a statement, and what it then does."""
import contextlib

import duckdb

from . import copy_into, ddl, dml, information_schema, show, stage_statements, table_functions
from .errors import SnowflakeError, syntax_error, transaction_aborted
from .lexer import Cursor, split_statements, tokens_of
from .queries import Result, status
from .rewrite import Environment, rewrite
from .types import of_duckdb, text

SUCCEEDED = "Statement executed successfully."
TRANSACTION_WORDS = ("BEGIN", "START", "COMMIT", "ROLLBACK")


class Statements:
    """Runs queries for one world (catalog, engine, transactions, stages, settings)."""

    def __init__(self, world):
        self.world = world

    def __call__(self, query):
        session = query.session
        parts = split_statements(tokens_of(query.sql))
        if not parts:
            raise SnowflakeError("000900", "42601", "SQL compilation error:\nEmpty SQL statement.")
        if len(parts) > 1:
            return self._many(query, parts)
        with contextlib.ExitStack() as stack:
            if query.within or session.transaction or parts[0][0].value in TRANSACTION_WORDS:
                stack.enter_context(session.lock)
            result = self._one(query, parts[0])
        session.last_query_id = query.id
        return result

    def _many(self, query, parts):
        wanted = (query.body.get("parameters") or {}).get("MULTI_STATEMENT_COUNT", query.session.parameter("MULTI_STATEMENT_COUNT"))
        if int(wanted) not in (0, len(parts)):
            raise SnowflakeError("000008", "0A000", f"Actual statement count {len(parts)} did not match the desired statement count {wanted}.")
        for part in parts:
            child = self.world.queries.child(query, query.sql[part[0].start:part[-1].end])
            self.world.queries.perform(child)
            if child.error:
                raise child.error
        return Result([("multiple statement execution", text())], [("Multiple statements executed successfully.",)], 0xA000)

    def _one(self, query, tokens):
        session = query.session
        if query.canceled:
            from .errors import canceled
            raise canceled()
        word = tokens[0].value
        aborted, session.aborted = session.aborted, None
        if aborted and self.world.settings.aborted_transaction == "error" and word != "ROLLBACK":
            raise transaction_aborted(aborted)
        handler = HANDLERS.get(word)
        if handler is None:
            raise syntax_error("unexpected", tokens[0].text)
        call = Call(self.world, query, tokens)
        if query.body.get("describeOnly") and handler is not select:
            return Result([], [], 0x1000)
        transaction = query.transaction = call.transaction
        if query.within is not None and transaction is not query.within:
            raise transaction_aborted(query.within.number)
        if transaction is None:
            return handler(call)
        if word in ("COMMIT", "ROLLBACK"):
            return handler(call)                  # they end it, under its own claim
        if transaction.failed:
            raise SnowflakeError("000664", "57014", f"Transaction {transaction.number} was aborted by an earlier error; "
                                 "COMMIT or ROLLBACK is needed.")
        if not self.world.transactions.enter(transaction):
            session.transaction = None
            raise transaction_aborted(transaction.number)
        try:
            return handler(call)
        except (SnowflakeError, duckdb.Error):
            if call.transaction is transaction and session.parameter("TRANSACTION_ABORT_ON_ERROR"):
                transaction.failed = True
            raise
        finally:
            self.world.transactions.leave(transaction)
            if transaction.failed and transaction.state == "running":
                if query.within is transaction:       # an asynchronous statement's own hold would be waited for
                    self.world.transactions.leave(transaction)
                    query.within = None
                self.world.end(transaction, "rolled_back")


class Call:
    """One statement on its way: everything a handler needs."""

    def __init__(self, world, query, tokens):
        self.world, self.query, self.session = world, query, query.session
        self.tokens, self.cursor = tokens, Cursor(tokens, query.sql)
        self.catalog, self.engine, self.settings = world.catalog, world.engine, world.settings
        self.bindings = query.body.get("bindings")
        self.cursor.bound = lambda: self.bindings["1"]["value"]

    @property
    def transaction(self):
        """The one that it was submitted in, while that is open; else the session's."""
        within = self.query.within
        return within if within is not None and within.state == "running" else self.session.transaction

    @contextlib.contextmanager
    def writing(self):
        """The transaction of a DML statement: the session's, or one of its own."""
        session, implicit = self.session, False
        transaction = already = self.transaction
        if transaction is None:
            implicit = bool(session.parameter("AUTOCOMMIT"))
            transaction = self.world.transactions.begin(session, implicit=implicit)
            if not implicit:
                session.transaction = transaction
                self.world.transactions.enter(transaction)
        self.query.transaction = transaction
        try:
            yield transaction
        except BaseException:
            if implicit:
                self.engine.rollback(transaction)
            raise
        finally:
            if transaction is not already and not implicit:
                self.world.transactions.leave(transaction)
        if implicit:
            self.engine.commit(transaction)

    def environment(self, work, **extra):
        def on_table(full, table):
            self.session.require("SELECT", "table", full[2])
        return Environment(self.session, self.catalog, work, self.bindings, on_table=on_table,
                           views=lambda database, name: information_schema.source(self, work, database, name),
                           functions=lambda cursor: table_functions.source(self, work, cursor), **extra)

    def commit_before_ddl(self):
        transaction, self.session.transaction = self.session.transaction, None
        if transaction is not None:
            self.engine.commit(transaction)


# --- queries

def select(call):
    if call.query.body.get("describeOnly"):
        return _select(call, call.tokens, limit=0)
    found = show.result_scan(call)
    return found or _select(call, call.tokens)


def _select(call, tokens, limit=None):
    abort = show.system_function(call)
    if abort is not None:
        return abort
    with call.engine.statement(call.transaction, call.query) as work:
        sql = rewrite(tokens, call.environment(work))
        if limit is not None:
            sql = f"SELECT * FROM ({sql}) LIMIT {limit}"
        cursor = work.execute(sql)
        columns = [(_heading(d[0], i, tokens), of_duckdb(d[1])) for i, d in enumerate(cursor.description)]
        rows = call.world.results.hold(cursor, call.settings)
    return Result(columns, rows, 0x1000)


def _heading(name, index, tokens):
    from .lexer import logical
    return {"count_star()": "COUNT(*)"}.get(name, logical(name) if "\x01" in name else name.upper() if "(" in name else name)


# --- transactions

def begin(call):
    cursor, session = call.cursor, call.session
    if cursor.next().value == "START":
        cursor.expect("TRANSACTION")
    else:
        cursor.take("TRANSACTION") or cursor.take("WORK")
    name = cursor.identifier() if cursor.take("NAME") else None
    cursor.end()
    if session.transaction is None:
        session.transaction = call.world.transactions.begin(session, name)
    return status(SUCCEEDED, 0x5000)


def commit(call):
    call.cursor.next()
    call.cursor.take("WORK")
    call.cursor.end()
    transaction, call.session.transaction = call.session.transaction or call.query.bound, None
    if transaction is not None and not transaction.failed:
        if not call.world.transactions.claim(transaction, "committing", lambda: None):
            raise transaction_aborted(transaction.number)
        call.engine.commit(transaction)
    return status(SUCCEEDED, 0x5000)


def rollback(call):
    call.cursor.next()
    call.cursor.take("WORK")
    call.cursor.end()
    transaction, call.session.transaction = call.session.transaction, None
    if transaction is not None and not transaction.failed:
        call.world.end(transaction, "rolled_back")
    return status(SUCCEEDED, 0x5000)


def copy(call):
    return copy_into.copy(call)


HANDLERS = {
    "SELECT": select, "WITH": select, "VALUES": select, "(": select,
    "BEGIN": begin, "START": begin, "COMMIT": commit, "ROLLBACK": rollback,
    "INSERT": dml.insert, "UPDATE": dml.update, "DELETE": dml.delete, "MERGE": dml.merge, "TRUNCATE": dml.truncate,
    "COPY": copy,
    "CREATE": ddl.create, "DROP": ddl.drop, "ALTER": ddl.alter, "USE": ddl.use, "COMMENT": ddl.comment, "GRANT": ddl.ignored,
    "SHOW": show.show, "DESCRIBE": show.describe, "DESC": show.describe, "CALL": show.call_system,
    "PUT": stage_statements.put, "GET": stage_statements.get, "LIST": stage_statements.listing, "LS": stage_statements.listing,
    "REMOVE": stage_statements.remove, "RM": stage_statements.remove,
}
