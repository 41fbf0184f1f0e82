"""BSON → JSON against pymongo's json_util, on every BSON type, the corner cases of the public BSON corpus, and random
documents. Numbers are compared as text, members in their order, so only JSON whitespace and escapes are free."""

import base64
import datetime
import json
import math
import random
import struct

import bson
import pytest
from bson import json_util
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.son import SON
from bson.timestamp import Timestamp

from formats_check import run

OPTIONS = CodecOptions(document_class=SON, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
JSON_OPTIONS = {"relaxed": json_util.RELAXED_JSON_OPTIONS, "canonical": json_util.CANONICAL_JSON_OPTIONS}


class Number(str):
    """A JSON number's text: equal only to the same text of a number."""

    def __eq__(self, other):
        return isinstance(other, Number) and str(self) == str(other)

    __hash__ = str.__hash__


def parsed(text):
    return json.loads(
        text, object_pairs_hook=lambda pairs: ("object", pairs), parse_int=Number, parse_float=Number, parse_constant=str
    )


def document(*elements):
    body = b"".join(elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def element(kind, value, name=b"a"):
    return bytes([kind]) + name + b"\0" + value


def text(value):
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def binary(subtype, value):
    body = struct.pack("<i", len(value)) + value if subtype == 2 else value
    return document(element(5, struct.pack("<iB", len(body), subtype) + body, b"b"))


def decimal(high, low=0):
    return struct.pack("<QQ", low, high)


DOUBLES = [
    0.0, -0.0, 1.0, -1.0, 1.0001220703125, -1.0001220703125, 1.2345678921232e18, 5e-324, 2.2250738585072014e-308,
    1.7976931348623157e308, 0.1, 0.0001, 0.00001, 123456789012345.6, 999999999999999.9, 1e15, 1e16, 9.5e15, 2.0**53,
    2.0**53 + 2, 1e17, 1e21, 1e22, 1e23, 1e100, -1e-100, 4.35, 0.3, 2 / 3, 100.0, 1e2, 12345678.0, 9007199254740993.0,
]
DATES = [0, 1, -1, 999, 1000, 1356351330501, -284643869501, 253402300799999, 253402300800000, -62135596800000,
         -62135596800001, 2**63 - 1, -(2**63), 1356351330000, -1000, 951782400000, 951868800000, 4107542400000]
DECIMALS = [
    "0", "-0", "0E-6176", "-0E+6111", "1E-6176", "9.999999999999999999999999999999999E+6144", "1", "-1", "0.1", "0.000001",
    "0.0000001", "1E+3", "1.5E+3", "12345678901234567890123456789012.34", "1E-7", "123.400", "0E+1", "0E-7", "0.00", "NaN",
    "Infinity", "-Infinity", "5E-6176", "1000000000000000000000000000000000", "9999999999999999999999999999999999", "1E+34",
    "-123.456E+10", "-1E+6111", "0.001234567890123456789012345678901234",
]
TEXTS = ["", "a", "\0", "a\0b\0", "\u00e9", "\u2606", "\U0001f600", '"', "\\", "/", "\b\f\n\r\t", "\x01\x1f\x7f\x80",
         "\u2028\u2029", "ab" * 100, "\ufffe\uffff", "é" * 70, "x" * 31 + '"', "x" * 32 + "\\", "x" * 63 + "\n"]


def corpus():
    """One document a case: (name, BSON)."""
    for value in DOUBLES + [math.nan, math.inf, -math.inf]:
        yield f"double {value!r}", bson.encode({"d": value})
    yield "NaN with payload", document(element(1, bytes.fromhex("120000000000f87f")))
    yield "signalling NaN", document(element(1, bytes.fromhex("010000000000f0ff")))
    for value in [0, 1, -1, 2**31 - 1, -(2**31)]:
        yield f"int32 {value}", bson.encode({"i": value})
    for value in [0, 1, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63)]:
        yield f"int64 {value}", bson.encode({"i": Int64(value)})
    for value in TEXTS:
        yield f"text {value!r}", bson.encode({"t": value})
        yield f"symbol {value!r}", document(element(14, text(value.encode())))
        yield f"code {value!r}", bson.encode({"c": Code(value)})
        yield f"code with scope {value!r}", bson.encode({"c": Code(value, {"x": 1, "é": {"y": [value]}})})
        if "\0" not in value:
            yield f"name {value!r}", bson.encode({value: 1, "b": {value: 2}})
            yield f"regex {value!r}", bson.encode({"r": Regex(value, "imx")})
    for value in DATES:
        yield f"date {value}", document(element(9, struct.pack("<q", value)))
    for value in DECIMALS:
        yield f"decimal {value}", bson.encode({"d": Decimal128(value)})
    yield "decimal -NaN", document(element(19, decimal(0xFC00 << 48)))
    yield "decimal sNaN", document(element(19, decimal(0x7E00 << 48)))
    yield "decimal NaN with payload", document(element(19, decimal(0x7C00 << 48, 18)))
    yield "decimal infinity with payload", document(element(19, decimal(0x7800 << 48, 18)))
    yield "decimal over 34 digits, large form", document(element(19, decimal(0x6C10 << 48)))
    yield "decimal over 34 digits, negative large form", document(element(19, decimal(0xEC10 << 48, 7)))
    yield "decimal in the first form, all digits set", document(element(19, decimal(0x3041ED09BEAD87C0, 0x378D8E63FFFFFFFF)))
    for subtype in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80, 0xFF]:
        for size in [0, 1, 2, 3, 16, 100] if subtype not in (3, 4) else [16]:  # pymongo refuses UUIDs of another size
            yield f"binary {subtype} {size}", binary(subtype, bytes(range(size)))
    for value in [b"\0" * 12, b"\xff" * 12, bytes.fromhex("56e1fc72e0c917e9c4714161")]:
        yield f"ObjectId {value.hex()}", bson.encode({"o": ObjectId(value)})
        yield f"DBPointer {value.hex()}", document(element(12, text(b"db.c\xc3\xa9") + value))
    for value in [(0, 0), (123456789, 42), (2**32 - 1, 2**32 - 1)]:
        yield f"timestamp {value}", bson.encode({"t": Timestamp(*value)})
    for pattern, options in [("", ""), ("abc", ""), ("abc", "im"), ("ab/cd", "ilmsux"), ('a"\\b', "x"), ("^\\d+$", "s")]:
        yield f"regex {pattern} {options}", bson.encode({"r": Regex(pattern, options)})
    yield "regex, options in another order", document(element(11, b"abc\0mix\0"))
    yield "min, max, null, undefined, booleans", document(
        element(0xFF, b"", b"min"), element(0x7F, b"", b"max"), element(10, b"", b"n"), element(6, b"", b"u"),
        element(8, b"\1", b"t"), element(8, b"\0", b"f"))
    yield "empty", bson.encode({})
    yield "empty name", bson.encode({"": "", "a": {"": 1}})
    yield "arrays", bson.encode({"a": [], "b": [1, [2, [3, []]], {}], "c": [{}]})
    yield "array with other names", document(element(4, document(element(16, struct.pack("<i", 7), b"x"))))
    yield "DBRef", bson.encode({"r": SON([("$ref", "c"), ("$id", ObjectId(b"\1" * 12)), ("$db", "d"), ("x", 1)])})
    yield "dollars and dots", bson.encode(SON([("$a", 1), ("a.b", 2), ("$", 3), (".", 4)]))
    yield "looks like Extended JSON", bson.encode({"a": SON([("$oid", "x")]), "b": {"$numberLong": "1"}})
    deep = {}
    for _ in range(199):
        deep = {"d": deep}
    yield "200 deep", bson.encode(deep)


def random_value(rng, depth):
    kind = rng.randrange(20 if depth < 5 else 16)
    match kind:
        case 0: return struct.unpack("<d", rng.randbytes(8))[0]
        case 1: return rng.choice([rng.uniform(-1e6, 1e6), round(rng.uniform(0, 1e5), 2), float(rng.randrange(10**18))])
        case 2: return rng.choice(TEXTS) + "".join(chr(rng.choice([rng.randrange(1, 0xD800), rng.randrange(0x20, 0x7F)])) for _ in range(rng.randrange(40)))
        case 3:
            subtype = rng.choice([0, 1, 2, 3, 4, 5, 128])
            return Binary(rng.randbytes(16 if subtype in (3, 4) else rng.randrange(50)), subtype)
        case 4: return ObjectId(rng.randbytes(12))
        case 5: return rng.random() < 0.5
        case 6: return datetime.datetime(1, 1, 1) + datetime.timedelta(milliseconds=rng.randrange(315537897600000))
        case 7: return None
        case 8: return Regex("a" * rng.randrange(9), rng.choice(["", "i", "im"]))
        case 9: return Code("f()") if rng.random() < 0.5 else Code("g()", {"s": rng.randrange(9)})
        case 10: return rng.randrange(-(2**31), 2**31)
        case 11: return Int64(rng.randrange(-(2**63), 2**63) >> rng.randrange(63))
        case 12: return Timestamp(rng.randrange(2**32), rng.randrange(2**32))
        case 13:  # any sign, special and exponent; up to 34 digits, since pymongo can't write more
            return Decimal128.from_bid(decimal(rng.randrange(2**64) & 0xFFFE000000000000 | rng.randrange(2**48), rng.randrange(2**64)))
        case 14: return Decimal128(f"{rng.randrange(10**rng.randrange(1, 34))}E{rng.randrange(-40, 40)}")
        case 15: return rng.choice([MinKey(), MaxKey()])
        case 16 | 17: return [random_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        case _: return random_document(rng, depth + 1)


def random_document(rng, depth=0):
    names = ["", "a", "é", '"', "_id", "a b"] + [f"f{i}" for i in range(20)]
    return SON((rng.choice(names), random_value(rng, depth)) for _ in range(rng.randrange(12)))


CASES = list(corpus())
RANDOM = [(f"random {seed}", bson.encode(random_document(random.Random(seed)))) for seed in range(3000)]


@pytest.mark.parametrize("mode", ["relaxed", "canonical"])
def test_equal_to_json_util(mode):
    cases = CASES + RANDOM
    answers = run([case for _, case in cases], "bson", mode)
    for (name, case), (fine, answer) in zip(cases, answers):
        decoded = bson.decode(case, codec_options=OPTIONS)
        wanted = json_util.dumps(decoded, json_options=JSON_OPTIONS[mode])
        assert fine, (name, answer)
        assert parsed(answer) == parsed(wanted), (name, answer.decode(), wanted)


def plain(value):
    """What plain mode documents, as Python that json.dumps writes."""
    match value:
        case bool() | None | str() if not isinstance(value, Code): return value
        case float(): return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        case int(): return int(value)
        case Code(): return str(value) if value.scope is None else {"code": str(value), "scope": plain(value.scope)}
        case ObjectId() | Decimal128(): return str(value)
        case Binary():
            if value.subtype == 4 and len(value) == 16:
                return str(value.as_uuid())
            return base64.b64encode(value).decode()
        case bytes(): return base64.b64encode(value).decode()
        case datetime.datetime(): return f"{value.year:04}" + value.strftime("-%m-%dT%H:%M:%S") + f".{value.microsecond // 1000:03}Z"
        case Regex():
            flags = {2: "i", 4: "l", 8: "m", 16: "s", 32: "u", 64: "x"}
            return f"/{value.pattern}/" + "".join(letter for bit, letter in flags.items() if value.flags & bit)
        case Timestamp(): return {"t": value.time, "i": value.inc}
        case MinKey(): return "MinKey"
        case MaxKey(): return "MaxKey"
        case list(): return [plain(item) for item in value]
        case dict(): return SON((name, plain(item)) for name, item in value.items())
    raise TypeError(value)


def test_plain():
    answers = run([case for _, case in RANDOM], "bson", "plain")
    for (name, case), (fine, answer) in zip(RANDOM, answers):
        wanted = json.dumps(plain(bson.decode(case, codec_options=OPTIONS)))
        assert fine, (name, answer)
        assert parsed(answer) == parsed(wanted), (name, answer.decode(), wanted)


@pytest.mark.parametrize("case, wanted", [
    (document(element(9, struct.pack("<q", 2**63 - 1))), '{"a":"+292278994-08-17T07:12:55.807Z"}'),
    (document(element(9, struct.pack("<q", -(2**63)))), '{"a":"-292275055-05-16T16:47:04.192Z"}'),
    (document(element(9, struct.pack("<q", 253402300800000))), '{"a":"+010000-01-01T00:00:00.000Z"}'),
    (document(element(9, struct.pack("<q", -62135596800001))), '{"a":"+000000-12-31T23:59:59.999Z"}'),
    (document(element(19, decimal(0x3041ED09BEAD87C0, 0x378D8E6400000000))), '{"a":"0"}'),  # 35 digits count as zero
    (document(element(19, decimal(0x3041ED09BEAD87C0, 0x378D8E63FFFFFFFF))), '{"a":"9999999999999999999999999999999999"}'),
    (binary(4, b"\0" * 15), '{"b":"AAAAAAAAAAAAAAAAAAAA"}'),
    (document(element(12, text(b"db.c") + b"\1" * 12)), '{"a":{"ref":"db.c","id":"010101010101010101010101"}}'),
    (document(element(14, text(b"s")), element(6, b"", b"u")), '{"a":"s","u":null}'),
    (document(element(16, b"\1\0\0\0"), element(16, b"\2\0\0\0")), '{"a":1,"a":2}'),
])
def test_plain_by_hand(case, wanted):
    assert run([case], "bson", "plain") == [(True, wanted.encode())]


BAD = {
    "empty": b"", "short": b"\5\0\0\0", "length too long": b"\6\0\0\0\0", "length too short": b"\4\0\0\0\0", "negative length": b"\xff\xff\xff\xff\0",
    "no end": b"\5\0\0\0\1", "unknown type": document(element(0x14, b"")), "name does not end": b"\7\0\0\0\x0aa\0"[:6] + b"a\0",
    "text length 0": document(element(2, b"\0\0\0\0")), "text length negative": document(element(2, b"\xff\xff\xff\xff")),
    "text length huge": document(element(2, b"\xff\xff\xff\x7f" + b"abc\0")), "text without its zero": document(element(2, b"\2\0\0\0ab")),
    "text not UTF-8": document(element(2, text(b"a\xff"))), "overlong": document(element(2, text(b"\xc0\x80"))),
    "surrogate": document(element(2, text(b"\xed\xa0\x80"))), "name not UTF-8": document(element(10, b"", b"\xe9")),
    "boolean 2": document(element(8, b"\2")), "truncated double": document(element(1, b"\0\0\0")),
    "binary length huge": document(element(5, b"\xff\xff\xff\x7f\0")), "binary length negative": document(element(5, b"\xff\xff\xff\xff\0")),
    "binary 2, inner length wrong": document(element(5, b"\6\0\0\0\2\3\0\0\0ab")), "binary 2 too short": document(element(5, b"\3\0\0\0\2\0\0\0")),
    "document length wrong": document(element(3, b"\6\0\0\0\0")), "document in document too long": document(element(3, b"\x10\0\0\0\0")),
    "array not ended": document(element(4, b"\5\0\0\0\1")), "code with scope, whole too short": document(element(15, b"\1\0\0\0" + text(b"a") + b"\5\0\0\0\0")),
    "code with scope, scope wrong": document(element(15, struct.pack("<i", 14 + 1) + text(b"a") + b"\6\0\0\0\0")),
    "regex does not end": document(element(11, b"abc\0im")), "DBPointer short": document(element(12, text(b"a") + b"\1" * 11)),
    "trailing bytes": bson.encode({"a": 1}) + b"\0",
}


@pytest.mark.parametrize("mode", [["bson-validate"], ["bson", "plain"], ["bson", "canonical"]])
def test_malformed(mode):
    for (name, case), (fine, answer) in zip(BAD.items(), run(list(BAD.values()), *mode)):
        assert not fine, (name, answer)
        assert "formats.malformed_bson" in answer and "at byte" in answer, (name, answer)


def test_too_deep():
    body = b"\5\0\0\0\0"
    for _ in range(10_000):
        body = document(element(3, body))
    (fine, answer), = run([body], "bson", "plain")
    assert not fine and "nested deeper than 250" in answer


def test_hostile_bytes_never_crash_and_validate_agrees():
    """Mutated documents: both ways give an answer, the same one."""
    rng = random.Random(5)
    hostile = []
    for _, case in CASES + RANDOM:
        for _ in range(3):
            mutated = bytearray(case)
            for _ in range(rng.randrange(1, 4)):
                mutated[rng.randrange(len(mutated))] = rng.choice([0, 1, 2, 5, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            hostile.append(bytes(mutated[: rng.choice([len(mutated), len(mutated), rng.randrange(len(mutated) + 1)])]))
    written, checked = run(hostile, "bson", "plain"), run(hostile, "bson-validate")
    for case, (fine, answer), (valid, problem) in zip(hostile, written, checked):
        assert fine == valid, (case, answer, problem)
        if fine:
            json.loads(answer)
    assert any(fine for fine, _ in written) and not all(fine for fine, _ in written)


def test_what_pymongo_refuses_is_refused():
    rng = random.Random(6)
    hostile = []
    for _, case in RANDOM[:2000]:
        mutated = bytearray(case)
        mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        hostile.append(bytes(mutated))
    for case, (fine, answer) in zip(hostile, run(hostile, "bson-validate")):
        try:
            bson.decode(case, codec_options=OPTIONS)
        except bson.errors.InvalidBSON as error:
            assert not fine, (case, error)
