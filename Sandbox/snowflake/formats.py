"""FILE_FORMAT options: each is honoured or refused, none ignored."""
from .catalog import resolve
from .errors import SnowflakeError, syntax_error, unsupported
from .lexer import Cursor, tokens_of

COMMON = {"TYPE", "COMPRESSION", "FORMAT_NAME", "NULL_IF", "TRIM_SPACE", "DATE_FORMAT", "TIME_FORMAT", "TIMESTAMP_FORMAT",
          "BINARY_FORMAT", "REPLACE_INVALID_CHARACTERS", "SKIP_BYTE_ORDER_MARK", "MULTI_LINE"}
CSV = COMMON | {"RECORD_DELIMITER", "FIELD_DELIMITER", "SKIP_HEADER", "PARSE_HEADER", "SKIP_BLANK_LINES", "ESCAPE",
                "ESCAPE_UNENCLOSED_FIELD", "FIELD_OPTIONALLY_ENCLOSED_BY", "ERROR_ON_COLUMN_COUNT_MISMATCH",
                "EMPTY_FIELD_AS_NULL", "ENCODING"}
JSON = COMMON | {"ENABLE_OCTAL", "ALLOW_DUPLICATE", "STRIP_OUTER_ARRAY", "STRIP_NULL_VALUES", "IGNORE_UTF8_ERRORS"}
PARQUET = {"TYPE", "COMPRESSION", "SNAPPY_COMPRESSION", "BINARY_AS_TEXT", "USE_LOGICAL_TYPE", "USE_VECTORIZED_SCANNER",
           "TRIM_SPACE", "REPLACE_INVALID_CHARACTERS", "NULL_IF"}
COMPRESSIONS = {"AUTO", "GZIP", "ZSTD", "NONE", "BZ2", "DEFLATE", "RAW_DEFLATE"}


def options(tokens):
    """NAME = value pairs, commas optional; a list value in parentheses."""
    cursor, found = Cursor(tokens), {}
    while cursor.peek is not None:
        if cursor.take(","):
            continue
        name = cursor.identifier()
        cursor.expect("=")
        if name == "FILE_FORMAT" and cursor.looks("("):
            found[name] = options(cursor.parenthesised())
        elif name == "INCLUDE_METADATA":
            found[name] = cursor.parenthesised()
        else:
            found[name] = _value(cursor)
    return found


def _value(cursor):
    if cursor.looks("("):
        return [t.value for t in cursor.parenthesised() if t.text != ","]
    token = cursor.next()
    if token.kind == "word" and token.value in ("TRUE", "FALSE"):
        return token.value == "TRUE"
    if token.kind == "number":
        return int(token.text)
    if token.kind in ("word", "quoted"):
        name = token.value
        while cursor.take("."):
            name += "." + cursor.identifier()
        return name
    if token.kind == "string":
        return token.value
    raise syntax_error("option value", token.text)


def named(call, given):
    """Options with FORMAT_NAME looked up."""
    name = given.pop("FORMAT_NAME", None)
    if name is None:
        return given
    parts = Cursor(tokens_of(name)).name()
    return {**call.catalog.get("formats", resolve(call.session, parts)), **given}


class Format:
    """Checked options with Snowflake's defaults."""

    def __init__(self, given):
        self.type = str(given.get("TYPE", "CSV")).upper()
        known = {"CSV": CSV, "JSON": JSON, "PARQUET": PARQUET}.get(self.type)
        if known is None:
            raise unsupported(f"FILE_FORMAT TYPE {self.type}")
        for name in given:
            if name not in known:
                raise SnowflakeError("001420", "22023", f"SQL compilation error:\ninvalid parameter '{name}'")
        get = lambda name, default=None: given.get(name, default)
        self.compression = str(get("COMPRESSION", "AUTO")).upper()
        if self.compression not in COMPRESSIONS and self.type != "PARQUET":
            raise unsupported(f"COMPRESSION {self.compression}")
        self.null_if = get("NULL_IF", ["\\N"] if self.type == "CSV" else [])
        self.null_if = self.null_if if isinstance(self.null_if, list) else [self.null_if]
        self.trim_space = get("TRIM_SPACE", False)
        self.binary_format = str(get("BINARY_FORMAT", "HEX")).upper()
        self.replace_invalid = get("REPLACE_INVALID_CHARACTERS", False) or get("IGNORE_UTF8_ERRORS", False)
        self.multi_line = get("MULTI_LINE", True)
        for name in ("DATE_FORMAT", "TIME_FORMAT"):
            if str(get(name, "AUTO")).upper() != "AUTO":
                raise unsupported(f"{name} other than AUTO")
        self.timestamp_format = timestamp_pattern(str(get("TIMESTAMP_FORMAT", "AUTO")))
        self.field = _character(get("FIELD_DELIMITER", ","))
        self.record = _character(get("RECORD_DELIMITER", "\n"))
        if self.record not in ("\n", "\r\n", "\r"):
            raise unsupported("RECORD_DELIMITER other than a newline")
        self.skip_header = int(get("SKIP_HEADER", 0))
        self.parse_header = get("PARSE_HEADER", False)
        self.skip_blank = get("SKIP_BLANK_LINES", False)
        self.quote = _character(get("FIELD_OPTIONALLY_ENCLOSED_BY", "NONE"))
        self.escape = _character(get("ESCAPE", "NONE"))
        self.escape_unenclosed = _character(get("ESCAPE_UNENCLOSED_FIELD", "\\"))
        for name, value in (("ESCAPE", self.escape), ("ESCAPE_UNENCLOSED_FIELD", self.escape_unenclosed)):
            if value is not None and len(value) != 1:
                raise SnowflakeError("001008", "22023", f"SQL compilation error:\ninvalid value [{value}] for parameter '{name}'")
        if self.quote not in (None, '"', "'"):
            raise SnowflakeError("001008", "22023", "SQL compilation error:\ninvalid value for parameter 'FIELD_OPTIONALLY_ENCLOSED_BY'")
        self.count_mismatch = get("ERROR_ON_COLUMN_COUNT_MISMATCH", True)
        self.empty_is_null = get("EMPTY_FIELD_AS_NULL", True)
        if str(get("ENCODING", "UTF8")).upper() not in ("UTF8", "UTF-8"):
            raise unsupported(f"ENCODING {get('ENCODING')}")
        if get("ENABLE_OCTAL", False):
            raise unsupported("ENABLE_OCTAL")
        self.allow_duplicate = get("ALLOW_DUPLICATE", False)
        self.strip_outer = get("STRIP_OUTER_ARRAY", False)
        if get("STRIP_NULL_VALUES", False):
            raise unsupported("STRIP_NULL_VALUES")
        self.binary_as_text, self.logical_types = get("BINARY_AS_TEXT", True), get("USE_LOGICAL_TYPE", False)
        if self.type == "PARQUET" and (self.trim_space or self.null_if):
            raise unsupported("TRIM_SPACE and NULL_IF of Parquet files")
        if self.type == "JSON" and (self.trim_space or self.null_if):
            raise unsupported("TRIM_SPACE and NULL_IF of JSON files")


def _character(value):
    if value is False or value is None or str(value).upper() == "NONE":
        return None
    if str(value).lower().startswith("0x") and len(value) > 2:
        return bytes.fromhex(value[2:]).decode("utf-8")
    return str(value)


TIMESTAMP_PARTS = [("YYYY", "%Y"), ("MM", "%m"), ("DD", "%d"), ("HH24", "%H"), ("MI", "%M"), ("SS", "%S"),
                   (".FF9", ".%n"), (".FF6", ".%f"), (".FF3", ".%g"), (".FF", ".%f"), ('"T"', "T"), ('"Z"', "Z"), ("TZH:TZM", "%z"),
                   ("TZHTZM", "%z")]


def timestamp_pattern(text):
    """None for AUTO, else a strptime pattern of DuckDB's."""
    if text.upper() == "AUTO":
        return None
    for ours, theirs in TIMESTAMP_PARTS:
        text = text.replace(ours, theirs)
    if any(c.isalpha() and (i == 0 or text[i - 1] != "%") and c not in "TZ" for i, c in enumerate(text)):
        raise unsupported(f"TIMESTAMP_FORMAT {text}")
    return text
