"""DuckDB beneath: connections, row visibility, and what COMMIT and ROLLBACK do to rows."""
import contextlib
import os
import re
import threading

import duckdb

from .errors import SnowflakeError, canceled
from .lexer import column, quote

MACROS = """
CREATE OR REPLACE MACRO sf_fail(s) AS CAST(s AS INTEGER);
CREATE OR REPLACE MACRO sf_check_json(s) AS CASE WHEN s IS NULL OR trim(s) = '' THEN NULL WHEN json_valid(s) THEN s ELSE CAST(sf_fail('100069:Error parsing JSON: ' || left(s, 200)) AS VARCHAR) END;
CREATE OR REPLACE MACRO parse_json(s) AS CAST(sf_check_json(CAST(s AS VARCHAR)) AS JSON);
CREATE OR REPLACE MACRO try_parse_json(s) AS CAST(CASE WHEN json_valid(s) THEN s END AS JSON);
CREATE OR REPLACE MACRO sf_wall(s) AS CAST(regexp_replace(s, '\\s*(Z|[+-]\\d\\d:?\\d\\d)$', '') AS TIMESTAMP);
CREATE OR REPLACE MACRO sf_epoch(n) AS make_timestamp(CASE WHEN abs(n) < 31536000000 THEN n * 1000000 WHEN abs(n) < 31536000000000 THEN n * 1000 WHEN abs(n) < 31536000000000000 THEN n ELSE n // 1000 END);
CREATE OR REPLACE MACRO sf_timestamp(s) AS CASE WHEN regexp_full_match(s, '-?\\d+') THEN sf_epoch(CAST(s AS BIGINT)) ELSE sf_wall(s) END;
CREATE OR REPLACE MACRO to_timestamp_ntz(s) AS sf_timestamp(CAST(s AS VARCHAR)), (s, n) AS make_timestamp(CAST(CAST(s AS HUGEINT) * CAST(pow(10, 6) AS BIGINT) // CAST(pow(10, n) AS BIGINT) AS BIGINT));
CREATE OR REPLACE MACRO sf_text(s, n) AS CASE WHEN length(s) > n THEN CAST(sf_fail('100078:String ''' || left(s, 60) || ''' is too long and would be truncated') AS VARCHAR) ELSE s END;
CREATE OR REPLACE MACRO sf_bytes(s, n) AS CASE WHEN octet_length(s) > n THEN CAST(CAST(sf_fail('100078:Binary value of ' || octet_length(s) || ' bytes is too long and would be truncated') AS VARCHAR) AS BLOB) ELSE s END;
CREATE OR REPLACE MACRO sf_variant(s, n) AS CASE WHEN strlen(s) > n THEN CAST(CAST(sf_fail('100082:Max LOB size (' || n || ') exceeded, actual size of parsed column is ' || strlen(s)) AS VARCHAR) AS JSON) ELSE s END;
CREATE OR REPLACE MACRO iff(a, b, c) AS CASE WHEN a THEN b ELSE c END;
CREATE OR REPLACE MACRO nvl(a, b) AS coalesce(a, b);
CREATE OR REPLACE MACRO nvl2(a, b, c) AS CASE WHEN a IS NOT NULL THEN b ELSE c END;
CREATE OR REPLACE MACRO zeroifnull(a) AS coalesce(a, 0);
CREATE OR REPLACE MACRO to_varchar(a) AS CAST(a AS VARCHAR);
CREATE OR REPLACE MACRO to_char(a) AS CAST(a AS VARCHAR);
CREATE OR REPLACE MACRO to_variant(a) AS to_json(a);
CREATE OR REPLACE MACRO to_json_text(a) AS CAST(a AS VARCHAR);
CREATE OR REPLACE MACRO to_number(a) AS CAST(a AS DECIMAL(38,0));
CREATE OR REPLACE MACRO to_double(a) AS CAST(a AS DOUBLE);
CREATE OR REPLACE MACRO to_boolean(a) AS CAST(a AS BOOLEAN);
CREATE OR REPLACE MACRO to_date(a) AS CAST(a AS DATE);
CREATE OR REPLACE MACRO to_binary(a) AS unhex(a), (a, f) AS CASE upper(f) WHEN 'BASE64' THEN from_base64(a) WHEN 'HEX' THEN unhex(a) ELSE encode(a) END;
CREATE OR REPLACE MACRO sysdate() AS CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP);
CREATE OR REPLACE MACRO is_null_value(a) AS CAST(a AS VARCHAR) = 'null';
CREATE OR REPLACE MACRO sha2(a) AS sha256(a), (a, n) AS sha256(a);
CREATE OR REPLACE MACRO startswith(a, b) AS starts_with(a, b);
"""

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
        self.base.execute(MACROS)
        self.base.execute(LOADS)
        self.transactions = transactions
        transactions.abort = self.abort
        self.commits = threading.RLock()      # held while a snapshot is taken and while a transaction ends
        self.idle = []
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
            work = Work(connection, others, transaction)
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
        if transaction.recorded:
            self.run(f"DELETE FROM sf_open WHERE number = {transaction.number}")
        self.transactions.release(transaction)

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

    def __init__(self, connection, others, transaction):
        self.connection, self.transaction = connection, transaction
        self.others = ",".join(map(str, others))
        self.recorded_here = False

    def execute(self, sql):
        return self.connection.execute(sql)

    def value(self, sql):
        return self.connection.execute(sql).fetchone()[0]

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
    ours = re.match(r"Could not convert string ['\"](\d{6}:.*)['\"] to INT32", first, re.S)    # sf_fail
    code, colon, rest = (ours.group(1) if ours else first).partition(":")
    if colon and code.isdigit() and len(code) == 6:
        return SnowflakeError(code, "22000", rest)
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
