"""INFORMATION_SCHEMA's views as DuckDB subqueries."""
import pyarrow

from .errors import does_not_exist
from .lexer import literal


def source(call, work, database, view):
    """A DuckDB subquery for one of its views."""
    if view == "TABLES":
        rows = [(full[0], full[1], full[2], "SYSADMIN", "BASE TABLE", "YES" if t.kind == "TRANSIENT" else "NO",
                 work.count(t), 0) for full, t in call.catalog.tables() if full[0] == database]
        return _values(work, rows, ["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_OWNER", "TABLE_TYPE", "IS_TRANSIENT", "ROW_COUNT", "BYTES"])
    if view == "COLUMNS":
        rows = [(full[0], full[1], full[2], c.name, i + 1, c.default, "YES" if c.nullable else "NO", c.type.name,
                 c.type.length, c.type.precision, c.type.scale, "SANDBOX") for full, t in call.catalog.tables() + call.catalog.views() if full[0] == database
                for i, c in enumerate(t.columns)]
        return _values(work, rows, ["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME", "ORDINAL_POSITION", "COLUMN_DEFAULT", "IS_NULLABLE",
                              "DATA_TYPE", "CHARACTER_MAXIMUM_LENGTH", "NUMERIC_PRECISION", "NUMERIC_SCALE", "COMMENT"])
    if view == "VIEWS":
        return _values(work, [(*full, v.text, v.comment) for full, v in call.catalog.views() if full[0] == database],
                       ["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "VIEW_DEFINITION", "COMMENT"])
    if view == "SCHEMATA":
        return _values(work, [(database, s) for s in call.catalog.databases.get(database, {})], ["CATALOG_NAME", "SCHEMA_NAME"])
    if view == "STAGES":
        return _values(work, [full for full, _ in call.catalog.stages() if full[0] == database], ["STAGE_CATALOG", "STAGE_SCHEMA", "STAGE_NAME"])
    if view == "LOAD_HISTORY":
        cases = _values(work, [(t.number, full[1], full[2]) for full, t in call.catalog.tables() if full[0] == database],
                        ["NUMBER", "SCHEMA_NAME", "TABLE_NAME"])
        return (f"(SELECT h.SCHEMA_NAME, regexp_replace(l.file, '^[0-9]+/', '') AS FILE_NAME, h.TABLE_NAME, l.loaded AS LAST_LOAD_TIME, "
                f"l.status AS STATUS, l.row_count AS ROW_COUNT, l.row_parsed AS ROW_PARSED, l.first_error AS FIRST_ERROR_MESSAGE, "
                f"l.error_count AS ERROR_COUNT FROM sf_loads l JOIN {cases} h ON l.table_number = h.NUMBER WHERE {work.visible})")
    raise does_not_exist("Object", f"INFORMATION_SCHEMA.{view}")


def _values(work, rows, names):
    if len(rows) > 100:                               # as text that takes DuckDB seconds
        columns = list(zip(*rows))
        return work.lend(pyarrow.table([pyarrow.array(c, pyarrow.int64() if any(isinstance(v, int) for v in c) else pyarrow.string())
                                        for c in columns], names=names))
    if not rows:
        return "(SELECT " + ", ".join(f"CAST(NULL AS VARCHAR) AS {n}" for n in names) + " WHERE FALSE)"
    def cell(value):
        return "NULL" if value is None else str(value) if isinstance(value, int) else literal(value)
    return "(SELECT * FROM (VALUES " + ", ".join("(" + ", ".join(map(cell, r)) + ")" for r in rows) + f") AS v({', '.join(names)}))"
