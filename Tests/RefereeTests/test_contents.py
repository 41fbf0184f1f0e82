"""The comparers of `make memory`: what they take for equal, and what not."""
import duckdb
import pytest

from Sandbox import inputs
from Sandbox.contents import changes, lines


def table_of(path, given, change=""):
    """The table that the file becomes, with VARIANT cells as JSON text; in another order."""
    base = duckdb.connect()
    kinds = {"id": "JSON", "amount": "JSON"}
    columns = {name: kinds.get(name, "VARCHAR") for name in inputs.NAMES}
    base.execute(f"CREATE TABLE t AS SELECT * FROM read_json(?, format='newline_delimited', columns={columns})", [str(given)])
    if change:
        base.execute(change)
    cells = ", ".join(f'CAST({name} AS VARCHAR) AS "{name.upper()}"' for name in inputs.NAMES)
    base.execute(f"COPY (SELECT {cells} FROM t ORDER BY note) TO '{path}' (FORMAT parquet)")
    return str(path)


@pytest.mark.parametrize("change, verdict", [
    ("", None), ("DELETE FROM t WHERE id = '5'", "3999 of 4000 rows"), ("UPDATE t SET note = note || ' ' WHERE id = '5'", "other content"),
    ("UPDATE t SET id = '\"5\"' WHERE id = '5'", "other content"), ("UPDATE t SET id = '6' WHERE id = '5'", "other content")])
def test_lines(tmp_path, change, verdict):
    given = inputs.write(tmp_path / "in.jsonl", "jsonl", 2_000_000)
    assert given.records == 4000
    assert lines(str(given.path), table_of(tmp_path / "t.parquet", given.path, change)) == verdict


@pytest.mark.parametrize("change, verdict", [
    ("", None), ("UPDATE t SET EVENT_ID = '1' WHERE EVENT_ID = '2'", "10 rows of 9 events at 10 places"),
    ("UPDATE t SET FILE_ROW = 1 WHERE FILE_ROW = 2", "10 rows of 10 events at 9 places"),
    ("UPDATE t SET DOCUMENT = '{\"_id\":7.0}' WHERE FILE_ROW = 7", "1 documents under another's key")])
def test_changes(tmp_path, change, verdict):
    base = duckdb.connect()
    base.execute("CREATE TABLE t AS SELECT CAST(i AS VARCHAR) AS EVENT_ID, 'f' AS FILE, i AS FILE_ROW, '{\"_id\":' || i || '}' AS DOCUMENT, "
                 "'{\"_id\":' || i || '}' AS DOCUMENT_KEY FROM range(10) r(i)")
    if change:
        base.execute(change)
    base.execute(f"COPY t TO '{tmp_path / 't.parquet'}' (FORMAT parquet)")
    assert changes(str(tmp_path / "t.parquet")) == verdict
