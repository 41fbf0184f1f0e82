"""What a cell of a column must be when a field of a document was loaded into it; written from Snowflake's types, not from the
program. Values are what json.loads gives of their `plain` form.
"""
import datetime
import json
import math
import re
from decimal import Decimal

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?")
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
RESERVED = {"_NAMESPACE", "_KEY", "_OP", "_SEQ", "_EVENT_TIME", "_DELETED", "_OVERFLOW", "_EVENT_ID", "_FILE", "_FILE_ROW"}


def column_of(field: str) -> str:
    """A plain name is folded to capitals, as Snowflake does it; another is taken as it is."""
    return field.upper() if PLAIN_NAME.fullmatch(field) else field


def same(one: object, other: object) -> bool:
    """Equal in value and type: 1, 1.0 and true are three."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def moment(text: object) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text).replace(tzinfo=None) if isinstance(text, str) and "-" in text else None
    except ValueError:
        return None


def fits(kind: str, value: object) -> bool:
    """Whether a column of that type (as DESCRIBE TABLE says it) can hold the value, nothing of it lost."""
    name, _, sizes = kind.partition("(")
    if name in ("VARIANT", "VARCHAR", "TEXT"):
        return True
    if name == "NUMBER" and is_number(value) and math.isfinite(value):
        digits, scale = map(int, sizes.rstrip(")").split(","))
        written = Decimal(repr(value))
        return written == round(written, scale) and abs(written) < 10 ** (digits - scale)
    if name == "FLOAT":
        return is_number(value) and float(value) == value
    if name == "BOOLEAN":
        return isinstance(value, bool)
    return name.startswith("TIMESTAMP") and moment(value) is not None


def holds(kind: str, cell: object, value: object) -> bool:
    """Whether the cell is the value."""
    if cell is None:
        return value is None
    name = kind.partition("(")[0]
    if name == "VARIANT":
        return same(json.loads(cell), value)
    if name in ("VARCHAR", "TEXT"):
        return cell == value if isinstance(value, str) else same(json.loads(cell), value)
    if name == "NUMBER":
        # Decimals are texts in JSON. "01" is no number.
        is_decimal = isinstance(value, str) and NUMBER.fullmatch(value)
        return bool(is_number(value) or is_decimal) and Decimal(cell) == Decimal(value if is_decimal else repr(value))
    if name == "FLOAT":
        return cell == value if is_number(value) else value == "NaN" and cell != cell
    if name == "BOOLEAN":
        return isinstance(value, bool) and cell == value
    return name.startswith("TIMESTAMP") and moment(value) is not None and cell == moment(value)
