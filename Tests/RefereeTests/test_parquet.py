"""Flat Parquet files of NebulaFormats, read back by pyarrow, DuckDB and Polars: equal to what was written."""

import datetime
import decimal
import io
import json
import math
import random
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_files import CODECS, by_duckdb, by_pyarrow, cell, check, payload, plain, run, same, try_write, wanted, write, write_and_check

decimal.getcontext().prec = 60

EPOCH = datetime.date(1970, 1, 1)


def unscaled(digits, scale):
    return Decimal(digits).scaleb(-scale)


def texts(rng):
    alphabet = "abcdefghij é☆😀\"\\\n\0,"
    return "".join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 2, 7, 30, 200])))


# Each type: what Arrow makes of it, values at its edges, and random ones.
TYPES = {
    "boolean": (pa.bool_(), [True, False], lambda r: r.random() < 0.5),
    "int32": (pa.int32(), [0, -1, 2**31 - 1, -(2**31)], lambda r: r.randrange(-(2**31), 2**31)),
    "int64": (pa.int64(), [0, -1, 2**63 - 1, -(2**63)], lambda r: r.randrange(-(2**63), 2**63)),
    "double": (pa.float64(), [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308], lambda r: r.uniform(-1e9, 1e9)),
    "string": (pa.string(), ["", "a", "\0", "é☆😀", "x" * 100_000], texts),
    "json": (pa.string(), ["{}", "null", '"a"', '{"a":[1,2.50,null]}'], lambda r: '{"a":%d}' % r.randrange(99)),
    "json_text": (pa.string(), ["{}", "1e400", "[]"], lambda r: "[%d]" % r.randrange(99)),
    "binary": (pa.binary(), [b"", b"\0", b"\xff\xfe", bytes(range(256))], lambda r: r.randbytes(r.randrange(20))),
    "date": (pa.date32(), [0, -1, 1, -719162, 2932896, 19000], lambda r: r.randrange(-700_000, 2_900_000)),
    "timestamp(micros,utc)": (pa.timestamp("us", "UTC"), [0, -1, 1, 253402300799999999, -62135596800000000], lambda r: r.randrange(-(10**16), 10**16)),
    "timestamp(micros)": (pa.timestamp("us"), [0, -1, 1, 253402300799999999, -62135596800000000], lambda r: r.randrange(-(10**16), 10**16)),
    "timestamp(nanos,utc)": (pa.timestamp("ns", "UTC"), [0, -1, 1, 2**62, -(2**62)], lambda r: r.randrange(-(2**62), 2**62)),
    "timestamp(nanos)": (pa.timestamp("ns"), [0, -1, 1, 2**62, -(2**62)], lambda r: r.randrange(-(2**62), 2**62)),
}
for precision, scale in [(1, 0), (2, 2), (9, 4), (10, 0), (18, 18), (19, 5), (28, 28), (33, 1), (37, 12), (38, 0), (38, 10), (38, 38)]:
    most = 10**precision - 1
    TYPES[f"decimal({precision},{scale})"] = (
        pa.decimal128(precision, scale),
        [unscaled(n, scale) for n in [0, 1, -1, most, -most]],
        lambda r, most=most, scale=scale: unscaled(r.randrange(-most, most + 1), scale),
    )

NULLS = {
    "none": lambda i, r: False,
    "all": lambda i, r: True,
    "alternating": lambda i, r: i % 2 == 0,
    "runs": lambda i, r: i // 100 % 2 == 1,
    "long runs": lambda i, r: i // 1000 % 2 == 0,
    "few": lambda i, r: r.random() < 0.01,
    "random": lambda i, r: r.random() < 0.5,
    "last": lambda i, r: i == 2999,
    "first": lambda i, r: i == 0,
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("nulls", NULLS)
def test_every_type(codec, nulls, tmp_path):
    rng = random.Random(f"{codec} {nulls}")
    is_null = NULLS[nulls]
    columns, values = {}, []
    for type_, (_, edges, random_value) in TYPES.items():
        pools = {"few": [*edges, *(random_value(rng) for _ in range(20))], "many": None}
        for pool, of in pools.items():
            columns[f"{type_} {pool}"] = type_
            column = [rng.choice(of) if of else random_value(rng) for _ in range(3000)]
            values.append([None if is_null(i, rng) else v for i, v in enumerate(column)])
    rows = list(zip(*values))
    file = write_and_check(columns, rows, tmp_path, codec=codec, page_bytes=rng.choice([500, 5000, 1 << 20]))
    assert file.metadata.created_by == "nebula-swift" and file.metadata.num_rows == 3000
    for name, type_ in columns.items():
        arrow = file.schema_arrow.field(name).type
        assert (arrow.storage_type if isinstance(arrow, pa.BaseExtensionType) else arrow) == TYPES[type_][0], name


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9])
def test_few_rows(count, tmp_path):
    columns = {type_: type_ for type_ in TYPES}
    rows = [tuple(TYPES[t][1][i % len(TYPES[t][1])] if (i + len(t)) % 3 else None for t in TYPES) for i in range(count)]
    file = write_and_check(columns, rows, tmp_path)
    assert file.num_row_groups == (count > 0)


def encodings(file, column):
    return {e for g in range(file.num_row_groups) for e in file.metadata.row_group(g).column(column).encodings}


def test_dictionary_plain_and_fallback(tmp_path):
    rng = random.Random(5)
    count = 60_000
    columns = {"few": "string", "unique": "string", "then unique": "string", "numbers": "int64", "all": "int64", "decimals": "decimal(38,2)", "late": "int32"}
    rows = [
        (f"kind {rng.randrange(50)}", f"id {i:07} {rng.random()}", "x" if i < 20_000 else f"{i} {rng.random()} and a text of some length", rng.randrange(1000), i,
         Decimal(rng.randrange(5)), None if i < 30_000 else rng.randrange(7))
        for i in range(count)
    ]
    file = write_and_check(columns, rows, tmp_path, page_bytes=20_000, codec="zstd")
    group = file.metadata.row_group(0)
    has = {name: (group.column(i).has_dictionary_page, "PLAIN" in group.column(i).encodings) for i, name in enumerate(columns)}
    assert file.num_row_groups == 1
    assert [name for name, (dictionary, _) in has.items() if dictionary] == ["few", "then unique", "numbers", "decimals", "late"]
    size = [group.column(i).total_uncompressed_size for i in range(len(columns))]
    assert size[0] < count and size[1] > count * 25 and size[4] > count * 8
    # The part that has its dictionary is small, what follows is as it is.
    assert sum(len(r[2]) + 4 for r in rows[20_000:]) < size[2] < sum(len(r[2]) + 4 for r in rows[20_000:]) * 1.1 + (1 << 20)


def test_a_dictionary_that_grows_too_large(tmp_path):
    """Each value comes twice, so the dictionary is worth its while, until it has its 1 MiB."""
    columns = {"n": "int64", "s": "string", "d": "decimal(30,0)"}
    rows = [(i // 2, f"text {i // 2}", Decimal(i // 2)) for i in range(400_000)]
    file = write_and_check(columns, rows, tmp_path, page_bytes=100_000)
    for i in range(3):
        column = file.metadata.row_group(0).column(i)
        assert column.has_dictionary_page and column.data_page_offset - column.dictionary_page_offset < (1 << 20) + 100
        assert column.total_uncompressed_size > 1 << 20


def test_pages_and_row_groups(tmp_path):
    rng = random.Random(6)
    columns = {"a": "int64", "b": "string", "c": "boolean", "d": "double"}
    rows = [(i, None if i % 5 == 0 else texts(rng)[:20], rng.choice([True, False, None]), rng.random()) for i in range(40_000)]
    file = write_and_check(columns, rows, tmp_path, page_bytes=1000, row_group_bytes=100_000, codec="gzip", level=6)
    assert file.num_row_groups > 5
    position = 4
    for g in range(file.num_row_groups):
        group = file.metadata.row_group(g)
        assert group.num_rows > 1000
        for c in range(len(columns)):
            column = group.column(c)
            start = column.dictionary_page_offset or column.data_page_offset
            assert start == position
            position += column.total_compressed_size
        assert sum(group.column(c).total_uncompressed_size for c in range(len(columns))) == group.total_byte_size


@pytest.mark.parametrize("codec, level", [("gzip", 0), ("gzip", 3), ("gzip", 9), ("zstd", -5), ("zstd", 3), ("zstd", 19)])
def test_levels(codec, level, tmp_path):
    write_and_check({"a": "int64", "b": "string"}, [(i, f"{i % 7} text") for i in range(5000)], tmp_path, codec=codec, level=level)


@pytest.mark.parametrize("codec, level", [("snappy", 1), ("none", 0), ("zstd", 20), ("gzip", 10)])
def test_levels_that_are_not(codec, level):
    done = payload({"a": "int64"}, [], codec=codec, level=level)
    ((fine, error),) = run([done], "parquet-cells")
    assert not fine and "bad_compression_level" in error


def test_a_thousand_columns(tmp_path):
    rng = random.Random(7)
    kinds = list(TYPES)
    columns = {f"c{i}": kinds[i % len(kinds)] for i in range(1000)}
    rows = [tuple(None if rng.random() < 0.3 else rng.choice(TYPES[t][1][:4]) for t in columns.values()) for _ in range(50)]
    write_and_check(columns, rows, tmp_path, row_group_bytes=1 << 20)


def test_names(tmp_path):
    columns = {name: "int64" for name in ["a b", "é☆😀", 'q"uote', "a.b", "list", "element", "x" * 1000, "'", "\\", "0"]}
    write_and_check(columns, [tuple(range(len(columns))), (None,) * len(columns)], tmp_path)


def test_empty_texts_are_not_null(tmp_path):
    rows = [("", b""), (None, None), ("", None), (None, b"")] * 5
    write_and_check({"a": "string", "b": "binary"}, rows, tmp_path)


def test_metadata():
    file = pq.ParquetFile(io.BytesIO(write({"a": "int64"}, [(1,)], metadata={"pipeline": "é", "empty": ""})))
    assert file.metadata.metadata == {b"pipeline": "é".encode(), b"empty": b""}


def test_undone_rows_leave_nothing(tmp_path):
    rng = random.Random(8)
    columns = {type_: type_ for type_ in TYPES}
    rows, lines = [], []
    for i in range(3000):
        row = tuple(None if rng.random() < 0.2 else rng.choice(edges) if rng.random() < 0.1 and t != "string" else draw(rng) for t, (_, edges, draw) in TYPES.items())
        is_undone = rng.random() < 0.3
        cells = [cell(v) for v in row]
        # A row may be undone before all its values came.
        lines.append(json.dumps({"undo": cells[: rng.randrange(len(cells) + 1)]} if is_undone else cells))
        if not is_undone:
            rows.append(row)
    ((fine, file),) = run([payload(columns, lines, page_bytes=1000, row_group_bytes=50_000)], "parquet-cells")
    assert fine, file
    check(columns, rows, file, tmp_path)


# Statistics


def statistics(file, column=0, group=0):
    s = pq.ParquetFile(io.BytesIO(file)).metadata.row_group(group).column(column).statistics
    return s


@pytest.mark.parametrize("type_", [t for t in TYPES if t != "double"])
@pytest.mark.parametrize("pool", [3, 10_000])
def test_statistics(type_, pool):
    rng = random.Random(f"{type_} {pool}")
    of = [TYPES[type_][2](rng)[:60] if type_ in ("string", "binary") else TYPES[type_][2](rng) for _ in range(pool)]
    if type_ == "string":
        of = ["".join(c for c in s if c != "😀")[:15] for s in of]
    values = [rng.choice(of) if rng.random() < 0.9 else None for _ in range(2000)]
    s = statistics(write({"a": type_}, [(v,) for v in values], page_bytes=2000))
    present = [v for v in values if v is not None]
    assert s.null_count == values.count(None) and s.has_min_max and s.num_values == len(present)

    def as_read(v):
        if isinstance(v, str) and type_ in ("string", "json", "json_text"):
            return v.encode()
        if isinstance(v, bytes) and type_.startswith("json"):
            return v
        if isinstance(v, datetime.date) and not isinstance(v, datetime.datetime):
            return (v - EPOCH).days
        return v

    key = (lambda v: v.encode()) if type_ in ("string", "json", "json_text") else None
    low, high = min(present, key=key), max(present, key=key)
    if type_.startswith("timestamp"):
        assert (int(s.min_raw), int(s.max_raw)) == (low, high)
    else:
        assert (as_read(s.min), as_read(s.max)) == (as_read(low), as_read(high))


@pytest.mark.parametrize("values, low, high", [
    ([1.5, -2.0, None], -2.0, 1.5),
    ([0.0, 1.0], -0.0, 1.0),
    ([-1.0, -0.0], -1.0, 0.0),
    ([0.0], -0.0, 0.0),
    ([math.inf, -math.inf], -math.inf, math.inf),
])
def test_statistics_of_doubles(values, low, high):
    s = statistics(write({"a": "double"}, [(v,) for v in values]))
    assert (s.min, s.max) == (low, high)
    assert (math.copysign(1, s.min), math.copysign(1, s.max)) == (math.copysign(1, low), math.copysign(1, high))


@pytest.mark.parametrize("values", [[math.nan], [1.0, math.nan, 2.0], [None], [None, math.nan]])
@pytest.mark.parametrize("times", [1, 1000])
def test_no_statistics_where_there_is_nan(values, times):
    """DuckDB and Polars hold NaN to be larger than all: a maximum without it would make them pass over rows."""
    s = statistics(write({"a": "double"}, [(v,) for v in values * times], page_bytes=100))
    assert not s.has_min_max and s.null_count == values.count(None) * times


def test_statistics_of_long_texts(tmp_path):
    cases = {
        "string": [(["a" * 100], "a" * 64, "a" * 63 + "b"), (["é" * 100], "é" * 32, "é" * 31 + "ê"), (["a" + "é" * 100], "a" + "é" * 31, "a" + "é" * 30 + "ê"),
                   (["\U0010ffff" * 100], "\U0010ffff" * 16, None), (["a" + "\U0010ffff" * 100], "a" + "\U0010ffff" * 15, "b"), (["\ud7ff" * 30], "\ud7ff" * 21, "\ud7ff" * 20 + "\ue000"),
                   (["a" * 64], "a" * 64, "a" * 64), (["a" * 64, "a" * 65], "a" * 64, "a" * 63 + "b")],
        "binary": [([b"\xff" * 100], b"\xff" * 64, None), ([b"a\xff" * 50], b"a\xff" * 32, b"a\xff" * 31 + b"b"), ([b"\xff" * 64], b"\xff" * 64, b"\xff" * 64)],
    }
    for type_, list_ in cases.items():
        for values, low, high in list_:
            file = write({"a": type_}, [(v,) for v in values])
            metadata = pq.ParquetFile(io.BytesIO(file)).metadata.row_group(0).column(0).statistics
            as_bytes = [v.encode() if isinstance(v, str) else v for v in (low, high, *values)]
            if high is None:
                assert not metadata.has_min_max or metadata.max is None
            else:
                assert [v.encode() if isinstance(v, str) else v for v in (metadata.min, metadata.max)] == as_bytes[:2]
                assert as_bytes[0] <= min(as_bytes[2:]) and max(as_bytes[2:]) <= as_bytes[1]
            got = by_duckdb(file, tmp_path, "SELECT count(*) AS n, min(a) AS a, max(a) AS b FROM file").to_pylist()[0]
            assert got == {"n": len(values), "a": min(values), "b": max(values)}


def test_pruning_gives_right_answers(tmp_path):
    """Many row groups, whose statistics DuckDB uses to pass over them: every answer as if it read all."""
    rng = random.Random(9)
    columns = {"i": "int64", "s": "string", "d": "double", "m": "decimal(38,3)", "t": "timestamp(micros)", "y": "date", "b": "binary", "w": "int32"}
    rows = []
    for i in range(20_000):
        base = i // 1000 * 100
        rows.append((base + rng.randrange(100) - 500, f"{chr(97 + i // 1000)}{'é' * rng.randrange(90)}{rng.randrange(9)}", math.nan if rng.random() < 0.0002 else base + rng.random(),
                     Decimal(base - 900) + Decimal(rng.randrange(1000)) / 1000, base * 10**9 - 10**12 + rng.randrange(10**9), base - 1000 + rng.randrange(100), bytes([i // 80]) * 70, None if i < 5000 else i - 10_000))
    file = write(columns, rows, page_bytes=4000, row_group_bytes=40_000)
    assert pq.ParquetFile(io.BytesIO(file)).num_row_groups > 15
    check(columns, rows, file, tmp_path)
    (tmp_path / "pruned.parquet").write_bytes(file)
    reader = duckdb.connect()
    for _ in range(40):
        low = rng.randrange(-600, 2000)
        i, s, d, m, w = low, chr(97 + rng.randrange(22)), low + 0.5, Decimal(low) / 2, low * 10
        asked = {
            f"i = {i}": lambda r: r[0] == i, f"i > {i}": lambda r: r[0] > i, f"s >= '{s}'": lambda r: r[1] >= s, f"s < '{s}é'": lambda r: r[1].encode() < (s + "é").encode(),
            # NaN is larger than all, as in PostgreSQL.
            f"d > {d}": lambda r: r[2] > d or r[2] != r[2], f"d <= {d}": lambda r: r[2] <= d, f"m < {m}": lambda r: r[3] < m, f"m >= {m}": lambda r: r[3] >= m,
            f"w = {w}": lambda r: r[7] == w, "w IS NULL": lambda r: r[7] is None, f"y = DATE '1970-01-01' + {low}": lambda r: r[5] == low,
            f"b = '\\x{i % 256:02x}'::BLOB": lambda r: False,
        }
        for condition, holds in asked.items():
            ((n,),) = reader.execute(f"SELECT count(*) FROM read_parquet('{tmp_path}/pruned.parquet') WHERE {condition}").fetchall()
            assert n == sum(map(holds, rows)), condition


# Values that don't fit


TEXTS = {
    "int32": ({"7": 7, "-2147483648": -(2**31), "7.0": 7, "7e3": 7000, "0e999999999999": 0, "-0": 0, "+5": 5, "100e-2": 1}, ["2147483648", "7.5", "", "x", "0x7", " 7", "1e10", "1e999999999999999999999"]),
    "int64": ({"9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63), "1.5e1": 15}, ["9223372036854775808", "1.5", "--1", "1e-1", "9" * 400]),
    "double": ({"1.5": 1.5, "-0": -0.0, "1e-400": 0.0, "NaN": math.nan, "-Infinity": -math.inf, "inf": math.inf, "0.1000000000000000055511151231257827": 0.1, "4.9e-324": 5e-324, "1" * 50: float("1" * 50)},
               ["1e400", "-1e400", "9" * 400, "", "x", "1.5x", "0x10p3", "nan(1)", " 1"]),
    "boolean": ({"true": True, "FALSE": False}, ["1", "yes", "", "truee"]),
    "date": ({"1970-01-01": 0, "1969-12-31": -1, "2000-02-29": 11016, "0001-01-01": -719162, "9999-12-31": 2932896, "+012345-01-01": 3789391, "-000001-01-01": -719893, "1900-03-01": -25508},
             ["1900-02-29", "2001-02-29", "2000-13-01", "2000-00-01", "2000-01-00", "2000-04-31", "20000101", "2000-1-1", "12345-01-01", "2000-01-01T00:00:00Z", "", "+9999999999-01-01"]),
    "timestamp(micros,utc)": ({"1970-01-01T00:00:00Z": 0, "1969-12-31T23:59:59.999999Z": -1, "2000-01-01 00:00+01:30": 946684800000000 - 5400000000, "2000-01-01T00:00:00.1234560000-0100": 946684800123456 + 3600000000, "2000-01-01T00:00Z": 946684800000000,
                               "2000-01-01T00:00:00+05": 946684800000000 - 18000000000},
                              ["2000-01-01T00:00:00", "2000-01-01T24:00:00Z", "2000-01-01T00:60:00Z", "2000-01-01T00:00:60Z", "2000-01-01T00:00:00.1234567Z", "2000-01-01", "2000-01-01T00:00:00.Z", "+999999999-01-01T00:00:00Z"]),
    "timestamp(nanos)": ({"1970-01-01T00:00:00.000000001": 1, "2262-04-11T23:47:16.854775807": 2**63 - 1, "1677-09-21T00:12:43.145224192": -(2**63)}, ["2262-04-11T23:47:16.854775808", "1677-09-21T00:12:43.145224191", "2000-01-01T00:00:00Z"]),
    "decimal(5,2)": ({"1": Decimal("1.00"), "-999.99": Decimal("-999.99"), "1.5000000000000000000000000000000000000000000000": Decimal("1.50"), "12e1": Decimal("120.00"), "1200e-4": Decimal("0.12"), "0e99999": Decimal("0.00"), "-0": Decimal("0.00"), ".5": Decimal("0.50"), "5.": Decimal("5.00"), "0000000000000000000000000000000000000000000000001": Decimal("1.00")},
                     ["1000", "999.995", "0.001", "", ".", "-", "1e", "1e+", "1..2", "1.2.3", "1e5", "NaN", "1e99999999999999999999", "1e-99999999999999999999", "1_0", "1" * 60]),
    "decimal(38,10)": ({"9999999999999999999999999999.9999999999": Decimal("9999999999999999999999999999.9999999999"), "-1234567890123456789012345678.0000000001": Decimal("-1234567890123456789012345678.0000000001")}, ["10000000000000000000000000000", "0.00000000001"]),
    "decimal(38,0)": ({"9" * 38: Decimal("9" * 38), "-" + "9" * 38: Decimal("-" + "9" * 38), "1e37": Decimal(10**37)}, ["1e38", "9" * 39, "0.1"]),
    "binary": ({"": b"", "AA==": b"\0", "AAE=": b"\0\x01", "+/+/": b"\xfb\xff\xbf"}, ["A", "AA", "AB==", "AA=A", "A===", "====", "-_-_", "AA==AA=="]),
    "string": ({"": "", "x": "x"}, []),
    "json": ({"{}": "{}", " [1] ": " [1] "}, ["", "{", "x", "1 2"]),
}


def test_texts():
    for type_, (good, bad) in TEXTS.items():
        lines = ['[{"text":%s}]' % json.dumps(t) for t in good]
        ((fine, file),) = run([payload({"a": type_}, lines)], "parquet-cells")
        assert fine, (type_, file)
        same(plain(by_pyarrow(file).column(0)), wanted(list(good.values())), type_)
        for (fine, error), text in zip(run([payload({"a": type_}, ['[{"text":%s}]' % json.dumps(t)]) for t in bad], "parquet-cells"), bad):
            assert not fine and "formats.parquet_misfit" in error and "`a`" in error, (type_, text, error)


@pytest.mark.parametrize("type_, value", [
    ("int32", 2**31), ("date", -(2**31) - 1), ("boolean", 1), ("string", True), ("int64", "7"), ("double", "x"), ("decimal(5,2)", 1000), ("decimal(38,38)", 1), ("binary", 1), ("decimal(2,0)", "100"), ("decimal(2,0)", "x"), ("string", b"\xff"), ("json", b"\xc0\x80"),
])
def test_values_of_another_type(type_, value):
    fine, error = try_write({"first": "int64", "a": type_}, [(1, value)])
    assert not fine and "formats.parquet_misfit" in error and "`a`" in error


def test_integers_as_decimals(tmp_path):
    rows = [(0, 0, 0), (999, -999, 2**63 - 1), (-1, 1, -(2**63))]
    file = write({"a": "decimal(5,2)", "b": "decimal(15,3)", "c": "decimal(38,10)"}, rows)
    check(dict.fromkeys("abc"), [tuple(Decimal(v).scaleb(0).quantize(Decimal(1).scaleb(-s)) for v, s in zip(row, (2, 3, 10))) for row in rows], file, tmp_path)


@pytest.mark.parametrize("columns", [[], [{"name": "a", "type": "int64"}] * 2, [{"name": "a", "type": "decimal(39,0)"}], [{"name": "a", "type": "decimal(5,6)"}], [{"name": "a", "type": "decimal(0,0)"}], [{"name": "a", "fields": []}]])
def test_schemas_that_are_refused(columns):
    ((fine, error),) = run([json.dumps({"fields": columns}).encode()], "parquet-cells")
    assert not fine and "formats.bad_parquet_schema" in error


def test_nobody_reads_a_damaged_page():
    """The checksums are right, else pyarrow would refuse every file above; here they catch a changed byte."""
    file = bytearray(write({"a": "string"}, [("some text that is found again",)], codec="none"))
    file[file.index(b"found")] ^= 1
    with pytest.raises(OSError, match="CRC"):
        by_pyarrow(bytes(file))


@pytest.mark.parametrize("seed", range(12))
def test_random_files(seed, tmp_path):
    rng = random.Random(seed)
    kinds = rng.choices(list(TYPES), k=rng.randrange(1, 9))
    columns = {f"{i} {t}": t for i, t in enumerate(kinds)}
    count = rng.choice([10, 500, 5000, 30_000])
    values = []
    for t in kinds:
        _, edges, draw = TYPES[t]
        pool = [draw(rng) for _ in range(rng.choice([1, 2, 3, 16, 17, 255, 257, 5000]))] + [e for e in edges if t != "string"]
        rate, repeats = rng.choice([0, 0, 0.01, 0.5, 0.99]), rng.choice([0, 0.9, 0.99])
        column = []
        while len(column) < count:
            if column and rng.random() < repeats:
                column.append(column[-1])
            else:
                column.append(None if rng.random() < rate else rng.choice(pool))
        values.append(column)
    write_and_check(columns, list(zip(*values)), tmp_path, codec=rng.choice(CODECS), page_bytes=rng.choice([64, 1000, 30_000, 1 << 20]), row_group_bytes=rng.choice([5000, 100_000, 64 << 20]))
