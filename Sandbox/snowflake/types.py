"""Snowflake's types: how they are written, stored in DuckDB, described on the wire and printed in cells."""
import datetime
import decimal

from .errors import unsupported

MAX_TEXT = 16777216
NUMBERS = {"NUMBER", "DECIMAL", "DEC", "NUMERIC"}
INTEGERS = {"INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT"}
FLOATS = {"FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "REAL"}
TEXTS = {"VARCHAR", "STRING", "TEXT", "NVARCHAR", "NVARCHAR2"}
CHARACTERS = {"CHAR", "CHARACTER", "NCHAR"}
SEMI = {"VARIANT", "OBJECT", "ARRAY"}
EPOCH = datetime.datetime(1970, 1, 1)


class Type:
    """name is Snowflake's canonical one: NUMBER, FLOAT, TEXT, BINARY, BOOLEAN, DATE, TIME, TIMESTAMP_*, VARIANT…"""

    def __init__(self, name, precision=None, scale=None, length=None):
        self.name, self.precision, self.scale, self.length = name, precision, scale, length

    @property
    def duckdb(self):
        if self.name == "NUMBER":
            return f"DECIMAL({self.precision},{self.scale})"
        return {"FLOAT": "DOUBLE", "TEXT": "VARCHAR", "BINARY": "BLOB", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
                "TIME": "TIME", "TIMESTAMP_NTZ": "TIMESTAMP", "TIMESTAMP_LTZ": "TIMESTAMPTZ",
                "TIMESTAMP_TZ": "TIMESTAMPTZ", "VARIANT": "JSON", "OBJECT": "JSON", "ARRAY": "JSON"}[self.name]

    @property
    def semi(self):
        return self.name in SEMI

    def __str__(self):
        if self.name == "NUMBER":
            return f"NUMBER({self.precision},{self.scale})"
        if self.name == "TEXT":
            return f"VARCHAR({self.length})"
        if self.name == "BINARY":
            return f"BINARY({self.length})"
        return self.name + ("(9)" if self.name.startswith("TIME") else "")

    def to_json(self):
        return [self.name, self.precision, self.scale, self.length]

    @property
    def wire(self):
        kind = {"NUMBER": "fixed", "FLOAT": "real"}.get(self.name, self.name.lower())
        return {"type": kind, "precision": self.precision, "scale": 9 if kind.startswith("time") else self.scale,
                "length": self.length, "byteLength": min(self.length * 4, MAX_TEXT) if kind == "text" else self.length}


def number(precision=38, scale=0):
    return Type("NUMBER", precision, scale)


def text(length=MAX_TEXT):
    return Type("TEXT", length=length)


def parse_type(cursor):
    """Reads a type from a token cursor."""
    word = cursor.identifier()
    if word == "DOUBLE":
        cursor.take("PRECISION")
    if word in ("CHAR", "NCHAR") and cursor.take("VARYING"):
        word = "VARCHAR"
    arguments = []
    if cursor.looks("("):
        arguments = [int(t.text) for t in cursor.parenthesised() if t.kind == "number"]
    if word in NUMBERS:
        return number(arguments[0] if arguments else 38, arguments[1] if len(arguments) > 1 else 0)
    if word in INTEGERS:
        return number()
    if word in FLOATS:
        return Type("FLOAT")
    if word in TEXTS:
        return text(arguments[0] if arguments else MAX_TEXT)
    if word in CHARACTERS:
        return text(arguments[0] if arguments else 1)
    if word in ("BINARY", "VARBINARY"):
        return Type("BINARY", length=arguments[0] if arguments else 8388608)
    if word in ("TIMESTAMP", "DATETIME"):
        return Type("TIMESTAMP_NTZ")
    if word in ("BOOLEAN", "DATE", "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ") or word in SEMI:
        return Type(word)
    if word.startswith("TIMESTAMP"):
        return Type({"TIMESTAMPNTZ": "TIMESTAMP_NTZ", "TIMESTAMPLTZ": "TIMESTAMP_LTZ", "TIMESTAMPTZ": "TIMESTAMP_TZ"}[word])
    raise unsupported(f"data type {word}")


def of_duckdb(kind):
    """The Snowflake type of a DuckDB result column."""
    kind = str(kind).upper()
    if kind.startswith("DECIMAL"):
        precision, scale = kind[8:-1].split(",")
        return number(int(precision), int(scale))
    if kind in ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "UBIGINT", "UINTEGER", "UHUGEINT", "USMALLINT",
                "UTINYINT", "BIGNUM"):
        return number()
    simple = {"DOUBLE": "FLOAT", "FLOAT": "FLOAT", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIME": "TIME",
              "TIMESTAMP": "TIMESTAMP_NTZ", "TIMESTAMP_NS": "TIMESTAMP_NTZ", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ",
              "JSON": "VARIANT"}
    if kind in simple:
        return Type(simple[kind])
    if kind == "BLOB":
        return Type("BINARY", length=8388608)
    return text()


def described(name, kind, nullable=True):
    return {"name": name, "database": "", "schema": "", "table": "", "nullable": nullable, "collation": None, **kind.wire}


def _instant(value):
    if value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    micros = (value - EPOCH) // datetime.timedelta(microseconds=1)
    return f"{micros // 1000000}.{micros % 1000000:06d}000"


def cell(value):
    """A value as a JSON rowset cell."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(str(value)) or repr(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return _instant(value)
    if isinstance(value, datetime.date):
        return str((value - EPOCH.date()).days)
    if isinstance(value, datetime.time):
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        return f"{seconds}.{value.microsecond:06d}000"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex().upper()
    return str(value)
