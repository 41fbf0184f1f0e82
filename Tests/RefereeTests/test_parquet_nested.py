"""Lists and structs in Parquet files of NebulaFormats, out of JSON and BSON documents, read back by pyarrow, DuckDB and
Polars: equal to the documents."""

import base64
import datetime
import io
import json
import random
from decimal import Decimal

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_files import by_duckdb, by_polars, by_pyarrow, fields_of, payload, run

UTC = datetime.timezone.utc


def write(columns, documents, mode="parquet-objects", **options):
    lines = [d if isinstance(d, str) else json.dumps(d, ensure_ascii=False) for d in documents]
    return run([payload(columns, lines, **options)], mode)[0]


def written(columns, documents, mode="parquet-objects", **options):
    fine, file = write(columns, documents, mode, **options)
    assert fine, file
    return file


def check(file, rows, tmp_path, arrow=None, duckdb=True):
    table = by_pyarrow(file)
    table.validate(full=True)
    if arrow is not None:
        assert table.equals(pa.Table.from_pylist(rows, schema=arrow)), (table, rows)
    tables = {"pyarrow": table, "polars": by_polars(file)} | ({"duckdb": by_duckdb(file, tmp_path)} if duckdb else {})
    for reader, got in tables.items():
        got = got.to_pylist()
        assert len(got) == len(rows), reader
        for index, (a, b) in enumerate(zip(got, rows)):
            assert a == b, (reader, index, a, b)


def list_of(type_):
    return {"element": type_ if isinstance(type_, dict) else {"type": type_}}


def struct_of(**fields):
    return {"fields": fields_of(fields)}


NESTED = {
    "list": (list_of("int64"), [None, [], [None], [1], [1, None, 2], [None, None]]),
    "list of lists": (list_of(list_of("string")), [None, [], [None], [[]], [[None]], [["a"], [], None, ["b", None]], [[], [], ["c"]]]),
    "deep list": (list_of(list_of(list_of("int64"))), [None, [], [None], [[]], [[None]], [[[]]], [[[None]]], [[[1, 2], [], None, [3]], None, [[4]]]]),
    "struct": (struct_of(a="int64", b="string"), [None, {"a": None, "b": None}, {"a": 1, "b": None}, {"a": None, "b": ""}, {"a": 2, "b": "x"}]),
    "struct of structs": (struct_of(s=struct_of(a="int64"), c="boolean"), [None, {"s": None, "c": True}, {"s": {"a": None}, "c": None}, {"s": {"a": 7}, "c": False}]),
    "list of structs": (list_of(struct_of(a="int64", b=list_of("string"))),
                        [None, [], [None], [{"a": None, "b": None}], [{"a": 1, "b": []}], [{"a": 2, "b": [None, "x"]}, None, {"a": None, "b": ["y"]}]]),
    "struct of lists": (struct_of(x=list_of("int64"), y=list_of(struct_of(z="double"))),
                        [None, {"x": None, "y": None}, {"x": [], "y": []}, {"x": [1, 2], "y": [{"z": 0.5}, None, {"z": None}]}, {"x": [None], "y": None}]),
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("options", [{}, {"page_bytes": 20, "row_group_bytes": 300}])
def test_nulls_and_empties_at_every_level(name, options, tmp_path):
    type_, values = NESTED[name]
    rng = random.Random(name)
    rows = [{"id": i, "v": v} for i, v in enumerate(values + [rng.choice(values) for _ in range(300)])]
    check(written({"id": "int64", "v": type_}, rows, **options), rows, tmp_path)
    for value in values:
        check(written({"v": type_}, [{"v": value}] * 3), [{"v": value}] * 3, tmp_path)


def test_missing_members_are_null(tmp_path):
    columns = {"a": "int64", "s": struct_of(b="string", c=list_of("int64"))}
    rows = [{"a": None, "s": None}, {"a": 1, "s": None}, {"a": None, "s": {"b": None, "c": None}}, {"a": None, "s": {"b": "x", "c": None}}]
    check(written(columns, ["{}", '{"a":1}', '{"s":{}}', '{"s":{"b":"x"}}']), rows, tmp_path)


# Random types and values, with what Arrow calls the type.

LEAVES = {
    "int64": (pa.int64(), lambda r: r.choice([0, -1, 2**63 - 1, -(2**63), r.randrange(1000)])),
    "int32": (pa.int32(), lambda r: r.randrange(-(2**31), 2**31)),
    "double": (pa.float64(), lambda r: r.choice([0.5, 1e300, r.uniform(-9, 9)])),
    "string": (pa.string(), lambda r: r.choice(["", "a", "é☆😀", "\"\\\n\0", "x" * 100, str(r.random())])),
    "boolean": (pa.bool_(), lambda r: r.random() < 0.5),
    "date": (pa.date32(), lambda r: datetime.date.fromordinal(r.randrange(1, 3_000_000))),
    "timestamp(micros,utc)": (pa.timestamp("us", "UTC"), lambda r: datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(microseconds=r.randrange(-(10**15), 10**15))),
    "timestamp(micros)": (pa.timestamp("us"), lambda r: datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=r.randrange(-(10**15), 10**15))),
    "decimal(38,10)": (pa.decimal128(38, 10), lambda r: Decimal(r.randrange(-(10**37), 10**37)).scaleb(-10)),
    "decimal(9,2)": (pa.decimal128(9, 2), lambda r: Decimal(r.randrange(-(10**9) + 1, 10**9)).scaleb(-2)),
    "binary": (pa.binary(), lambda r: r.randbytes(r.randrange(9))),
}


def random_type(rng, depth):
    """A type's description, Arrow's type and how to draw a value."""
    kind = rng.random()
    if depth == 0 or kind < 0.4:
        name = rng.choice(list(LEAVES))
        arrow, draw = LEAVES[name]
        return {"type": name}, arrow, draw
    if kind < 0.7:
        type_, arrow, draw = maybe_null(rng, depth - 1)
        return {"element": type_}, pa.list_(arrow), lambda r: [draw(r) for _ in range(r.choice([0, 1, 2, 5]))]
    names = rng.sample(["a", "b", "é", "list", "element", "x.y", "q\"", "d e", "\\"], rng.randrange(1, 4))
    parts = {name: maybe_null(rng, depth - 1) for name in names}
    return ({"fields": [{"name": n, **t} for n, (t, _, _) in parts.items()]}, pa.struct([(n, a) for n, (_, a, _) in parts.items()]),
            lambda r: {n: d(r) for n, (_, _, d) in parts.items()})


def maybe_null(rng, depth):
    type_, arrow, draw = random_type(rng, depth)
    rate = rng.choice([0, 0.1, 0.5, 0.9])
    return type_, arrow, lambda r: None if r.random() < rate else draw(r)


def as_json(value):
    match value:
        case bytes(): return json.dumps(base64.b64encode(value).decode())
        case datetime.datetime(): return json.dumps(value.isoformat() if value.tzinfo is None else value.isoformat().replace("+00:00", "Z"))
        case datetime.date(): return json.dumps(value.isoformat())
        case Decimal(): return f"{value:f}" if hash(value) % 2 else json.dumps(f"{value:f}")
        case list(): return "[" + " , ".join(map(as_json, value)) + "]"
        case dict(): return "{" + ",".join(f"{json.dumps(k)}: {as_json(v)}" for k, v in value.items()) + "}"
        case _: return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("seed", range(40))
def test_random_documents(seed, tmp_path):
    rng = random.Random(seed)
    fields = {f"{i}": maybe_null(rng, rng.randrange(5)) for i in range(rng.randrange(1, 5))}
    columns = {name: type_ for name, (type_, _, _) in fields.items()}
    rows = [{name: draw(rng) for name, (_, _, draw) in fields.items()} for _ in range(rng.choice([1, 30, 400]))]
    options = {"codec": rng.choice(["none", "snappy", "zstd"]), "page_bytes": rng.choice([50, 1000, 1 << 20]), "row_group_bytes": rng.choice([2000, 1 << 20])}
    file = written(columns, [as_json(row) for row in rows], **options)
    check(file, rows, tmp_path, pa.schema([(n, a) for n, (_, a, _) in fields.items()]))
    # A document that is refused in its middle leaves nothing: the file is the same byte for byte.
    bad = []
    for row in rows:
        while rng.random() < 0.4:
            text = as_json(row)
            bad.append(rng.choice(['{"unknown":1,' + text[1:] if text != "{}" else '{"unknown":1}', text[:-1], text[:-1] + ',"0":{"unknown":[{}]}}', "[]", text + "x"]))
        bad.append(as_json(row))
    assert written(columns, bad, skip_rejects=True, **options) == file


@pytest.mark.parametrize("seed", range(5))
def test_walking_writes_the_same(seed):
    rng = random.Random(f"walk {seed}")
    simple = {"int64": LEAVES["int64"], "string": LEAVES["string"], "boolean": LEAVES["boolean"]}
    kept = dict(LEAVES)
    try:
        LEAVES.clear()
        LEAVES.update(simple)
        fields = {f"{i}": maybe_null(rng, 4) for i in range(3)}
    finally:
        LEAVES.clear()
        LEAVES.update(kept)
    columns = {name: type_ for name, (type_, _, _) in fields.items()}
    rows = [as_json({name: draw(rng) for name, (_, _, draw) in fields.items()}) for _ in range(300)]
    assert written(columns, rows, "parquet-walk", page_bytes=500) == written(columns, rows, page_bytes=500)


def test_pages_of_lists(tmp_path):
    """Rows never lie in two pages, however long their lists."""
    rng = random.Random(3)
    rows = [{"i": i, "l": [{"n": rng.randrange(9), "s": ["x"] * rng.randrange(3)} for _ in range(rng.choice([0, 1, 50, 3000 if i % 97 == 0 else 2]))]} for i in range(1500)]
    file = written({"i": "int64", "l": list_of(struct_of(n="int64", s=list_of("string")))}, rows, page_bytes=3000, row_group_bytes=200_000)
    check(file, rows, tmp_path)
    metadata = pq.ParquetFile(io.BytesIO(file)).metadata
    entries = sum(len(r["l"]) or 1 for r in rows)
    assert sum(metadata.row_group(g).column(1).num_values for g in range(metadata.num_row_groups)) == entries
    assert [metadata.row_group(0).column(c).path_in_schema for c in range(3)] == ["i", "l.list.element.n", "l.list.element.s.list.element"]


# Hostile documents


def refused(columns, document, *words, mode="parquet-objects", **options):
    fine, error = write(columns, [document], mode, **options)
    assert not fine and all(word in error for word in words), (document, error)


def test_doubled_members_and_escaped_names(tmp_path):
    columns = {"a": "int64", "s": struct_of(b="string", c=list_of("int64"))}
    documents = ['{"a":1,"a":2}', '{"a":"misfit","s":{"b":1,"b":"x","c":{},"c":[1]},"a":3}', '{"\\u0061":4,"s":{"\\u0062":"\\u00e9\\ud83d\\ude00"}}', '{"a":5,"\\u0061":6}', '{"s":null,"s":{"b":null}}', '{"s":{"b":"x"},"s":null}']
    rows = [{"a": 2, "s": None}, {"a": 3, "s": {"b": "x", "c": [1]}}, {"a": 4, "s": {"b": "é😀", "c": None}}, {"a": 6, "s": None}, {"a": None, "s": {"b": None, "c": None}}, {"a": None, "s": None}]
    check(written(columns, documents), rows, tmp_path)


def test_deep_nesting(tmp_path):
    deep = "[" * 499 + "]" * 499
    check(written({"j": "json_text"}, ['{"j":%s}' % deep]), [{"j": deep}], tmp_path)
    refused({"j": "json_text"}, '{"j":%s}' % ("[" * 500 + "]" * 500), "nested deeper")
    refused({"j": list_of("int64")}, '{"j":%s}' % deep, "parquet_misfit", "`j[]`")
    type_ = "int64"
    value = 7
    for _ in range(40):
        type_, value = list_of(type_), [value, []] if isinstance(value, list) else [value]
    # DuckDB's time doubles with about every level of lists.
    check(written({"v": type_}, [{"v": value}, {"v": None}, {"v": []}]), [{"v": value}, {"v": None}, {"v": []}], tmp_path, duckdb=False)
    for _ in range(70):
        type_ = list_of(type_)
    refused({"v": type_}, "{}", "bad_parquet_schema", "nested deeper")


@pytest.mark.parametrize("type_, value, fits", [
    ("int64", "9223372036854775807", 2**63 - 1), ("int64", "9223372036854775808", None), ("int64", "1e3", 1000), ("int64", "1.0", 1), ("int64", "1.5", None), ("int64", "1e400", None), ("int64", "9" * 5000, None), ("int64", "1e-99999999999999999999999", None),
    ("int32", "2147483648", None), ("double", "1e400", None), ("double", "0.1", 0.1), ("double", "0.1000000000000000055511151231257827", None), ("double", "9007199254740993", None), ("double", "9007199254740992", 2.0**53), ("double", "9" * 5000, None), ("double", "1e-400", None),
    ("double", '"NaN"', None), ("decimal(5,2)", "999.99", Decimal("999.99")), ("decimal(5,2)", '"999.99"', Decimal("999.99")), ("decimal(5,2)", "999.999", None), ("decimal(5,2)", "1e3", None), ("decimal(38,0)", "1e37", Decimal(10**37)), ("decimal(38,0)", "1e38", None),
    ("string", "1", None), ("string", "true", None), ("string", "{}", None), ("string", "[]", None), ("boolean", '"true"', None), ("boolean", "1", None), ("boolean", "true", True), ("int64", '"1"', None), ("int64", "true", None), ("date", '"2024-02-30"', None), ("date", "1", None),
    ("timestamp(micros,utc)", '"2024-01-01T00:00:00"', None), ("timestamp(micros)", '"2024-01-01T00:00:00Z"', None), ("binary", '"AB=="', None), ("binary", '"\\u0041AE="', b"\0\x01"), ("json_text", '"a"', '"a"'), ("json_text", "1.10", "1.10"), ("json", "{ }", "{ }"), ("json_text", "true", "true"),
])
def test_values_that_fit_and_do_not(type_, value, fits):
    document = '{"v":%s,"l":[{"v":%s}]}' % (value, value)
    columns = {"v": type_, "l": list_of(struct_of(v=type_))}
    if fits is None:
        refused(columns, document, "formats.parquet_misfit", "`v`")
        refused({"l": columns["l"]}, '{"l":[{"v":%s}]}' % value, "formats.parquet_misfit", "`l[].v`")
    else:
        (row,) = by_pyarrow(written(columns, [document])).to_pylist()
        assert row == {"v": fits, "l": [{"v": fits}]}


def test_rounding_is_a_choice():
    values = {"0.1000000000000000055511151231257827": 0.1, "1e-400": 0.0, "9007199254740993": 2.0**53, "9" * 50: float("9" * 50)}
    file = written({"v": "double"}, ['{"v":%s}' % v for v in values], rounds_doubles=True)
    assert by_pyarrow(file).column(0).to_pylist() == list(values.values())
    refused({"v": "double"}, '{"v":1e400}', "formats.parquet_misfit", rounds_doubles=True)


def test_shapes_that_do_not_fit():
    columns = {"s": struct_of(a="int64"), "l": list_of("int64")}
    for document, words in {'{"s":1}': ["`s` is a struct", "a number"], '{"s":[]}': ["`s`", "an array"], '{"l":{}}': ["`l` is a list", "an object"], '{"l":"x"}': ["`l`"], '{"l":[[1]]}': ["`l[]`"], '{"l":[1,"x"]}': ["`l[]`"]}.items():
        refused(columns, document, "formats.parquet_misfit", *words)
    for document in ["[]", "1", '"x"', "null", "", "{", '{"l":[1,]}', '{"s":{"a":1}', '{"l":"\\ud8"}']:
        fine, error = write(columns, [document + " "])
        assert not fine and ("formats.parquet_misfit" in error or "formats.malformed_json" in error), (document, error)
    ((fine, error),) = run([payload({"s": "string"}, []) + b'\n{"s":"\xff"}'], "parquet-objects")
    assert not fine and "malformed_json" in error


def test_unknown_members():
    refused({"a": struct_of(b="int64")}, '{"a":{"b":1,"c":2}}', "`a` has no field `c`")
    refused({"a": "int64"}, '{"a":1,"":2}', "The document has no field ``")
    file = written({"a": struct_of(b="int64")}, ['{"x":[{}],"a":{"c":{"b":9},"b":1}}'], passes_over_unknown=True)
    assert by_pyarrow(file).to_pylist() == [{"a": {"b": 1}}]


def test_half_a_surrogate_pair():
    assert by_pyarrow(written({"a": "string"}, ['{"a":"x\\ud83dy"}'])).to_pylist() == [{"a": "x\ufffdy"}]


def test_large_values(tmp_path):
    rows = [{"s": "é" * 3_000_000, "l": list(range(300_000)), "j": json.dumps(["x" * 1_000_000])}, {"s": None, "l": [], "j": None}]
    documents = ['{"s":%s,"l":%s,"j":%s}' % (json.dumps(r["s"], ensure_ascii=i == 0), json.dumps(r["l"]), r["j"] or "null") for i, r in enumerate(rows)]
    check(written({"s": "string", "l": list_of("int64"), "j": "json_text"}, documents), rows, tmp_path)


# BSON


def test_bson_documents(tmp_path):
    now = datetime.datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)
    oid = bson.ObjectId("0123456789abcdef01234567")
    columns = {
        "i": "int64", "d": "double", "s": "string", "b": "boolean", "t": "timestamp(micros,utc)", "n": "timestamp(nanos,utc)", "m": "decimal(38,4)", "x": "binary", "j": "json_text", "id": "string",
        "l": list_of("int64"), "o": struct_of(a="int64", l=list_of(struct_of(z="string"))), "when": "string",
    }
    documents = [
        {"i": 7, "d": 0.5, "s": "é", "b": True, "t": now, "n": now, "m": bson.Decimal128("-12.3400"), "x": b"\0\xff", "j": {"a": [1, oid]}, "id": oid, "l": [1, bson.Int64(2**62), None], "o": {"a": None, "l": [{"z": "q"}, {}, None]}, "when": now},
        {"i": bson.Int64(-(2**63)), "d": float("nan"), "s": "", "b": False, "t": datetime.datetime(1, 1, 1, tzinfo=UTC), "m": 5, "x": b"", "j": "text", "l": [], "o": {}},
        {"d": bson.Int64(2**53), "m": 0.25, "j": None, "o": None},
        {},
    ]
    blank = dict.fromkeys(columns)
    rows = [
        blank | {"i": 7, "d": 0.5, "s": "é", "b": True, "t": now, "n": now, "m": Decimal("-12.3400"), "x": b"\0\xff", "j": '{"a":[1,"0123456789abcdef01234567"]}', "id": str(oid), "l": [1, 2**62, None], "o": {"a": None, "l": [{"z": "q"}, {"z": None}, None]}, "when": "2024-05-06T07:08:09.123Z"},
        blank | {"i": -(2**63), "d": "NaN", "s": "", "b": False, "t": datetime.datetime(1, 1, 1, tzinfo=UTC), "m": Decimal(5), "x": b"", "j": '"text"', "l": [], "o": {"a": None, "l": None}},
        blank | {"d": 2.0**53, "m": Decimal("0.25")},
        blank,
    ]
    ((fine, file),) = run([payload(columns, []) + b"\n" + b"".join(map(bson.encode, documents))], "parquet-bson")
    assert fine, file
    for table in [by_pyarrow(file), by_duckdb(file, tmp_path), by_polars(file)]:
        got = table.drop_columns(["n"]).to_pylist()
        for row in got:
            row["d"] = "NaN" if row["d"] != row["d"] else row["d"]
        assert got == [{k: v for k, v in row.items() if k != "n"} for row in rows]
        assert table.column("n").cast(pa.int64()).to_pylist()[0] == int(now.timestamp()) * 10**9 + 123_000_000


@pytest.mark.parametrize("type_, value", [
    ("int64", 1.5), ("int64", "1"), ("int32", bson.Int64(2**31)), ("double", bson.Int64(2**53 + 1)), ("double", "x"), ("boolean", 1), ("string", 1), ("timestamp(nanos,utc)", datetime.datetime(3000, 1, 1)), ("timestamp(micros)", datetime.datetime(2000, 1, 1)),
    ("date", datetime.datetime(2000, 1, 1, 1)), ("decimal(5,2)", bson.Decimal128("NaN")), ("decimal(5,2)", 1000), ("binary", bson.ObjectId()), ("binary", "AAAA"), ("decimal(5,2)", 0.001), (list_of("int64"), {}), (struct_of(a="int64"), []), (list_of("int64"), ["x"]),
])
def test_bson_that_does_not_fit(type_, value):
    ((fine, error),) = run([payload({"v": type_}, []) + b"\n" + bson.encode({"v": value})], "parquet-bson")
    assert not fine and "formats.parquet_misfit" in error, error


def test_damaged_bson():
    whole = bson.encode({"a": 1, "o": {"s": "text"}, "l": [1, 2]})
    columns = {"a": "int64", "o": struct_of(s="string"), "l": list_of("int64")}
    good = run([payload(columns, []) + b"\n" + whole], "parquet-bson")[0]
    assert good[0]
    for at in range(4, len(whole)):
        for bit in (1, 0x80, 0xFF):
            changed = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
            ((fine, answer),) = run([payload(columns, []) + b"\n" + changed], "parquet-bson") if at % 7 == 0 else [(True, None)]
            assert fine or "formats." in answer


# Inference


def infer(documents):
    ((fine, answer),) = run(["\n".join(documents).encode()], "parquet-infer")
    assert fine, answer
    return json.loads(answer)


def inferred(*values):
    (field,) = infer(['{"v":%s}' % v for v in values])
    field.pop("name")
    return field


def typed(name):
    return {"type": name}


@pytest.mark.parametrize("values, type_", [
    (["1", "-5", "null"], typed("int64")), (["1", "1.5"], typed("double")), (["1.0"], typed("double")), (["9223372036854775808"], typed("json_text")), (["9223372036854776000"], typed("double")), (["9223372036854775809"], typed("json_text")), (["9007199254740993"], typed("int64")), (["9007199254740993", "0.5"], typed("json_text")),
    (["0.1000000000000000055511151231257827"], typed("json_text")), (["1e400"], typed("json_text")), (["1e5"], typed("double")), (["true", "false"], typed("boolean")), (['"a"', "null"], typed("string")), (["null"], typed("json_text")), (["1", '"a"'], typed("json_text")),
    (["[]"], list_of("json_text")), (["[1,2]", "[]", "null"], list_of("int64")), (["[1]", "[1.5]"], list_of("double")), (["[1,\"a\"]"], list_of("json_text")), (["[[1],[]]"], list_of(list_of("int64"))), (["[1]", "1"], typed("json_text")), (["{}"], typed("json_text")),
    (['{"a":1}', '{"b":"x"}', "{}"], struct_of(a="int64", b="string")), (['{"a":1}', '{"a":{}}'], struct_of(a="json_text")), (['{"a":1}', "[]"], typed("json_text")), (['[{"a":1},{"b":[]}]'], list_of(struct_of(a="int64", b=list_of("json_text")))),
    (['{"a":1,"A":2}'], typed("json_text")), (['{"":1}'], typed("json_text")), (['{"a":1,"a":"x"}'], struct_of(a="json_text")), (['{"\\u0061":1,"a":2}'], struct_of(a="int64")),
    (["{%s}" % ",".join('"k%d":1' % i for i in range(1001))], typed("json_text")),
])
def test_inference(values, type_):
    assert inferred(*values) == type_


def test_inference_of_deep_documents(tmp_path):
    for text in ["[" * 400 + "]" * 400, '{"a":' * 400 + "1" + "}" * 400]:
        document = '{"v":%s}' % text
        fields = infer([document])
        columns = {f.pop("name"): f for f in fields}
        check(written(columns, [document]), by_pyarrow(written(columns, [document])).to_pylist(), tmp_path)


def random_value(rng, depth):
    match rng.randrange(10 if depth else 7):
        case 0: return None
        case 1: return rng.random() < 0.5
        case 2 | 3: return rng.choice([0, 1, -7, 2**53, 2**62, 10**30, rng.randrange(100)])
        case 4: return rng.choice([0.5, 1e10, 2.5e-7, rng.random()])
        case 5 | 6: return rng.choice(["", "x", "é☆😀", "2024-01-01", '"', "null", "1"])
        case 7: return [random_value(rng, depth - 1) for _ in range(rng.choice([0, 1, 3]))]
        case _: return {rng.choice(["a", "b", "c d", "é", "x.y", "", "list"]): random_value(rng, depth - 1) for _ in range(rng.choice([0, 1, 3]))}


def seen_through(type_, value):
    """What a value becomes in a column of that type; numbers as readers give them."""
    if value is None:
        return None
    if type_.get("type") == "json_text":
        return ("json", value)
    if "element" in type_:
        return [seen_through(type_["element"], v) for v in value]
    if "fields" in type_:
        return {f["name"]: seen_through(f, value.get(f["name"])) for f in type_["fields"]}
    return float(value) if type_["type"] == "double" else value


def parsed(type_, value):
    if value is None:
        return None
    if type_.get("type") == "json_text":
        return ("json", json.loads(value))
    if "element" in type_:
        return [parsed(type_["element"], v) for v in value]
    if "fields" in type_:
        return {f["name"]: parsed(f, value[f["name"]]) for f in type_["fields"]}
    return value


@pytest.mark.parametrize("seed", range(40))
def test_documents_fit_what_was_inferred_of_them(seed, tmp_path):
    """Whatever the documents: the columns inferred from them take every one, and nothing is lost."""
    rng = random.Random(seed)
    keys = [["n", "s", "o", "l"], ["n"], ["", "é", "n m"]][seed % 3]
    uniform = seed % 2 == 0
    shapes = {k: [random_value(rng, 4) for _ in range(1 if uniform else 3)] for k in keys}

    def like(value):
        """A value of the same shape, for columns that do not all end as text."""
        match value:
            case bool() | None: return value
            case int(): return rng.choice([value, 1, 2**40])
            case list(): return [like(v) for v in value for _ in range(rng.randrange(3))]
            case dict(): return {k: like(v) for k, v in value.items() if rng.random() < 0.8}
            case _: return value
    documents = [{k: like(rng.choice(shapes[k])) for k in keys if rng.random() < 0.9} for _ in range(50)]
    documents[0] = {k: shapes[k][0] for k in keys}
    lines = [json.dumps(d, ensure_ascii=rng.random() < 0.5) for d in documents]
    fields = infer(lines)
    columns = {f["name"]: {k: v for k, v in f.items() if k != "name"} for f in fields}
    file = written(columns, lines)
    rows = [{f["name"]: seen_through(f, d.get(f["name"])) for f in fields} for d in documents]
    for reader, table in [("pyarrow", by_pyarrow(file)), ("duckdb", by_duckdb(file, tmp_path)), ("polars", by_polars(file))]:
        # DuckDB gives a column without a name one of its own.
        got = [dict(zip([f["name"] for f in fields], row.values())) for row in table.to_pylist()]
        assert [{f["name"]: parsed(f, row[f["name"]]) for f in fields} for row in got] == rows, reader
