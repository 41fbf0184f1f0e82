"""What the sources of COPY share: the columns to fill, the values that fill them, and where a value can't be made."""
import re

from .errors import SnowflakeError, syntax_error
from .lexer import literal, show_name
from .rewrite import Environment

CAST_ALREADY = re.compile(r"sf_timestamp\([a-z]\d*\)")
METADATA = ("METADATA$FILENAME", "METADATA$FILE_ROW_NUMBER", "METADATA$START_SCAN_TIME", "METADATA$FILE_CONTENT_KEY",
            "METADATA$FILE_LAST_MODIFIED")


class Source:
    """`reader` is a DuckDB subquery with the row number r; `values` fill `columns`; `problems` are [(test, code, message)] of whole rows."""

    def __init__(self, loader, connection, exact=False):
        self.loader, self.connection, self.exact = loader, connection, exact
        self.call, self.statement, self.staged, self.plain = loader.call, loader.statement, loader.staged, loader.plain
        self.format, self.columns, self.limit = self.statement.format, list(self.statement.columns), self.call.settings.max_variant_bytes
        self.reader, self.values, self.texts, self.problems = None, [], [], []

    @property
    def tolerant(self):
        return self.exact or self.statement.on_error != "ABORT_STATEMENT"

    def words(self):
        staged = self.staged
        name = f"{self.statement.shown_url}{staged.name}" if self.statement.shown_url else staged.name
        return {"METADATA$FILENAME": literal(name), "METADATA$FILE_ROW_NUMBER": "r", "METADATA$START_SCAN_TIME": "now()",
                "METADATA$FILE_CONTENT_KEY": literal(staged.md5),
                "METADATA$FILE_LAST_MODIFIED": f"make_timestamp({int(staged.modified * 1000000)})"}

    def environment(self, positions, members=None):
        made = Environment(self.call.session, self.call.catalog, None, self.call.bindings, positions=positions, words=self.words())
        made.members = members
        return made

    def matched(self, present):
        """For MATCH_BY_COLUMN_NAME: the name in the file for each column, or None; a file with two that fit is an error."""
        if self.statement.match == "CASE_SENSITIVE":
            present = set(present)
            return [c.name if c.name in present else None for c in self.columns]
        folded = {}
        for name in present:
            if name.upper() in folded and folded[name.upper()] != name and any(c.name.upper() == name.upper() for c in self.columns):
                raise SnowflakeError("100396", "22000", f"Duplicate column '{name}' in the file (MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE).")
            folded[name.upper()] = name
        return [folded.get(c.name.upper()) for c in self.columns]

    def add_metadata(self):
        """INCLUDE_METADATA's columns, and NULL (not the default) where MATCH_BY_COLUMN_NAME finds nothing."""
        if self.statement.match == "NONE":
            return
        given, words = self.statement.include_metadata, self.words()
        self.columns, self.values, self.texts = list(self.columns), list(self.values), list(self.texts)
        for name, word in given.items():
            if name in [c.name for c in self.columns]:
                at = [c.name for c in self.columns].index(name)
                for part in (self.columns, self.values, self.texts):
                    del part[at]
            target = self.statement.table.column(name)
            self.columns.append(target)
            self.values.append(self.typed(words[word], target))
            self.texts.append(words[word])
        for target in self.statement.columns:
            if target.name not in [c.name for c in self.columns]:
                self.columns.append(target)
                self.values.append(f"CAST(NULL AS {target.type.duckdb})")
                self.texts.append("NULL")

    def typed(self, expression, target):
        """A value that is no VARIANT on its way into a column."""
        kind = target.type
        if kind.name == "TEXT" and self.statement.truncates:
            return f"left(CAST({expression} AS VARCHAR), {kind.length})"
        if kind.name == "TEXT":
            return f"sf_text(CAST({expression} AS VARCHAR), {kind.length})" if kind.length < 16777216 \
                else f"sf_lob(CAST({expression} AS VARCHAR))" if self.plain.longest > 16777216 else f"CAST({expression} AS VARCHAR)"
        if kind.name == "BINARY":
            # BINARY_FORMAT says how text is read; what a cast or TO_BINARY made is bytes already
            return f"sf_bytes(sf_binary({expression}, {literal(self.format.binary_format)}), {kind.length})"
        if kind.name == "TIMESTAMP_NTZ" and CAST_ALREADY.fullmatch(expression):
            return expression
        if kind.name == "TIMESTAMP_NTZ":
            if self.format.timestamp_format:
                return f"strptime(CAST({expression} AS VARCHAR), {literal(self.format.timestamp_format)})"
            return f"sf_timestamp(CAST({expression} AS VARCHAR))"
        return f"CAST({expression} AS {kind.duckdb})"

    def tests(self):
        """For each column, a test that is true where its value can't be made; then those of whole rows."""
        found = []
        for target, value in zip(self.columns, self.values):
            null = "0" if target.nullable else "NULL"
            found.append(f"TRY(CASE WHEN ({value}) IS NULL THEN {null} ELSE 1 END) IS NULL")
        return found + [test for test, _, _ in self.problems]

    @property
    def bad(self):
        return " OR ".join(f"({t})" for t in self.tests()) or "FALSE"

    def insert(self, work, insert, condition, _):
        return work.execute(f"{insert} NULL FROM {self.reader} WHERE {condition}").fetchone()[0]

    def column_name(self, at):
        """As Snowflake shows it: "T"["C":1]."""
        target = self.columns[at]
        return f'"{self.statement.full[2]}"["{target.name}":{self.statement.table.columns.index(target) + 1}]'

    def places(self, rows):
        """{row: (start line, byte offset of the record, its text, {column index: (line, character, byte offset)})}"""
        return {}


def include_metadata(table, tokens):
    """INCLUDE_CAST_ALREADY = re.compile(r"sf_timestamp\([a-z]\d*\)")
METADATA = (COLUMN = METADATA$…, …) as {column name: word}."""
    from .lexer import Cursor, split_commas
    found = {}
    for part in split_commas(tokens):
        cursor = Cursor(part)
        name = cursor.identifier()
        cursor.expect("=")
        word = cursor.identifier()
        cursor.end()
        if word not in METADATA:
            raise syntax_error("INCLUDE_METADATA", word)
        if table.column(name) is None:
            raise SnowflakeError("000904", "42000", f"SQL compilation error: error line 1\ninvalid identifier '{show_name(name)}'")
        found[name] = word
    return found

