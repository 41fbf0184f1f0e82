"""The comparer itself: a table made by hand from a history made by hand, and what it says when one cell is another."""
import datetime
import json
import sqlite3

import bson
import duckdb
import pytest

from Sandbox.compare import COLUMNS, compare
from Sandbox.mongo.truth import INDEXES, SCHEMA

NAME = ("shop", "c")


def truth(path, options):
    """Document 1 is copied, then updated, then deleted; document 2 is inserted."""
    key = [bson.encode({"_id": number}) for number in (0, 1, 2)]
    old, new, two = ({"_id": 1, "n": 1, "f": 1.0, "t": True}, {"_id": 1, "n": 2, "f": 1.0, "t": True}, {"_id": 2, "n": [1, 0]})
    base = sqlite3.connect(path)
    base.executescript(SCHEMA)
    base.executemany("INSERT INTO version VALUES(?,?,?,?,?,?,?,?,?)", [
        (1, *NAME, 0, key[1], 0, 10, b"", bson.encode(old)), (2, *NAME, 0, key[1], 10, 12, b"", bson.encode(new)),
        (3, *NAME, 1, key[2], 11, None, b"", bson.encode(two))])
    update = bson.encode({"updatedFields": {"n": 2}, "removedFields": [], "truncatedArrays": []})
    base.executemany("INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?,?,?)", [
        (10, "t10", "update", *NAME, key[1], update, 100, 1, 0, 2), (11, "t11", "insert", *NAME, key[2], None, 101, 1, 0, 3),
        (12, "t12", "delete", *NAME, key[1], None, 102, 1, 0, None)])
    base.execute("INSERT INTO served VALUES(10, 2, 1)")
    base.execute("INSERT INTO stream VALUES(1, 0, 'collection', ?, ?, ?, 't0', 5)", (*NAME, json.dumps(options)))
    base.execute("INSERT INTO scan VALUES(1, ?, ?, '')", NAME)
    base.execute("INSERT INTO scan_batch VALUES(1, 0, 6, 0, 0, 1)")
    base.executescript(INDEXES)
    base.commit()
    base.close()


def rows(before=False):
    old, new = '{"_id":1,"n":1,"f":1.0,"t":true}', '{"_id":1,"n":2,"f":1.0,"t":true}'
    update = '{"updatedFields":{"n":2},"removedFields":[],"truncatedArrays":[]}'
    made = []

    def row(operation, identity, key, second, sequence, document=None, described=None, previous=None):
        time = None if second is None else datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=second)
        made.append(dict(zip(COLUMNS, (document, previous if before else None, described, f'{{"_id":{key}}}', operation, "shop.c", time,
                                       f"{sequence:024x}", identity, "nebula/f", len(made) + 1))))
    row("snapshot", 't0/shop.c/{"_id":{"$numberInt":"1"}}', 1, None, 1, old)
    row("update", "t10", 1, 100, 2, new, update, old)
    row("insert", "t11", 2, 101, 3, '{"_id":2,"n":[1,0]}')
    row("delete", "t12", 1, 102, 4, None, None, new)
    return made


@pytest.fixture
def judge(tmp_path):
    def judge(table, **options):
        truth(tmp_path / "truth.sqlite", options)
        kinds = {"EVENT_TIME": "TIMESTAMP", "FILE_ROW": "BIGINT"}
        base = duckdb.connect()
        columns = ", ".join(f"{column} {kinds.get(column, 'VARCHAR')}" for column in COLUMNS)
        base.execute(f"CREATE TABLE t ({columns})")
        base.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", [[row[c] for c in COLUMNS] for row in table])
        base.execute(f"COPY t TO '{tmp_path / 'table.parquet'}' (FORMAT parquet)")
        return compare(tmp_path / "truth.sqlite", tmp_path / "table.parquet", *NAME)
    return judge


def test_what_is_equal(judge):
    assert str(judge(rows())) == "source 4 destination 4 lost 0 duplicated 0 differing 0"


@pytest.mark.parametrize("at, cell, value", [
    (0, "DOCUMENT", '{"_id":1,"n":1.0,"f":1.0,"t":true}'), (0, "DOCUMENT", '{"_id":1,"n":1,"f":1,"t":true}'),
    (0, "DOCUMENT", '{"_id":1,"n":1,"f":1.0,"t":1}'), (1, "DOCUMENT", '{"_id":1,"n":2,"f":1.0,"t":1}'),
    (1, "UPDATE_DESCRIPTION", '{"updatedFields":{"n":2.0},"removedFields":[],"truncatedArrays":[]}'),
    (2, "DOCUMENT", '{"_id":2,"n":[true,false]}'), (2, "DOCUMENT", '{"_id":2.0,"n":[1,0]}'), (2, "DOCUMENT_KEY", '{"_id":2.0}'),
    (1, "DOCUMENT_BEFORE", '{"_id":1,"n":1,"f":1.0,"t":true}'), (0, "DOCUMENT_BEFORE", "{}"), (0, "UPDATE_DESCRIPTION", "{}"),
    (2, "FILE_ROW", 2), (2, "FILE_ROW", None), (2, "FILE", None)])
def test_one_other_cell_is_a_difference(judge, at, cell, value):
    table = rows()
    table[at][cell] = value
    assert judge(table).differing > 0


def test_a_row_twice_is_a_duplicate_and_no_difference(judge):
    table = rows()
    result = judge([*table, table[2]])
    assert (result.duplicated, result.lost, result.differing) == (1, 0, 0)


def test_images_from_before(judge, tmp_path):
    assert judge(rows(before=True), fullDocumentBeforeChange="required").is_equal
    for wanted, missing in (("required", 2), ("whenAvailable", 0)):
        (tmp_path / "truth.sqlite").unlink()
        assert judge(rows(), fullDocumentBeforeChange=wanted).differing == missing
    (tmp_path / "truth.sqlite").unlink()
    table = rows(before=True)
    table[1]["DOCUMENT_BEFORE"] = table[3]["DOCUMENT_BEFORE"]
    assert judge(table, fullDocumentBeforeChange="required").differing == 1
