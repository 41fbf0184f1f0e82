"""BSON as the `plain` JSON of docs/connectors/mongo.md, written from that table and not from the program: the referee."""
import base64
import datetime
import math
import uuid

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

OPTIONS = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS, tz_aware=False)


def date(milliseconds: int) -> str:
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def plain(value: object) -> object:
    """What json.loads gives for the value's plain text."""
    if isinstance(value, (dict, RawBSONDocument)):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, (int, Int64)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Code):
        return {"code": str(value), "scope": plain(value.scope)} if value.scope is not None else str(value)
    if isinstance(value, Binary):
        if value.subtype == 4 and len(value) == 16:
            return str(uuid.UUID(bytes=bytes(value)))
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, DatetimeMS):
        return date(int(value))
    if isinstance(value, (ObjectId, Decimal128)):
        return str(value)
    if isinstance(value, Timestamp):
        return {"t": value.time, "i": value.inc}
    if isinstance(value, (MinKey, MaxKey)):
        return type(value).__name__
    if isinstance(value, Regex):
        flags = {2: "i", 4: "l", 8: "m", 16: "s", 32: "u", 64: "x"}
        return f"/{value.pattern}/" + "".join(letter for bit, letter in flags.items() if value.flags & bit)
    if isinstance(value, DBRef):
        return {"ref": value.collection, "id": str(value.id)}
    raise TypeError(type(value))
