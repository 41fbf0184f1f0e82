"""BSON as bytes, and MongoDB's order of values.

Documents are kept as the bytes that came in. A document's `_id` becomes a *key*: a tuple that sorts as MongoDB sorts
the value and that is equal when MongoDB calls the values equal (1, 1.0 and Decimal128("1") are one key).
"""
import struct
from datetime import datetime

import bson
from bson import Binary, Code, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.son import SON

OPTIONS = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
MAX_USER_BYTES = 16 * 1024 * 1024
MAX_INTERNAL_BYTES = MAX_USER_BYTES + 16 * 1024
EMPTY = b"\x05\0\0\0\0"

MINKEY, NULL, NUMBER, STRING, OBJECT, ARRAY, BINARY, OBJECTID, BOOL, DATE, TIMESTAMP, REGEX, DBREF, CODE, SCOPED, MAXKEY = (
    -1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 47, 50, 55, 60, 65, 127)

_int32, _int64, _double = struct.Struct("<i"), struct.Struct("<q"), struct.Struct("<d")


def encode(value) -> bytes:
    return bson.encode(value, codec_options=OPTIONS)


def decode(raw) -> dict:
    return bson.decode(raw, OPTIONS)


def document(elements: bytes) -> bytes:
    """A BSON document around already encoded elements."""
    return _int32.pack(len(elements) + 5) + elements + b"\0"


_heads = [b"\x03%d\0" % index for index in range(20_000)]


def array(documents: list) -> bytes:
    """A BSON array of already encoded documents: only the keys are made."""
    count = len(documents)
    while len(_heads) < count:
        _heads.append(b"\x03%d\0" % len(_heads))
    parts = [b""] * (2 * count)
    parts[0::2] = _heads[:count]
    parts[1::2] = documents
    return document(b"".join(parts))


# --- walking over elements -------------------------------------------------------------------------------------------

_fixed = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
_counted = {0x02: 4, 0x0D: 4, 0x0E: 4, 0x03: 0, 0x04: 0, 0x0F: 0, 0x05: 5, 0x0C: 16}


def value_end(kind: int, raw: bytes, at: int) -> int:
    if kind in _fixed:
        return at + _fixed[kind]
    if kind in _counted:
        return at + _counted[kind] + _int32.unpack_from(raw, at)[0]
    if kind == 0x0B:
        return raw.index(b"\0", raw.index(b"\0", at) + 1) + 1
    raise ValueError(f"BSON type {kind:#x}")


def elements(raw: bytes):
    """(name, type, start of element, start of value, end) of each top-level element."""
    at, last = 4, len(raw) - 1
    while at < last:
        start, kind = at, raw[at]
        stop = raw.index(b"\0", at + 1)
        at = value_end(kind, raw, stop + 1)
        yield raw[start + 1:stop], kind, start, stop + 1, at


def with_id_first(raw: bytes) -> tuple[bytes, bytes]:
    """The document as MongoDB stores it (`_id` first, made when missing), and its documentKey."""
    if raw[5:9] == b"_id\0":
        return raw, document(raw[4:value_end(raw[4], raw, 9)])
    for name, _, start, _, end in elements(raw):
        if name == b"_id":
            return document(raw[start:end] + raw[4:start] + raw[end:-1]), document(raw[start:end])
    made = b"\x07_id\0" + ObjectId().binary
    return document(made + raw[4:-1]), document(made)


def key_of_document_key(raw: bytes) -> tuple:
    """The key of `{_id: …}` (or of any document whose first element is `_id`)."""
    kind = raw[4]
    if kind == 0x07:
        return (OBJECTID, raw[9:21])
    if kind == 0x10:
        return (NUMBER, 1, _int32.unpack_from(raw, 9)[0])
    if kind == 0x12:
        return (NUMBER, 1, _int64.unpack_from(raw, 9)[0])
    end = value_end(kind, raw, 9)
    return key(decode(document(raw[4:end]))["_id"])


# --- order -----------------------------------------------------------------------------------------------------------

def key(value) -> tuple:
    """Sorts as MongoDB's BSON comparison; the first member is the type bracket."""
    if isinstance(value, str) and not isinstance(value, Code):
        return (STRING, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bool):
        return (BOOL, value)
    if isinstance(value, (int, float)):
        return (NUMBER, 0) if value != value else (NUMBER, 1, value)
    if isinstance(value, Decimal128):
        number = value.to_decimal()
        return (NUMBER, 0) if number.is_nan() else (NUMBER, 1, number)
    if value is None:
        return (NULL,)
    if isinstance(value, ObjectId):
        return (OBJECTID, value.binary)
    return _key_of_rare(value)


def _key_of_rare(value) -> tuple:
    if isinstance(value, (dict, SON)):
        return (OBJECT, tuple((key(v)[0], k.encode(), key(v)) for k, v in value.items()))
    if isinstance(value, list):
        return (ARRAY, tuple(key(member) for member in value))
    if isinstance(value, bytes):
        return (BINARY, len(value), value.subtype if isinstance(value, Binary) else 0, bytes(value))
    if isinstance(value, (DatetimeMS, datetime)):
        return (DATE, int(DatetimeMS(value)) if isinstance(value, datetime) else int(value))
    if isinstance(value, Timestamp):
        return (TIMESTAMP, value.time, value.inc)
    if isinstance(value, Regex) or hasattr(value, "pattern"):
        return (REGEX, str(value.pattern), int(value.flags))
    if isinstance(value, DBRef):
        return (DBREF, key(value.as_doc()))
    if isinstance(value, Code):
        return (CODE, str(value)) if value.scope is None else (SCOPED, str(value), key(dict(value.scope)))
    if isinstance(value, (MinKey, MaxKey)):
        return (MINKEY,) if isinstance(value, MinKey) else (MAXKEY,)
    raise ValueError(f"no order for {type(value).__name__}")

