"""Malformed, large and odd records through the real program: a dead letter or an error, and nothing lost.

Where rows are owed, they are read back by others: Python's json and csv, and Snowflake's own connector.
"""
import csv
import gzip
import io
import json
import math

import bson
import pytest
from pipelines import ONCE, Files, dead_letters, payload

from Sandbox.program import call, settings
from Sandbox.stack import DATABASE, SCHEMA

# --- Malformed records -----------------------------------------------------------------------------------------------

BAD_JSON = {2: b'{"n": 1', 3: b"{'n': 1}", 4: b'{"n":NaN}', 5: b'{"n":Infinity}', 6: b'{"n":-Infinity}', 7: b'{"n":01}',
            8: b'{"s":"\xff\xfe"}', 9: b'{"s":"\xc0\xaf"}', 10: b'{"s":"\xed\xa0\x80"}', 11: b'{"n":1}{"n":2}', 12: b"plain text",
            13: b'{"s":"a\tb"}', 14: b'{"n":1,}', 15: b"\x00"}


def test_malformed_json_lines(files):
    lines = [b'{"n":1}', *BAD_JSON.values(), '{"s":"é \U0001f600"}'.encode(), b'{"n":18446744073709551616,"d":0.10}']
    source = files.write("in.jsonl", b"\n".join(lines) + b"\n")
    ended = files.run(source).done(read=len(lines), committed=3, rejected=len(BAD_JSON))
    assert ended.summary["dead_letters"] == str(files.state / "dead-letters")
    assert files.lines() == [{"n": 1}, {"s": "é \U0001f600"}, {"n": 18446744073709551616, "d": 0.1}]
    assert '"n":18446744073709551616,"d":0.10' in next(files.out.glob("*.jsonl")).read_text(), "numbers keep their text"
    letters = files.letters()
    assert {letter["place"]: payload(letter) for letter in letters} == {f"{source}:{n}": line for n, line in BAD_JSON.items()}
    assert {letter["code"] for letter in letters} == {"file.bad_line"} and all(letter["remedy"] for letter in letters)
    files.run(source).done(read=0, committed=0, rejected=0)


def test_malformed_csv_rows(files):
    good = [{"id": "1", "text": "a"}, {"id": "2", "text": "two\nlines, and a \"quote\""}, {"id": "3", "text": ""}]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["id", "text"], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(good)
    bad = [b"4", b"5,b,c", b"6,\xff", b'7,"x"y', b'8,"never closed\n']
    source = files.write("in.csv", text.getvalue().encode() + b"\r\n".join(bad))
    files.run(source).done(read=8, committed=3, rejected=5)
    assert files.lines() == good
    letters = files.letters()
    # The second row has two lines, so the first bad one stands in line 6.
    assert [letter["place"] for letter in letters] == [f"{source}:{line}" for line in range(6, 11)]
    assert [payload(letter).rstrip(b"\n") for letter in letters] == [line.rstrip(b"\n") for line in bad]
    assert [letter["code"] for letter in letters[:2]] == ["file.wrong_width"] * 2


def test_values_that_do_not_fit_their_declared_type(files):
    source = files.write("in.csv", "n,d,b\n1,1.5,true\nx,1,true\n2,NaN,true\n3,1,maybe\n9007199254740993,1e400,false\n")
    files.run(source, *settings(source__columns="{n: integer, d: number, b: boolean}")).done(committed=2, rejected=3)
    assert next(files.out.glob("*.jsonl")).read_text().splitlines() == [
        '{"n":1,"d":1.5,"b":true}', '{"n":9007199254740993,"d":1e400,"b":false}']
    assert [(letter["place"], letter["code"]) for letter in files.letters()] == [
        (f"{source}:{line}", "file.bad_value") for line in (3, 4, 5)]


def test_more_rejects_than_allowed_stop_the_run(files):
    source = files.write("in.jsonl", b'{"n":1}\n' + b"bad\n" * 5 + b'{"n":2}\n')
    error = files.run(source, *settings(pipeline__max_rejected=3)).failed("pipeline.too_many_rejected", 1)
    assert "max_rejected" in error["message"] and f"{source}:" in error["message"]
    files.run(source, *settings(pipeline__max_rejected=5)).done(committed=2, rejected=5)
    assert files.lines() == [{"n": 1}, {"n": 2}]


def test_truncated_and_damaged_compressed_files(files):
    whole = gzip.compress(b"".join(json.dumps({"n": n, "pad": "x" * n}).encode() + b"\n" for n in range(5000)))
    source = files.write("in.jsonl.gz", whole[:-200])
    ended = files.run(source)
    assert ended.code != 0 and len(ended.errors) == 1 and str(source) in json.dumps(ended.errors), str(ended)
    source.write_bytes(whole)
    files.run(source).done()
    assert files.lines() == [{"n": n, "pad": "x" * n} for n in range(5000)]


def raw_document(number: int, element: bytes) -> bytes:
    body = b"\x10_id\x00" + number.to_bytes(4, "little") + element + b"\x00"
    return (len(body) + 4).to_bytes(4, "little") + body


MALFORMED_BSON = {
    1: b"\x02s\x00\x03\x00\x00\x00\xff\xfe\x00",            # text that is not UTF-8
    2: b"\x02s\x00\x40\x00\x00\x00ab\x00",                  # text longer than the document
    3: b"\x08b\x00\x02",                                    # neither true nor false
    4: b"\x7ex\x00\x01\x02",                                # no such type
    5: b"\x03d\x00\x30\x00\x00\x00\x00",                    # inner document longer than the outer one
    6: b"\x02s\x00\x02\x00\x00\x00ab",                      # text without its end
}


@pytest.mark.parametrize("late", [False, True], ids=["copied", "changed"])
def test_malformed_bson(target, stack, late):
    """A document that cannot be read is one dead letter with its key; those around it arrive."""
    table = target()
    if late:
        table.put({"_id": 100})
        table.run("mongo").done(committed=1)
    else:
        table.put({"_id": 100})
    table.put({"_id": 0, "ok": True}, *[raw_document(n, element) for n, element in MALFORMED_BSON.items()], {"_id": 7, "ok": True})
    ended = table.run("mongo").done(committed=2 if late else 3, rejected=6)
    assert sorted(d["_id"] for d in table.documents()) == [0, 7, 100]
    letters = dead_letters(table.state)
    # The last "_id" of an event is that of its documentKey.
    numbers = [int.from_bytes(raw[raw.rindex(b"\x10_id\x00") + 5:][:4], "little") for raw in map(payload, letters)]
    assert sorted(numbers) == list(MALFORMED_BSON)
    assert all(letter["place"].partition(" ")[0] == f"bad.{table.name}" for letter in letters)
    assert {(letter["code"], letter["format"]) for letter in letters} == {("formats.malformed_bson", "bson")}
    assert all("at byte" in letter["message"] and letter["remedy"] for letter in letters) and ended.code == 0


def test_invalid_utf8_and_csv_into_snowflake(target, files):
    source = files.write("in.csv", b"id,text\n1,caf\xc3\xa9\n2,caf\xe9\n3,\"line\nbreak\"\n4,\n5,\"\"\n")
    table = target()
    table.file(source).done(committed=4, rejected=1)
    assert table.select("ID, TEXT") == [("1", "café"), ("3", "line\nbreak"), ("4", None), ("5", "")]
    [letter] = dead_letters(table.state)
    assert letter["place"] == f"{source}:3" and payload(letter) == b"2,caf\xe9"


# --- Large and odd ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("late", [False, True], ids=["copied", "changed"])
def test_a_document_of_15_9_megabytes(target, late):
    table = target()
    large = {"_id": 1, "text": "äb\"\\\n" * 100_000, "bytes": b"\x00\xff" * 1000}
    large["pad"] = "x" * (15_900_000 - len(bson.encode(large | {"pad": ""})))
    assert len(bson.encode(large)) == 15_900_000
    table.put({"_id": 0})
    if late:
        table.run("mongo").done(committed=1)
    table.put(large, {"_id": 2})
    table.run("mongo").done(committed=2 if late else 3, rejected=0)
    found = {d["_id"]: d for d in table.documents()}
    assert set(found) == {0, 1, 2}
    assert found[1]["text"] == large["text"] and found[1]["pad"] == large["pad"]


def test_a_row_over_max_row_bytes_is_one_dead_letter(target):
    table = target()
    table.put({"_id": 0}, {"_id": 1, "text": "x" * 5000}, {"_id": 2})
    table.run("mongo", *settings(destination__max_row_bytes="2KiB")).done(committed=2, rejected=1)
    assert [d["_id"] for d in table.documents()] == [0, 2]
    [letter] = dead_letters(table.state)
    assert letter["code"] == "snowflake.row_too_large" and "max_row_bytes" in letter["remedy"]
    assert bson.decode(payload(letter))["_id"] == 1 or b'"text"' in payload(letter)


def test_a_line_over_max_line_bytes_is_one_dead_letter(files):
    source = files.write("in.jsonl", b'{"n":0}\n{"n":1,"s":"' + b"x" * 300_000 + b'"}\n{"n":2}\n')
    files.run(source, *settings(source__max_line_bytes="64KiB")).done(committed=2, rejected=1)
    assert files.lines() == [{"n": 0}, {"n": 2}]
    [letter] = files.letters()
    assert (letter["code"], letter["place"]) == ("file.line_too_long", f"{source}:2")


def test_nan_and_infinities_of_bson(target, files):
    """In JSON they are texts (docs: plain) or Extended JSON; nothing is rejected, nothing becomes null."""
    table = target()
    decimals = {name: bson.Decimal128(name) for name in ("NaN", "Infinity", "-Infinity")}
    table.put({"_id": 1, "nan": math.nan, "inf": math.inf, "minus": -math.inf, "zero": -0.0, **decimals})
    table.run("mongo").done(committed=1)
    [found] = table.documents()
    assert (found["nan"], found["inf"], found["minus"]) == ("NaN", "Infinity", "-Infinity")
    assert math.copysign(1, found["zero"]) == -1
    assert {name: found[name] for name in decimals} == {name: name for name in decimals}
    call("run", "--source", "mongo", "--dest", "file", "--until-caught-up", "--state", files.state,
         *settings(destination__path=files.out, destination__json="relaxed"), *ONCE, env=table.environment).done(committed=1)
    [line] = files.lines()
    assert line["document"]["nan"] == {"$numberDouble": "NaN"} and line["document"]["minus"] == {"$numberDouble": "-Infinity"}


ODD_NAMES = ["id", "select", "with space", 'quo"te', "dots.and-dashes", "ümlaut", "MiXed", "1st", "a,b", "$x", "tab\\t", "'"]


def test_column_names_that_need_quoting(target, files):
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([ODD_NAMES, [f"v{i}" for i in range(len(ODD_NAMES))], [""] * len(ODD_NAMES)])
    source = files.write("in.csv", text.getvalue())
    table = target()
    table.file(source).done(committed=2)
    described = [row[0] for row in table.stack.sql(f'DESCRIBE TABLE "{DATABASE}"."{SCHEMA}"."{table.table}"')[0]]
    assert [name.upper() for name in described] == [name.upper() for name in ODD_NAMES]
    assert described[:3] == ["ID", "SELECT", "with space"]
    rows = table.select("*", "1 NULLS LAST")
    assert rows == [tuple(f"v{i}" for i in range(len(ODD_NAMES))), (None,) * len(ODD_NAMES)]
    assert files.run(source).done(committed=2) and files.lines()[0] == dict(zip(ODD_NAMES, rows[0]))


@pytest.mark.parametrize("name, content", [("in.csv", "Name,other,NAME\n1,2,3\n"), ("in.jsonl", '{"Name":1,"NAME":3}\n')])
def test_column_names_that_collide_when_folded(target, files, name, content):
    source = files.write(name, content)
    table = target()
    error = table.file(source).failed("snowflake.columns_collide", 1)
    assert "'Name'" in error["message"] and "'NAME'" in error["message"] and "Rename" in error["remedy"]
    assert not table.exists
    source.write_text(content.replace("NAME", "name2"))
    files.run(source).done(committed=1)


def test_namespaces_that_fold_to_one_table(target):
    table = target()
    table.stack.mongo({"sandboxPut": "fold.Orders", "bson": bson.Binary(bson.encode({"_id": 1}))})
    table.stack.mongo({"sandboxPut": "fold.orders", "bson": bson.Binary(bson.encode({"_id": 2}))})
    table.environment |= {"MONGO_DB": "fold", "SNOWFLAKE_TABLE": "{collection}"}
    del table.environment["MONGO_COLL"]
    error = table.run("mongo").failed("snowflake.tables_collide", 2)
    assert "Orders" in error["message"] and "orders" in error["message"]


def test_ten_thousand_columns(target, files):
    names = [f"c{n}" for n in range(10_000)]
    rows = [[f"{r}.{n}" for n in range(10_000)] for r in range(3)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([names, *rows])
    source = files.write("in.csv", text.getvalue())
    files.run(source).done(committed=3)
    assert files.lines() == [dict(zip(names, row)) for row in rows]
    table = target()
    table.file(source).done(committed=3)
    found = table.stack.snowflake("export", table=f"{DATABASE}.{SCHEMA}.{table.table}", format="csv", path=str(files.folder / "back.csv"))
    assert "error" not in found
    with (files.folder / "back.csv").open(newline="") as file:
        header, *back = csv.reader(file)
    assert header == [name.upper() for name in names] and sorted(back) == rows


def test_ten_thousand_keys_of_a_json_object_as_csv(files):
    record = {f"k{n}": n for n in range(10_000)}
    source = files.write("in.jsonl", (json.dumps(record) + "\n") * 3)
    files.run(source, *settings(destination__format="csv")).done(committed=3)
    assert files.rows() == [{key: str(value) for key, value in record.items()}] * 3


# --- Nothing to do ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, content, more", [
    ("empty.csv", "", "a,b\n1,2\n"), ("header.csv", "a,b\n", "1,2\n"), ("empty.jsonl", "", '{"a":"1","b":"2"}\n')])
def test_an_empty_file(files, name, content, more):
    source = files.write(name, content)
    files.run(source).done(read=0, committed=0, rejected=0)
    assert files.lines() == []
    with source.open("a") as file:
        file.write(more)
    files.run(source).done(committed=1)
    assert files.lines() == [{"a": "1", "b": "2"}]


def test_an_empty_folder_and_a_file_that_is_not_there(files):
    folder = files.folder / "in"
    folder.mkdir()
    files.run(folder).done(read=0)
    (folder / "a.jsonl").write_text('{"n":1}\n')
    files.run(folder).done(committed=1)
    error = Files(files.folder / "other").run(files.folder / "none.csv").failed("file.not_found", 3)
    assert error["place"]["path"] == str(files.folder / "none.csv")


@pytest.mark.parametrize("exists", [True, False], ids=["empty", "missing"])
def test_an_empty_collection(target, stack, exists):
    table = target()
    if exists:
        stack.mongo({"create": table.name}, "bad")
    table.run("mongo").done(read=0, committed=0)
    table.put({"_id": 1})
    table.run("mongo").done(committed=1)
    assert table.documents() == [{"_id": 1}]
