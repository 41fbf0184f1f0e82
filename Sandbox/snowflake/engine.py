"""DuckDB beneath: connections, row visibility, and what COMMIT and ROLLBACK do to rows."""
import contextlib
import os
import re
import threading

import duckdb

from .errors import SnowflakeError, canceled
from .lexer import column
from .macros import MACROS

LOADS = """
CREATE TABLE IF NOT EXISTS sf_loads (table_number BIGINT, file VARCHAR, hash VARCHAR, status VARCHAR, row_parsed BIGINT,
  row_count BIGINT, size BIGINT, loaded TIMESTAMP, first_error VARCHAR, error_count BIGINT, __x BIGINT, __d BIGINT);
CREATE TABLE IF NOT EXISTS sf_open (number BIGINT);
CREATE TABLE IF NOT EXISTS sf_probe (nothing INTEGER);
"""


class Engine:
    def __init__(self, path, transactions, memory="4GB", threads=None):
        config = {"memory_limit": memory, "preserve_insertion_order": "true"}
        if threads:
            config["threads"] = threads
        if path:
            config["temp_directory"] = os.path.join(path, "duckdb.tmp")
        self.base = duckdb.connect(os.path.join(path, "tables.duckdb") if path else ":memory:", config=config)
        self.base.execute("SET TimeZone = 'UTC'")
        # it takes what fails out of a TRY, and time where a table has a thousand columns
        self.base.execute("SET disabled_optimizers = 'common_subexpressions'")
        self.base.execute("PRAGMA force_compression = 'uncompressed'")     # twice as fast, at twice the disk space
        self.base.execute(MACROS)
        self.base.execute(LOADS)
        self.transactions = transactions
        transactions.abort = self.abort
        self.commits = threading.RLock()      # held while a snapshot is taken and while a transaction ends
        self.idle = []
        self.versions, self.counts = {}, {}   # of tables: how often something of it changed; row counts by version
        self.shape = SharedLock()             # DML shared, ALTER and DROP alone
        self.drop_open_rows()

    # --- connections

    @contextlib.contextmanager
    def connection(self):
        try:
            connection = self.idle.pop()
        except IndexError:
            connection = self.base.cursor()
            connection.execute("SET TimeZone = 'UTC'")
        try:
            yield connection
        except BaseException:
            # An interrupt may have hit its ROLLBACK as well: never used again, lest the next statement inherit that.
            with contextlib.suppress(duckdb.Error):
                connection.close()
            raise
        self.idle.append(connection)

    @contextlib.contextmanager
    def statement(self, transaction, query=None):
        """One statement's atomic work on rows: a DuckDB transaction over a snapshot of what is committed now."""
        with self.shape.shared(), self.connection() as connection:
            with self.commits:
                connection.begin()
                connection.execute("SELECT * FROM sf_probe").fetchall()
                others = self.transactions.others(transaction)
            if query is not None:
                query.connection = connection
            work = Work(connection, others, transaction, self)
            try:
                yield work
                connection.commit()
            except BaseException as error:
                if work.recorded_here:
                    transaction.recorded = False
                with contextlib.suppress(duckdb.Error):
                    connection.rollback()
                if isinstance(error, duckdb.InterruptException):
                    raise canceled() from None
                raise
            finally:
                if query is not None:
                    query.connection = None
                for name in work.lent:
                    with contextlib.suppress(duckdb.Error):
                        connection.unregister(name)

    def run(self, sql):
        while True:
            try:
                with self.connection() as connection:
                    return connection.execute(sql).fetchall()
            except duckdb.InterruptException:
                pass    # meant for the statement that used this connection before: a cancel that came too late

    # --- the end of transactions

    def commit(self, transaction):
        self.transactions.committing(transaction)
        with self.commits:
            if transaction.recorded:
                self.run(f"DELETE FROM sf_open WHERE number = {transaction.number}")
            self.transactions.finish(transaction, "committed")
        self.touched(transaction.tables)
        with self.shape.shared():
            for table, deleted in transaction.tables.items():
                if deleted:
                    self._quietly(f"DELETE FROM {table} WHERE __d = {transaction.number}")
        self.transactions.release(transaction)

    def rollback(self, transaction, state="rolled_back"):
        self.transactions.finish(transaction, state)
        with self.shape.shared():
            for table, deleted in transaction.tables.items():
                self._quietly(f"DELETE FROM {table} WHERE __x = {transaction.number}")
                if deleted:
                    self._quietly(f"UPDATE {table} SET __d = NULL WHERE __d = {transaction.number}")
        self.touched(transaction.tables)
        if transaction.recorded:
            self.run(f"DELETE FROM sf_open WHERE number = {transaction.number}")
        self.transactions.release(transaction)

    def touched(self, tables):
        for table in tables:
            self.versions[table] = self.versions.get(table, 0) + 1

    def abort(self, transaction):
        """Because it blocked somebody while idle."""
        session = transaction.session
        if session.transaction is transaction:
            session.transaction, session.aborted = None, transaction.number
        self.rollback(transaction, "aborted")

    def _quietly(self, sql):
        """The table may have been dropped meanwhile."""
        with contextlib.suppress(duckdb.CatalogException):
            self.run(sql)

    def drop_open_rows(self):
        """At start: what a stand-in that was killed had not committed is undone."""
        numbers = [str(n) for (n,) in self.run("SELECT number FROM sf_open")]
        for (name,) in self.run("SELECT table_name FROM information_schema.columns WHERE column_name = '__x'"):
            if numbers:
                self.run(f"DELETE FROM {name} WHERE __x IN ({','.join(numbers)})")
                self.run(f"UPDATE {name} SET __d = NULL WHERE __d IN ({','.join(numbers)})")
            self.run(f"DELETE FROM {name} WHERE __d IS NOT NULL")
        self.run("DELETE FROM sf_open")

    # --- tables

    def create_table(self, table):
        columns = ", ".join(f"{column(c.name)} {c.type.duckdb}{'' if c.nullable else ' NOT NULL'}"
                            f"{f' DEFAULT ({c.default})' if c.default else ''}" for c in table.columns)
        self.run(f"CREATE TABLE {table.physical} ({columns}, __x BIGINT, __d BIGINT)")

    def drop_table(self, table):
        with self.shape.alone():
            self.run(f"DROP TABLE IF EXISTS {table.physical}")
            self.run(f"DELETE FROM sf_loads WHERE table_number = {table.number}")

    def alter(self, sql):
        with self.shape.alone():
            self.run(sql)


class Work:
    """What a statement needs to read and write rows within its snapshot."""

    def __init__(self, connection, others, transaction, engine):
        self.connection, self.transaction, self.engine = connection, transaction, engine
        self.others = ",".join(map(str, others))
        self.recorded_here, self.lent = False, []

    def lend(self, table):
        """An Arrow table as a table reference, for this statement."""
        name = f"sf_lent{len(self.lent)}"
        self.connection.register(name, table)
        self.lent.append(name)
        return f"(SELECT * FROM {name})"

    def execute(self, sql):
        return self.connection.execute(sql)

    def value(self, sql):
        return self.connection.execute(sql).fetchone()[0]

    def count(self, table):
        """Visible rows; counted again only when something changed, so that five thousand tables are listed at once."""
        engine, name = self.engine, table.physical
        with engine.transactions.condition:
            settled = not any(name in t.tables for t in engine.transactions.open.values())
        version = engine.versions.get(name, 0)
        known = engine.counts.get(name)
        if settled and known is not None and known[0] == version:
            return known[1]
        count = self.value(f"SELECT count(*) FROM {name} WHERE {self.visible}")
        if settled:
            engine.counts[name] = (version, count)
        return count

    @property
    def visible(self):
        if not self.others:
            return "__d IS NULL"
        return f"__x NOT IN ({self.others}) AND (__d IS NULL OR __d IN ({self.others}))"

    def source(self, table, rowid=False):
        """The table's visible rows as a subquery."""
        columns = ", ".join(column(c.name) for c in table.columns)
        return f"(SELECT {columns}{', rowid AS __rid' if rowid else ''} FROM {table.physical} WHERE {self.visible})"

    def wrote(self, physical, deleted=False):
        """Must be called before the statement's first write to a table."""
        transaction = self.transaction
        self.engine.touched([physical])
        transaction.tables[physical] = transaction.tables.get(physical, False) or deleted
        if not transaction.recorded and not transaction.implicit:
            self.execute(f"INSERT INTO sf_open VALUES ({transaction.number})")
            transaction.recorded = self.recorded_here = True


class SharedLock:
    """Many readers or one writer."""

    def __init__(self):
        self.condition, self.readers, self.writer = threading.Condition(), 0, None

    @contextlib.contextmanager
    def shared(self):
        me = threading.get_ident()
        with self.condition:
            while self.writer not in (None, me):
                self.condition.wait()
            self.readers += 1
        try:
            yield
        finally:
            with self.condition:
                self.readers -= 1
                self.condition.notify_all()

    @contextlib.contextmanager
    def alone(self):
        with self.condition:
            while self.readers or self.writer:
                self.condition.wait()
            self.writer = threading.get_ident()
        try:
            yield
        finally:
            with self.condition:
                self.writer = None
                self.condition.notify_all()


def translated(error):
    """A DuckDB failure as a Snowflake one."""
    message = str(error)
    first = message.splitlines()[0] if message else "error"
    for marker in ("Invalid Input Error: ", "Conversion Error: ", "Out of Range Error: "):
        if marker in first:
            first = first.partition(marker)[2]
    ours = re.search(r"Could not convert string ['\"](\d{6}:.*)['\"] to INT32", message, re.S)    # sf_fail
    code, colon, rest = (ours.group(1) if ours else first).partition(":")
    if colon and code.isdigit() and len(code) == 6:
        return SnowflakeError(code, "22000", rest)
    if "Malformed JSON" in first:
        return SnowflakeError("100069", "22P02", "Error parsing JSON: " + first.partition("Malformed JSON")[2].strip())
    if isinstance(error, duckdb.ParserException):
        return SnowflakeError("001003", "42000", "SQL compilation error:\n" + message)
    if isinstance(error, duckdb.BinderException):
        return SnowflakeError("000904", "42000", "SQL compilation error: error\n" + message)
    if isinstance(error, duckdb.CatalogException):
        return SnowflakeError("002141", "42601", "SQL compilation error:\n" + message)
    if isinstance(error, duckdb.ConstraintException):
        return SnowflakeError("100072", "22000", "NULL result in a non-nullable column" if "NOT NULL" in message else message)
    if isinstance(error, (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)):
        return SnowflakeError("100038", "22018", first)
    return SnowflakeError("000603", "XX000", "SQL execution internal error: " + message)
