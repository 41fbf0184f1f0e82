"""One staged file's rows into a table: a source says what DuckDB reads and how each column is made of it."""
import contextlib

import duckdb

from .copy_csv import CsvSource, Uneven
from .copy_json import JsonSource
from .copy_parquet import ParquetSource
from .engine import translated
from .errors import SnowflakeError
from .lexer import column
from .rejects import Finder, whole_file

SOURCES = {"CSV": CsvSource, "JSON": JsonSource, "PARQUET": ParquetSource}


class Outcome:
    """A file's row of COPY's answer, and its rejected rows."""

    def __init__(self, status, parsed, loaded, limit=1, errors=0, rejects=()):
        self.status, self.parsed, self.loaded, self.limit, self.errors, self.rejects = status, parsed, loaded, limit, errors, list(rejects)

    @property
    def row(self):
        first = self.rejects[0] if self.rejects else None
        return (self.status, self.parsed, self.loaded, self.limit, self.errors,
                *((first.error, first.line, first.character, first.column) if first else (None,) * 4))


class Loader:
    def __init__(self, call, statement, work, staged, plain):
        self.call, self.statement, self.work, self.staged, self.plain = call, statement, work, staged, plain

    def load(self):
        if self.plain.size == 0:
            return Outcome("LOADED", 0, 0)
        if self.statement.on_error != "ABORT_STATEMENT":
            try:
                return self._tolerant()
            except duckdb.InterruptException:
                raise
            except (SnowflakeError, duckdb.Error) as error:
                return self.unreadable(error if isinstance(error, SnowflakeError) else translated(error))
        source = self._source(self.work.connection, self.statement.exact)
        try:
            count = self._insert(source, "TRUE")
        except duckdb.InterruptException:
            raise
        except (duckdb.Error, SnowflakeError) as error:
            if self.statement.format.type == "CSV" and not source.slow and "CSV" in str(error):
                raise Uneven() from None
            raise self._first_failure(error) from None
        return Outcome("LOADED", count, count)

    def unreadable(self, error):
        """The outcome of a file that is no file of its format, where errors are passed over."""
        return Outcome("LOAD_FAILED", 0, 0, 1, 1, [whole_file(self.statement, self.staged, error)])

    def _source(self, connection, exact=False):
        source = SOURCES[self.statement.format.type](self, connection, exact)
        source.prepare()
        source.add_metadata()
        return source

    def _insert(self, source, condition):
        """The rows for which the condition holds; how many."""
        table, work = self.statement.table, self.work
        names, number = ", ".join(column(c.name) for c in source.columns), work.transaction.number
        insert = f"INSERT INTO {table.physical} ({names}, __x, __d) SELECT {', '.join(source.values)}, {number}, "
        return source.insert(work, insert, condition, f"FROM {table.physical} WHERE __x = {number} AND __d < 0")

    @contextlib.contextmanager
    def _aside(self):
        """A connection of its own: a query that fails there does not end the statement's DuckDB transaction."""
        fresh = self.call.engine.base.cursor()
        try:
            fresh.execute("SET TimeZone = 'UTC'")
            yield fresh
        finally:
            fresh.close()

    def _tolerant(self):
        with self._aside() as fresh:
            try:
                source = self._source(fresh)
                total, errors = self._count(fresh, source)
                if self.statement.format.type == "CSV":
                    source.check(total)
            except duckdb.InterruptException:
                raise
            except (duckdb.Error, SnowflakeError, Uneven):
                source = self._source(fresh, exact=True)
                total, errors = self._count(fresh, source)
            rejects = Finder(self, source, fresh).find() if errors else []
        limit = self._limit(total)
        if not errors:
            return Outcome("LOADED", total, self._insert(source, "TRUE"), limit)
        if self._skips(total, errors):
            return Outcome("LOAD_FAILED", total, 0, limit, errors, rejects)
        loaded = self._insert(source, f"NOT ({source.bad})")
        return Outcome("PARTIALLY_LOADED" if loaded else "LOAD_FAILED", total, loaded, limit, errors, rejects)

    @staticmethod
    def _count(connection, source):
        return connection.execute(f"SELECT count(*), count(*) FILTER ({source.bad}) FROM {source.reader}").fetchone()

    def _limit(self, total):
        kind, bound = self.statement.on_error, self.statement.skip_bound
        if kind == "CONTINUE":
            return max(total, 1)
        return 1 if bound is None else int(bound) if kind == "SKIP_FILE" else max(1, int(total * bound / 100))

    def _skips(self, total, errors):
        kind, bound = self.statement.on_error, self.statement.skip_bound
        if kind == "CONTINUE":
            return False
        if bound is None:
            return True
        return errors >= bound if kind == "SKIP_FILE" else errors * 100 > bound * total

    def _first_failure(self, error):
        """ABORT_STATEMENT: the failure with its place, found by a second look."""
        with self._aside() as fresh:
            with contextlib.suppress(duckdb.Error):
                source = self._source(fresh, exact=True)
                found = Finder(self, source, fresh).find(1)
                if found:
                    return found[0].failure(self.staged)
        return error if isinstance(error, SnowflakeError) else translated(error)
