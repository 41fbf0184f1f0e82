"""One staged file's rows into a table: DuckDB reads them; where a row is bad, which one and why."""
import json
import os
import re
import uuid

import duckdb

from .csv_rows import CsvReader, write_parquet
from .errors import SnowflakeError, unsupported
from .exact_json import dumps, duplicate, parse, write_members
from .lexer import column, literal, show_name
from .rewrite import Environment, Rewriter, limited
from .stages import decompressor
from .types import text

WHOLE = re.compile(r"json_extract\(j, '\$\.\"((?:[^\"\\']|\\.|'')*)\"'\)|json_extract_string\(j, '\$\.\"((?:[^\"\\']|\\.|'')*)\"'\)")
RECOGNISED = {"NUMBER": ("100038", "Numeric value '{}' is not recognized"), "FLOAT": ("100038", "Numeric value '{}' is not recognized"),
              "BOOLEAN": ("100037", "Boolean value '{}' is not recognized"), "DATE": ("100040", "Date '{}' is not recognized"),
              "TIME": ("100108", "Time '{}' is not recognized"), "BINARY": ("100115", "The following string is not a legal hex-encoded value: '{}'")}


class Plain:
    """The decoded content in a temporary file, with the number of lines and the longest."""

    def __init__(self, call, statement, staged):
        self.path = os.path.join(call.world.temporary, uuid.uuid4().hex)
        self.lines = self.longest = self.size = 0
        self.backslash = self.not_numbers = self.blank = False
        self.duplicate = None                         # (line, name) of the first object with a name twice
        try:
            self._write(call, statement, staged)
            if statement.format.type == "JSON":
                self._look_for_duplicates(statement, call.settings.duplicates_within)
        except BaseException:
            self.remove()
            raise

    def _write(self, call, statement, staged):
        inflate, tail, first = None, 0, True
        csv = statement.format.type == "CSV"
        with open(self.path, "wb") as file:
            def out(data):
                nonlocal tail, first
                if not data:
                    return
                if first and data[:3] == b"\xef\xbb\xbf" and statement.format.type != "PARQUET":
                    data = data[3:]
                first = False
                file.write(data)
                self.size += len(data)
                if csv and b"\\" in data:
                    self.backslash = True
                if not csv and (b"NaN" in data or b"Infinity" in data):
                    self.not_numbers = True           # DuckDB's parser takes them for JSON
                lengths = list(map(len, data.split(b"\n")))
                lengths[0] += tail
                tail = lengths[-1]
                if csv and (0 in lengths[:-1] or b"\n\r" in data):
                    self.blank = True                 # or within a quoted field: the exact reader tells
                self.lines += len(lengths) - 1
                self.longest = max(self.longest, max(lengths))
            kind = "NONE" if statement.format.type == "PARQUET" else statement.format.compression
            for chunk in call.world.stages.open_plain(statement.stage, staged):
                if not chunk:
                    continue
                if inflate is None:
                    inflate = decompressor(kind, staged.name, chunk)
                for start in range(0, len(chunk), 1 << 16):       # small steps: a step may inflate a thousandfold
                    out(inflate(chunk[start:start + (1 << 16)]))
            if inflate is not None:
                out(inflate(None))
        self.lines += 1 if tail else 0

    def _look_for_duplicates(self, statement, limit):
        """Finds names that an object has twice; where they are allowed, only the last one stays."""
        anew, number = {}, 0
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate([file.read()] if statement.format.strip_outer else file, 1):
                if number > limit:
                    break
                name = duplicate(line)
                if name is not None:
                    self.duplicate = self.duplicate or (number, name)
                    # not allowed, but errors are passed over: a line that can't be read
                    anew[number] = dumps(parse(line)) if statement.format.allow_duplicate else "{"
        if anew and (statement.format.allow_duplicate or statement.on_error != "ABORT_STATEMENT"):
            self.duplicate = None
            self._replace(anew, statement.format.strip_outer)

    def _replace(self, anew, whole):
        with open(self.path, "rb") as old, open(self.path + ".new", "wb") as new:
            for number, line in enumerate([old.read()] if whole else old, 1):
                line = anew[number].encode() + b"\n" if number in anew else line
                self.longest = max(self.longest, len(line))
                new.write(line)
        os.replace(self.path + ".new", self.path)
        self.size = os.path.getsize(self.path)

    def remove(self):
        for path in (self.path, self.path + ".parquet"):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass


class Loader:
    def __init__(self, call, statement, work, staged, plain):
        self.call, self.statement, self.work, self.staged, self.plain = call, statement, work, staged, plain
        self.format, self.columns = statement.format, statement.columns
        self.limit = call.settings.max_variant_bytes

    def load(self):
        """(status, parsed, loaded, error_limit, errors, first error, line, character, column)"""
        if self.plain.size == 0:
            return ("LOADED", 0, 0, 1, 0, None, None, None, None)
        self._prepare()
        try:
            count = self._insert("TRUE") if self.statement.on_error == "ABORT_STATEMENT" else None
        except duckdb.InterruptException:
            raise
        except (duckdb.Error, SnowflakeError) as error:
            raise self._first_failure(error) from None
        if count is not None:
            return ("LOADED", count, count, 1, 0, None, None, None, None)
        return self._tolerant()

    # --- what to read and how each column is made

    def _prepare(self):
        self.values, self.paths = [], []
        getattr(self, f"_prepare_{self.format.type.lower()}")()

    def _prepare_json(self):
        problem = self._json_problem() if self.plain.not_numbers and not self.format.strip_outer else None
        if problem:
            raise self._placed("100069", f"Error parsing JSON: {problem}", None, None)
        if self.plain.duplicate:
            line, name = self.plain.duplicate
            raise self._placed("100069", f'Error parsing JSON: duplicate object attribute "{name}", line {line}', None, None)
        form = "array" if self.format.strip_outer else "newline_delimited"
        size = max(16777216, self.plain.longest + 1024) if not self.format.strip_outer else max(16777216, self.plain.size)
        tolerant = ", ignore_errors=true" if self.statement.on_error != "ABORT_STATEMENT" and not self.format.strip_outer else ""
        self.reader = (f"(SELECT json AS j, row_number() OVER () AS r FROM read_ndjson_objects({literal(self.plain.path)}, format='{form}', "
                       f"compression='uncompressed', maximum_object_size={size}{tolerant}))")
        paths, items, self.whole = [], self.statement.items, set()
        if items is not None:
            environment = self._environment({"$1": "j", "json": True})
            made = []
            for tokens in items:
                rewriter = Rewriter(tokens, environment)
                expression = rewriter.text()
                made.append((expression, rewriter.is_variant()))
        elif self.statement.match != "NONE":
            made = [(None if key is None else f"json_extract(j, '$.{_path_key(key)}')", True) for key in self._json_keys()]
        else:
            if len(self.columns) != 1 or not self.columns[0].type.semi:
                raise SnowflakeError("002019", "0A000", "SQL compilation error:\nJSON file format can produce one and only one column of "
                                     "variant, object, or array type. Load data into separate columns using the MATCH_BY_COLUMN_NAME "
                                     "copy option or copy with transformation.")
            made = [("j", True)]
        keep = [(c, m) for c, m in zip(self.columns, made) if m[0] is not None]
        self.columns = [c for c, _ in keep]
        for target, (expression, variant) in keep:
            self.values.append(self._json_value(self._shared(expression, paths), target, variant))
        if paths:
            listed = ", ".join(f"'$.{p}'" for p in paths)
            self.reader = f"(SELECT j, r, json_extract(j, [{listed}]) AS x FROM {self.reader})"
            self.paths = [json.loads(p.replace("''", "'")) for p in paths]

    def _shared(self, expression, paths):
        """All top-level members are extracted in one parse."""
        def replace(match):
            whole = match.group(1) is not None
            path = '"' + (match.group(1) if whole else match.group(2)) + '"'
            if path not in paths:
                paths.append(path)
            at = f"x[{paths.index(path) + 1}]"
            if whole:
                self.whole.add(paths.index(path))
                return at
            return (f"CASE WHEN {at} IS NULL OR {at} = 'null' THEN NULL WHEN starts_with({at}, '\"') THEN json_extract_string({at}, '$') "
                    f"ELSE CAST({at} AS VARCHAR) END")
        return WHOLE.sub(replace, expression)

    def _json_value(self, expression, target, variant):
        kind = target.type
        if kind.semi:
            return f"sf_variant({expression}, {self.limit})" if variant else f"sf_variant(to_json({expression}), {self.limit})"
        if variant:
            from .rewrite import cast_text
            if kind.name == "TEXT" and self.statement.truncates:
                return f"left({cast_text(f'({expression})', text(), variant=True)}, {kind.length})"
            if kind.name == "TEXT":
                return limited(cast_text(f"({expression})", text(), variant=True), kind)
            return cast_text(f"({expression})", kind, variant=True)
        return self._typed(expression, target)

    def _json_keys(self):
        present = [k for (k,) in self.work.execute(f"SELECT DISTINCT unnest(json_keys(j)) FROM {self.reader}").fetchall()]
        if self.statement.match == "CASE_SENSITIVE":
            return [c.name if c.name in present else None for c in self.columns]
        folded = {k.upper(): k for k in present}
        return [folded.get(c.name.upper()) for c in self.columns]

    def _prepare_csv(self):
        reader = CsvReader(self.format, self.plain.path)
        items, width = self.statement.items, reader.width
        names = None
        if self.statement.match != "NONE":
            if not self.format.parse_header:
                raise unsupported("MATCH_BY_COLUMN_NAME of CSV without PARSE_HEADER")
            names = reader.header
        elif self.format.parse_header:
            raise unsupported("PARSE_HEADER without MATCH_BY_COLUMN_NAME")
        if items is None and names is None:
            if width != len(self.columns) and self.format.count_mismatch:
                raise SnowflakeError("100080", "22000", f"Number of columns in file ({width}) does not match that of the corresponding "
                                     f"table ({len(self.columns)}), use file format option error_on_column_count_mismatch=false to "
                                     f"ignore this error\n  File '{self.staged.name}', line 1, character 1\n  Row 1 starts at line 0, "
                                     f"column \"{self.statement.full[2]}\"[{min(width, len(self.columns))}]")
        slow = self.statement.on_error != "ABORT_STATEMENT" or self.plain.backslash and self.format.escape_unenclosed \
            or self.plain.blank and not self.format.skip_blank \
            or not reader.simple or items is None and not self.format.count_mismatch
        self.reader = self._csv_source(reader, width, slow)
        made = []
        if items is not None:
            positions = {f"${i + 1}": f"c{i + 1}" for i in range(width)}
            for tokens in items:
                for token in tokens:
                    if token.kind == "position" and token.text not in positions:
                        positions[token.text] = "CAST(NULL AS VARCHAR)"
            environment = self._environment(positions)
            for tokens in items:
                rewriter = Rewriter(tokens, environment)
                made.append((rewriter.text(), rewriter._operand_is_variant() if rewriter.pieces else False))
        elif names is not None:
            fold = (lambda s: s) if self.statement.match == "CASE_SENSITIVE" else str.upper
            index = {fold(n): i + 1 for i, n in enumerate(names)}
            keep = [c for c in self.columns if fold(c.name) in index]
            made = [(f"c{index[fold(c.name)]}", False) for c in keep]
            self.columns = keep
        else:
            made = [(f"c{i + 1}" if i < width else "CAST(NULL AS VARCHAR)", False) for i in range(len(self.columns))]
        for target, (expression, variant) in zip(self.columns, made):
            if target.type.semi:
                text = expression if variant or expression.upper().startswith("PARSE_JSON") else f"parse_json({expression})"
                self.values.append(f"sf_variant({text}, {self.limit})")
            else:
                self.values.append(self._typed(expression, target))

    def _csv_source(self, reader, width, slow):
        if slow:
            path = write_parquet(reader, self.plain.path + ".parquet", width)
            return f"(SELECT * FROM read_parquet({literal(path)}))"
        f = self.format
        names = ", ".join(f"'c{i + 1}': 'VARCHAR'" for i in range(width))
        nulls = list(f.null_if) + ([""] if f.empty_is_null else [])
        null_option = f", nullstr=[{', '.join(literal(n) for n in nulls)}]" if nulls else ", nullstr='\x02none\x02'"
        return (f"(SELECT *, row_number() OVER () AS r FROM read_csv({literal(self.plain.path)}, header=false, auto_detect=false, "
                f"columns={{{names}}}, delim={literal(f.field)}, quote={literal(f.quote or '')}, escape={literal(f.quote or '')}, "
                f"skip={f.skip_header + (1 if f.parse_header else 0)}, allow_quoted_nulls=false, parallel=false, compression='none', "
                f"max_line_size={max(2097152, self.plain.size if f.quote else self.plain.longest + 16)}, strict_mode=true{null_option}))")

    def _prepare_parquet(self):
        if self.statement.match == "NONE":
            raise unsupported("Parquet without MATCH_BY_COLUMN_NAME")
        self.reader = f"(SELECT *, row_number() OVER () AS r FROM read_parquet({literal(self.plain.path)}))"
        described = self.work.execute(f"SELECT * FROM read_parquet({literal(self.plain.path)}) LIMIT 0").description
        fold = (lambda s: s) if self.statement.match == "CASE_SENSITIVE" else str.upper
        index = {fold(d[0]): d[0] for d in described}
        self.columns = [c for c in self.columns if fold(c.name) in index]
        from .lexer import quote
        self.values = [f"CAST({quote(index[fold(c.name)])} AS {c.type.duckdb})" if not c.type.semi
                       else f"to_json({quote(index[fold(c.name)])})" for c in self.columns]

    def _environment(self, positions):
        words = {"METADATA$FILENAME": literal(self.staged.name), "METADATA$FILE_ROW_NUMBER": "r",
                 "METADATA$START_SCAN_TIME": "now()", "METADATA$FILE_CONTENT_KEY": literal(self.staged.md5),
                 "METADATA$FILE_LAST_MODIFIED": f"make_timestamp({int(self.staged.modified * 1000000)})"}
        return Environment(self.call.session, self.call.catalog, self.work, self.call.bindings, positions=positions, words=words)

    def _typed(self, expression, target):
        kind = target.type
        if kind.name == "TEXT" and self.statement.truncates:
            return f"left(CAST({expression} AS VARCHAR), {kind.length})"
        if kind.name == "TEXT":
            return f"sf_text(CAST({expression} AS VARCHAR), {kind.length})" if kind.length < 16777216 else f"CAST({expression} AS VARCHAR)"
        if kind.name == "BINARY":
            convert = {"HEX": "unhex", "BASE64": "from_base64", "UTF8": "encode", "UTF-8": "encode"}[self.format.binary_format]
            return f"sf_bytes({convert}({expression}), {kind.length})"
        if kind.name == "TIMESTAMP_NTZ":
            if self.format.timestamp_format:
                return f"strptime(CAST({expression} AS VARCHAR), {literal(self.format.timestamp_format)})"
            return f"sf_timestamp(CAST({expression} AS VARCHAR))"
        return f"CAST({expression} AS {kind.duckdb})"

    # --- loading

    def _insert(self, condition):
        table, work = self.statement.table, self.work
        names, number = ", ".join(column(c.name) for c in self.columns), work.transaction.number
        insert = f"INSERT INTO {table.physical} ({names}, __x, __d) SELECT {', '.join(self.values)}, {number}, "
        if condition == "TRUE" and self.format.type == "CSV" and ".parquet" in self.reader:
            problem = work.execute(f"SELECT sf_error FROM {self.reader} WHERE sf_error IS NOT NULL ORDER BY r LIMIT 1").fetchone()
            if problem is not None:
                raise SnowflakeError("100080", "22000", problem[0])
        if not self.paths:
            return work.execute(f"{insert} NULL FROM {self.reader} WHERE {condition}").fetchone()[0]
        # a member whose text does not stand in its line was written anew by DuckDB: that row is made again, exactly
        anew = " OR ".join(f"NOT coalesce({'' if i in self.whole else f'starts_with(x[{i + 1}], chr(34)) OR '}contains(j, x[{i + 1}]), TRUE)"
                           for i in range(len(self.paths)))
        count = work.execute(f"{insert} CASE WHEN {anew} THEN -r END FROM {self.reader} WHERE {condition}").fetchone()[0]
        marked = f"FROM {table.physical} WHERE __x = {number} AND __d < 0"
        if work.value(f"SELECT count(*) {marked}"):
            odd = work.execute(f"SELECT r, CAST(j AS VARCHAR) FROM {self.reader} WHERE r IN (SELECT -__d {marked})")
            path = self.plain.path + ".parquet"
            write_members(odd, self.paths, path)
            work.execute(f"DELETE {marked}")
            work.execute(f"{insert} NULL FROM (SELECT r, CAST(j AS JSON) AS j, CAST(x AS JSON[]) AS x FROM read_parquet({literal(path)}))")
        return count

    def _bad(self):
        """For each column, a test that is true where its value can't be made."""
        tests = []
        for target, value in zip(self.columns, self.values):
            null = "0" if target.nullable else "NULL"
            tests.append(f"TRY(CASE WHEN ({value}) IS NULL THEN {null} ELSE 1 END) IS NULL")
        if self.format.type == "JSON":
            tests.append("j IS NULL")
        elif self.format.type == "CSV" and ".parquet" in self.reader:
            tests.append("sf_error IS NOT NULL")
        return tests

    def _tolerant(self):
        tests = self._bad()
        bad = " OR ".join(f"({t})" for t in tests) or "FALSE"
        total, errors = self.work.execute(f"SELECT count(*), count(*) FILTER ({bad}) FROM {self.reader}").fetchone()
        if not errors:
            return ("LOADED", total, self._insert("TRUE"), 1, 0, None, None, None, None)
        code, message, row, name = self._describe(tests, bad)
        limit = total if self.statement.on_error == "CONTINUE" else 1
        if self.statement.on_error == "SKIP_FILE":
            return ("LOAD_FAILED", total, 0, limit, errors, message, row, 1, name)
        loaded = self._insert(f"NOT ({bad})")
        return ("PARTIALLY_LOADED" if loaded else "LOAD_FAILED", total, loaded, limit, errors, message, row, 1, name)

    def _describe(self, tests, bad):
        """The first bad row: (code, message, row, column name)."""
        listed = ", ".join(f"({t})" for t in tests)
        row, flags = self.work.execute(f"SELECT r, [{listed}] FROM {self.reader} WHERE {bad} ORDER BY r LIMIT 1").fetchone()
        at = flags.index(True)
        if at >= len(self.columns):
            if self.format.type == "JSON":
                return "100069", f"Error parsing JSON: {self._json_problem() or 'malformed'}", row, None
            message = self.work.execute(f"SELECT sf_error FROM {self.reader} WHERE r = {row}").fetchone()[0]
            return "100076" if message.startswith("End of record") else "100080", message, row, None
        target = self.columns[at]
        code, message = self._reason(target, self.values[at], row)
        return code, message, row, f'"{self.statement.full[2]}"["{target.name}":{self.statement.table.columns.index(target) + 1}]'

    def _reason(self, target, value, row):
        try:
            self.work.connection.cursor().execute(f"SELECT {value} FROM {self.reader} WHERE r = {row}").fetchone()
        except duckdb.Error as error:
            from .engine import translated
            failure = translated(error)
            if failure.code in ("100038", "000603", "000904"):
                code, pattern = RECOGNISED.get(target.type.name, ("100035", "Timestamp '{}' is not recognized"))
                found = re.search(r"'([^']*)'|\"([^\"]*)\"", failure.message)
                return code, pattern.format((found.group(1) or found.group(2) or "") if found else "")
            return failure.code, failure.message
        return "100072", "NULL result in a non-nullable column"

    def _json_problem(self):
        """The first line that isn't JSON, for the message."""
        with open(self.plain.path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        json.loads(line, parse_constant=_not_json)
                    except ValueError as error:
                        return f"{getattr(error, 'msg', error)}, line {number}, pos {getattr(error, 'pos', 0)}"
        return None

    def _first_failure(self, error):
        """ABORT_STATEMENT: the failure with its place, found by a second look in a connection of its own."""
        fresh = self.call.engine.base.cursor()
        work, self.work = self.work, _Reader(fresh)
        try:
            if self.format.type == "JSON":
                problem = self._json_problem()
                if problem:
                    return self._placed("100069", f"Error parsing JSON: {problem}", None, None)
            elif self.format.type == "CSV":
                reader = CsvReader(self.format, self.plain.path)
                self.reader = self._csv_source(reader, reader.width, slow=True)
            tests = self._bad()
            bad = " OR ".join(f"({t})" for t in tests)
            if fresh.execute(f"SELECT count(*) FROM {self.reader} WHERE {bad}").fetchone()[0]:
                return self._placed(*self._describe(tests, bad))
        except duckdb.Error:
            pass
        finally:
            self.work = work
            fresh.close()
        if isinstance(error, SnowflakeError):
            return error
        from .engine import translated
        return translated(error)

    def _placed(self, code, message, row, name):
        place = f"\n  File '{self.staged.name}', line {row}, character 1\n  Row {row}, column {name}" if row else f"\n  File '{self.staged.name}'"
        return SnowflakeError(code, "22000", message + place + "\n  If you would like to continue loading when an error is encountered, "
                              "use other values such as 'SKIP_FILE' or 'CONTINUE' for the ON_ERROR option. For more information on "
                              "loading options, please run 'info loading_data' in a SQL client.")


def _not_json(name):
    raise ValueError(f"{name} is not JSON")


class _Reader:
    def __init__(self, connection):
        self.connection = connection

    def execute(self, sql):
        return self.connection.execute(sql)


def _path_key(key):
    from .rewrite import json_key
    return json_key(key)
