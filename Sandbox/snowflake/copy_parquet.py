"""COPY's Parquet files: by name, as one VARIANT, or through $1:MEMBER."""
import json

import duckdb

from .copy_source import Source
from .errors import SnowflakeError
from .lexer import literal, quote
from .rewrite import Rewriter

UNITS = {"TIMESTAMP": "epoch_us", "TIMESTAMP WITH TIME ZONE": "epoch_us", "TIMESTAMP_MS": "epoch_ms", "TIMESTAMP_NS": "epoch_ns"}


class ParquetSource(Source):
    def prepare(self):
        path = literal(self.plain.path)
        self.reader = f"(SELECT *, row_number() OVER () AS r FROM read_parquet({path}))"
        try:
            described = self.connection.execute(f"SELECT * FROM read_parquet({path}) LIMIT 0").description
        except duckdb.Error as error:
            raise SnowflakeError("100135", "22000", f"Error parsing the parquet file: {str(error).splitlines()[0]}\n"
                                 f"  File '{self.staged.name}'") from None
        self.kinds = {d[0]: str(d[1]).upper() for d in described}
        self.raw = {name: self._raw(name, kind) for name, kind in self.kinds.items()}
        if self.statement.items is not None:
            made = self._items()
        elif self.statement.match != "NONE":
            spelled = self.matched(self.kinds)
            made = [(self.raw[n], _nested(self.kinds[n])) for n in spelled if n is not None]
            self.columns = [c for c, n in zip(self.columns, spelled) if n is not None]
        else:
            if len(self.columns) != 1 or not self.columns[0].type.semi:
                raise SnowflakeError("002019", "0A000", "SQL compilation error:\nPARQUET file format can produce one and only one column of "
                                     "variant, object, or array type. Load data into separate columns using the MATCH_BY_COLUMN_NAME "
                                     "copy option or copy with transformation.")
            made = [(self._document(), "json")]
        for target, (expression, nested) in zip(self.columns, made):
            self.texts.append(expression)
            self.values.append(self._value(expression, target, nested))

    def _raw(self, name, kind):
        """A member as Snowflake reads it: a timestamp is a number unless its logical type is asked for, bytes are text unless not."""
        named = quote(name)
        if kind in UNITS and not self.format.logical_types:
            return f"sf_raw({UNITS[kind]}({named}))"
        if kind == "BLOB" and self.format.binary_as_text:
            return f"decode({named})"
        return named

    def _document(self):
        """The whole row as one object, put together as text: numbers keep their digits."""
        members = [f"{literal(json.dumps(n, ensure_ascii=False) + ':')}, coalesce(CAST({self._json(self.raw[n], self.kinds[n])} AS VARCHAR), 'null')"
                   for n in self.kinds]
        return "CAST(concat('{', " + ", ',', ".join(members) + ", '}') AS JSON)"

    @staticmethod
    def _json(expression, kind):
        if kind in ("DOUBLE", "FLOAT"):
            return f"CASE WHEN isfinite({expression}) THEN to_json({expression}) ELSE to_json(CAST({expression} AS VARCHAR)) END"
        if expression.startswith("sf_raw("):
            return f"to_json({expression[7:-1]})"
        if kind == "BLOB" and not expression.startswith("decode("):
            return f"to_json(hex({expression}))"
        return f"to_json({expression})"

    def _items(self):
        document = self._document()
        members = {n: (f"json_extract({self._json(self.raw[n], k)}, '$')", True) if _nested(k) else (self.raw[n], False)
                   for n, k in self.kinds.items()}
        environment, made = self.environment({"$1": document, "json": True}, members), []
        for tokens in self.statement.items:
            rewriter = Rewriter(tokens, environment)
            expression = rewriter.text()
            nested = "json" if rewriter.path or expression == document or expression.upper().startswith("PARSE_JSON") else False
            made.append((expression, nested))
        return made

    def _value(self, expression, target, nested):
        kind = target.type
        if kind.semi:
            made = expression if nested == "json" else self._json(expression, self._kind(expression))
            return f"sf_variant({made}, {self.limit})"
        if nested:
            return self.typed(f"json_extract_string({self._json(expression, '') if nested != 'json' else expression}, '$')", target)
        if self._kind(expression) == "BLOB" and not expression.startswith("decode("):
            return f"sf_bytes({expression}, {kind.length})"
        if kind.name == "BOOLEAN" or kind.name == "DATE" or kind.name == "TIME":
            return f"CAST({expression} AS {kind.duckdb})"
        if kind.name == "TIMESTAMP_NTZ" and self._kind(expression) in UNITS and not expression.startswith("sf_raw("):
            return f"CAST({expression} AS TIMESTAMP)"
        if kind.name in ("TIMESTAMP_LTZ", "TIMESTAMP_TZ") and expression.startswith("sf_raw("):
            return f"CAST(sf_timestamp({expression}) AS TIMESTAMPTZ)"
        return self.typed(expression, target)

    def _kind(self, expression):
        return next((k for n, k in self.kinds.items() if self.raw[n] == expression), "")

    def places(self, rows):
        listed = ",".join(map(str, rows))
        return {r: (r, None, t, lambda _, r=r: (r, 1, None)) for r, t in self.connection.execute(
            f"SELECT r, CAST({self._document()} AS VARCHAR) FROM {self.reader} WHERE r IN ({listed})").fetchall()}


def _nested(kind):
    return kind.startswith(("STRUCT", "MAP")) or kind.endswith("]") or kind == "JSON"

