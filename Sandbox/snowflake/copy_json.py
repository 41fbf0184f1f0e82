"""COPY's JSON files: one document a line (or an outer array), its members made columns, numbers with their own digits."""
import json
import re

from .copy_source import Source
from .errors import SnowflakeError
from .exact_json import write_members
from .lexer import literal
from .plain import not_json
from .rewrite import Rewriter, cast_text, json_key, limited
from .types import text

WHOLE = re.compile(r"json_extract\(j, '\$\.\"((?:[^\"\\']|\\.|'')*)\"'\)|json_extract_string\(j, '\$\.\"((?:[^\"\\']|\\.|'')*)\"'\)")
CAST = re.compile(r"CAST\((json_extract_string\(.*\)) AS [A-Z0-9(), ]+\)|(?:sf_timestamp|unhex)\((json_extract_string\(.*\))\)", re.S)


class JsonSource(Source):
    def prepare(self):
        whole = self.format.strip_outer
        if not self.tolerant:
            self._refuse_what_duckdb_takes(whole)
        size = max(16777216, self.plain.size if whole else self.plain.longest + 1024)
        passes = ", ignore_errors=true" if self.tolerant and not whole else ""
        self.reader = (f"(SELECT json AS j, row_number() OVER () AS r FROM read_ndjson_objects({literal(self.plain.path)}, "
                       f"format='{'array' if whole else 'newline_delimited'}', compression='uncompressed', maximum_object_size={size}{passes}))")
        self.problems.append(("j IS NULL", "100069", None))
        paths, self.whole, self.scalar = [], set(), set()
        keep = [(c, m) for c, m in zip(self.columns, self._made()) if m[0] is not None]
        self.columns = [c for c, _ in keep]
        for target, (expression, variant) in keep:
            shared = self._shared(expression, paths)
            cast = CAST.fullmatch(expression)
            self.texts.append(f"json_extract_string({expression}, '$')" if variant else cast[1] or cast[2] if cast else expression)
            self.values.append(self._value(shared, target, variant))
        self.count = len(paths)
        if paths:
            listed = ", ".join(f"'$.{p}'" for p in paths)
            self.reader = self._layers(f"(SELECT j, r, json_extract(j, [{listed}]) AS x FROM {self.reader})")
        self.paths = [json.loads(p.replace("''", "'")) for p in paths]

    def _refuse_what_duckdb_takes(self, whole):
        if self.plain.not_numbers and not whole:
            with open(self.plain.path, "rb") as file:
                for number, line in enumerate(file, 1):
                    problem = not_json(line) if b"NaN" in line or b"Infinity" in line else None
                    if problem:
                        raise SnowflakeError("100069", "22000", f"Error parsing JSON: {problem}, line {number}\n  File '{self.staged.name}'")
        if self.plain.duplicate:
            line, name = self.plain.duplicate
            raise SnowflakeError("100069", "22000", f'Error parsing JSON: duplicate object attribute "{name}", line {line}\n  File '
                                 f"'{self.staged.name}'")

    def _made(self):
        """(expression or None, is it a VARIANT?) for each column."""
        items = self.statement.items
        if items is not None:
            environment, made = self.environment({"$1": "j", "json": True}), []
            for tokens in items:
                rewriter = Rewriter(tokens, environment)
                expression = rewriter.text()
                made.append((expression, rewriter.is_variant()))
            return made
        if self.statement.match != "NONE":
            return [(None if key is None else f"json_extract(j, '$.{json_key(key)}')", True) for key in self.matched(self._keys())]
        if len(self.columns) != 1 or not self.columns[0].type.semi:
            raise SnowflakeError("002019", "0A000", "SQL compilation error:\nJSON file format can produce one and only one column of "
                                 "variant, object, or array type. Load data into separate columns using the MATCH_BY_COLUMN_NAME "
                                 "copy option or copy with transformation.")
        return [("j", True)]

    def _keys(self):
        if self.statement.match == "CASE_SENSITIVE":
            return [c.name for c in self.columns]
        return sorted(k for (k,) in self.connection.execute(
            f"SELECT DISTINCT unnest(json_keys(j)) FROM {self.reader} WHERE json_type(j) = 'OBJECT'").fetchall())

    def _shared(self, expression, paths):
        """All top-level members are extracted in one parse."""
        def replace(match):
            whole = match.group(1) is not None
            path = '"' + (match.group(1) if whole else match.group(2)) + '"'
            if path not in paths:
                paths.append(path)
            (self.whole if whole else self.scalar).add(paths.index(path))
            return f"{'x' if whole else 's'}{paths.index(path) + 1}"
        return WHOLE.sub(replace, expression)

    def _layers(self, source):
        """Each member as a column x1, x2, …, and as text s1, s2, …, made once however often it is used."""
        members = ", ".join(f"x[{i + 1}] AS x{i + 1}" for i in range(self.count))
        texts = "".join(f", CASE WHEN x{i} IS NULL OR x{i} = 'null' THEN NULL WHEN starts_with(x{i}, '\"') THEN json_extract_string(x{i}, '$') "
                        f"ELSE CAST(x{i} AS VARCHAR) END AS s{i}" for i in range(1, self.count + 1) if i - 1 in self.scalar)
        inner = f"(SELECT j, r, {members} FROM {source})"
        return f"(SELECT *{texts} FROM {inner})" if texts else inner

    def _value(self, expression, target, variant):
        kind = target.type
        if kind.semi:
            return f"sf_variant({expression}, {self.limit})" if variant else f"sf_variant(to_json({expression}), {self.limit})"
        if variant:
            if kind.name == "TEXT" and self.statement.truncates:
                return f"left({cast_text(f'({expression})', text(), variant=True)}, {kind.length})"
            if kind.name == "TEXT":
                return limited(cast_text(f"({expression})", text(), variant=True), kind)
            return cast_text(f"({expression})", kind, variant=True)
        return self.typed(expression, target)

    def insert(self, work, insert, condition, marked):
        if not self.paths:
            return super().insert(work, insert, condition, marked)
        # a member whose text does not stand in its line was written anew by DuckDB: that row is made again, exactly
        anew = " OR ".join(f"NOT coalesce({'' if i in self.whole else f'starts_with(x{i + 1}, chr(34)) OR '}contains(j, x{i + 1}), TRUE)"
                           for i in range(len(self.paths)))
        count = work.execute(f"{insert} CASE WHEN {anew} THEN -r END FROM {self.reader} WHERE {condition}").fetchone()[0]
        if work.value(f"SELECT count(*) {marked}"):
            odd = work.execute(f"SELECT r, CAST(j AS VARCHAR) FROM {self.reader} WHERE r IN (SELECT -__d {marked})")
            path = self.plain.path + ".parquet"
            write_members(odd, self.paths, path)
            work.execute(f"DELETE {marked}")
            again = self._layers(f"(SELECT r, CAST(j AS JSON) AS j, CAST(x AS JSON[]) AS x FROM read_parquet({literal(path)}))")
            work.execute(f"{insert} NULL FROM {again}")
        return count

    def places(self, rows):
        if self.format.strip_outer:
            return {}
        found, row, at = {}, 0, 0
        with open(self.plain.path, "rb") as file:
            for line, raw in enumerate(file, 1):
                if raw.strip():
                    row += 1
                    if row in rows:
                        raw_ = self.plain.spoiled.get(line, (raw, None))[0]
                        found[row] = (line, at, raw_.decode(errors="replace").rstrip("\r\n"), lambda _, line=line, at=at: (line, 1, at))
                at += len(raw)
        return found

    def problem(self, row, place):
        """Why this line is no JSON."""
        line = place[0] if place else row
        spoiled = self.plain.spoiled.get(line)
        why = spoiled[1] if spoiled else not_json(place[2]) if place else None
        return "100069", f"Error parsing JSON: {why or 'malformed'}, line {line}"
