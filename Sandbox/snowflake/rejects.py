"""Rows that can't be loaded: where each stands and why, kept for TABLE(VALIDATE(…)) under the COPY's query id."""
import json
import os
import re

import duckdb
import pyarrow
import pyarrow.parquet

from .engine import translated
from .errors import SnowflakeError, does_not_exist, invalid_value, unsupported
from .lexer import Cursor, literal, tokens_of

RECOGNISED = {"NUMBER": ("100038", "Numeric value '{}' is not recognized"), "FLOAT": ("100038", "Numeric value '{}' is not recognized"),
              "BOOLEAN": ("100037", "Boolean value '{}' is not recognized"), "DATE": ("100040", "Date '{}' is not recognized"),
              "TIME": ("100108", "Time '{}' is not recognized"), "BINARY": ("100115", "The following string is not a legal hex-encoded value: '{}'")}
SCHEMA = pyarrow.schema([(n, pyarrow.int64() if n in ("LINE", "CHARACTER", "BYTE_OFFSET", "CODE", "ROW_NUMBER", "ROW_START_LINE") else pyarrow.string())
                         for n in ("ERROR", "FILE", "LINE", "CHARACTER", "BYTE_OFFSET", "CATEGORY", "CODE", "SQL_STATE", "COLUMN_NAME",
                                   "ROW_NUMBER", "ROW_START_LINE", "REJECTED_RECORD")])
EXPLAINED = 500                                       # rows whose reason DuckDB is asked for one by one; the others' are told by their type


class Reject:
    def __init__(self, code, error, file, column=None, row=None, start_line=None, place=(None, None, None), record=None):
        self.code, self.error, self.file, self.column, self.row, self.start_line = code, error, file, column, row, start_line
        self.line, self.character, self.offset = place
        self.record = record

    @property
    def values(self):
        category = "parsing" if self.column is None else "conversion"
        return (self.error, self.file, self.line, self.character, self.offset, category, int(self.code), "22000", self.column, self.row,
                self.start_line, self.record)

    def failure(self, staged):
        """The error of ABORT_STATEMENT."""
        place = f"\n  File '{staged.name}', line {self.line}, character {self.character}\n  Row {self.row}, column {self.column}" if self.row \
            else f"\n  File '{staged.name}'"
        return SnowflakeError(self.code, "22000", self.error + place + "\n  If you would like to continue loading when an error is encountered, "
                              "use other values such as 'SKIP_FILE' or 'CONTINUE' for the ON_ERROR option. For more information on "
                              "loading options, please run 'info loading_data' in a SQL client.")


def shown_file(statement, staged):
    return f"{statement.shown_stage}/{staged.name}"


def whole_file(statement, staged, error):
    """A file that can't be read at all."""
    return Reject(error.code, error.message.split("\n  File")[0], shown_file(statement, staged))


class Finder:
    """Looks at one file's bad rows, in a connection where a failure does no harm."""

    def __init__(self, loader, source, connection):
        self.loader, self.source, self.connection = loader, source, connection

    def find(self, limit=None):
        source, connection = self.source, self.connection
        flags = ", ".join(f"({t})" for t in source.tests())
        connection.execute(f"CREATE OR REPLACE TEMP TABLE sf_bad AS SELECT *, list_position([{flags}], TRUE) AS sf_at FROM {source.reader} "
                           f"WHERE {source.bad} ORDER BY r {f'LIMIT {limit}' if limit else ''}")
        rows = connection.execute("SELECT r, sf_at - 1 FROM sf_bad ORDER BY r").fetchall()
        places = source.places({r for r, _ in rows})
        found = [self._reject(n, row, at, places.get(row)) for n, (row, at) in enumerate(rows)]
        connection.execute("DROP TABLE sf_bad")
        return found

    def _reject(self, number, row, at, place):
        source = self.source
        start, offset, record, where = place or (row, None, None, lambda _: (row, 1, None))
        file = shown_file(self.loader.statement, self.loader.staged)
        if at >= len(source.columns):
            code, message = self._problem(source, row, at - len(source.columns), place)
            return Reject(code, message, file, None, row, start, (start, 1, offset), record)
        code, message = self._reason(number, row, at)
        return Reject(code, message, file, source.column_name(at), row, start, where(at), record)

    def _problem(self, source, row, at, place):
        _, code, message = source.problems[at]
        if message is not None:
            return code, message
        if hasattr(source, "problem"):
            return source.problem(row, place)
        message = self.connection.execute(f"SELECT sf_error FROM sf_bad WHERE r = {row}").fetchone()[0]
        return "100076" if message.startswith("End of record") else "100144" if message.startswith("Invalid UTF8") else code, message

    def _reason(self, number, row, at):
        target, source = self.source.columns[at], self.source
        if number < EXPLAINED or target.type.name == "TEXT" or target.type.semi:
            try:
                self.connection.execute(f"SELECT {source.values[at]} FROM sf_bad WHERE r = {row}").fetchone()
            except duckdb.Error as error:
                return self._named(target, translated(error), source.texts[at], row)
            return "100072", "NULL result in a non-nullable column"
        value = self._text(source.texts[at], row)
        if value is None and not target.nullable:
            return "100072", "NULL result in a non-nullable column"
        code, pattern = RECOGNISED.get(target.type.name, ("100035", "Timestamp '{}' is not recognized"))
        return code, pattern.format(value)

    def _text(self, expression, row):
        try:
            return self.connection.execute(f"SELECT CAST({expression} AS VARCHAR) FROM sf_bad WHERE r = {row}").fetchone()[0]
        except duckdb.Error:
            return None

    def _named(self, target, failure, expression, row):
        if failure.code not in ("100038", "000603", "000904"):
            return failure.code, failure.message
        code, pattern = RECOGNISED.get(target.type.name, ("100035", "Timestamp '{}' is not recognized"))
        value = self._text(expression, row)
        if value is None:
            found = re.search(r"'([^']*)'|\"([^\"]*)\"", failure.message)
            value = (found.group(1) or found.group(2) or "") if found else ""
        return code, pattern.format(value)


# --- kept, and asked for again

class Kept:
    """What a COPY said of its rejected rows."""

    def __init__(self, folder):
        self.folder, self.copies = folder, {}
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            if name.endswith(".json"):
                with open(os.path.join(folder, name)) as file:
                    self.copies[name[:-5]] = json.load(file)

    def keep(self, query, statement, rejects):
        path = os.path.join(self.folder, query.id)
        facts = {"table": statement.table.number, "user": query.session.user, "on_error": statement.on_error, "stage": statement.stage.number,
                 "transformed": statement.items is not None, "matched": statement.match != "NONE", "files": sorted({r.file for r in rejects}),
                 "prefix": statement.shown_stage,
                 "rows": len(rejects)}
        if rejects:
            columns = zip(*[r.values for r in rejects])
            pyarrow.parquet.write_table(pyarrow.table([pyarrow.array(c, f.type) for c, f in zip(columns, SCHEMA)], schema=SCHEMA), path + ".parquet")
            with open(path + ".json", "w") as file:
                json.dump(facts, file)
        self.copies[query.id] = facts
        query.session.last_copy = query.id
        if len(self.copies) > 20000:
            self.copies.pop(next(iter(self.copies)))


def validate(call, work, arguments):
    """TABLE(VALIDATE(table, JOB_ID => '…'))"""
    if set(arguments) != {0, "JOB_ID"} or len(arguments["JOB_ID"]) != 1:
        raise invalid_value("VALIDATE takes a table and JOB_ID")
    tokens = arguments[0]
    table, full = call.environment(work).lookup(Cursor(tokens_of(tokens[0].value) if tokens[0].kind == "string" else tokens).name())
    job = arguments["JOB_ID"][0].value
    if job == "_last":
        job = call.session.last_copy
    kept = call.world.rejected
    facts = kept.copies.get(job)
    if facts is None or facts["table"] != table.number or facts["user"] != call.session.user:
        raise does_not_exist("COPY job", job or "_last")
    if facts["transformed"]:
        raise unsupported("VALIDATE of a COPY statement that transforms data")
    if facts["matched"] and not call.settings.validate_matched:
        raise unsupported("VALIDATE of a COPY statement with MATCH_BY_COLUMN_NAME")
    nothing = ", ".join(f"CAST(NULL AS {'BIGINT' if f.type == pyarrow.int64() else 'VARCHAR'}) AS {f.name}" for f in SCHEMA)
    if facts["on_error"] == "ABORT_STATEMENT" or not facts["rows"]:
        return f"(SELECT {nothing} WHERE FALSE)"
    return f"(SELECT * FROM ({_present(call, facts, literal(os.path.join(kept.folder, job) + '.parquet'), nothing)}))"


def _present(call, facts, path, nothing):
    """Files that were removed from the stage since are reported as missing."""
    stage = next((s for _, s in call.catalog.stages() if s.number == facts["stage"]), None)
    there = {f.name for f in call.world.stages.files(stage)} if stage is not None else set()
    missing = [f for f in facts["files"] if f[len(facts["prefix"]) + 1:] not in there]
    listed = ", ".join(map(literal, missing)) or "''"
    parts = [f"SELECT * FROM read_parquet({path}) WHERE FILE NOT IN ({listed})"]
    for file in missing:
        part = nothing.replace("CAST(NULL AS VARCHAR) AS ERROR", literal(f"Remote file '{file.lstrip('@')}' was not found.") + " AS ERROR")
        part = part.replace("CAST(NULL AS VARCHAR) AS FILE", literal(file) + " AS FILE").replace("CAST(NULL AS BIGINT) AS CODE", "91016 AS CODE")
        parts.append(f"SELECT {part}")
    return " UNION ALL ".join(parts)
