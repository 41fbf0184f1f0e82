"""Views: the query's text, read again at each use; what it gives must still be what it gave when the view was made."""
import datetime

from .catalog import Column, View, resolve
from .errors import SnowflakeError, already_exists, does_not_exist, unsupported
from .lexer import Cursor, column, logical, show_name, split_commas, tokens_of
from .queries import status
from .rewrite import rewrite
from .types import of_duckdb


class _Home:
    """The session as a view's query sees it: names are those of the view's schema."""

    def __init__(self, session, database, schema):
        self.session, self.database, self.schema, self.temporary = session, database, schema, {}

    def __getattr__(self, name):
        return getattr(self.session, name)


def create(call, replace, temporary, transient, missing_only, secure=False):
    cursor = call.cursor
    if temporary:
        raise unsupported("CREATE TEMPORARY VIEW")
    full = resolve(call.session, cursor.name())
    if not missing_only:
        missing_only = cursor.take("IF", "NOT", "EXISTS")
    call.catalog.schema(full[0], full[1])
    known = call.catalog.find("views", full) or call.catalog.find("tables", full)
    if known is not None and missing_only:
        return status(f"{show_name(full[2])} already exists, statement succeeded.")
    if known is not None and (not replace or not isinstance(known, View)):
        raise already_exists(show_name(full[2]))
    call.session.require("CREATE VIEW", "schema", full[1])
    names, remark = None, ""
    if cursor.looks("("):
        names = [_heading(Cursor(part)) for part in split_commas(cursor.parenthesised())]
    while not cursor.take("AS"):
        if cursor.take("COMMENT", "="):
            remark = cursor.next().value
        elif not cursor.take("COPY", "GRANTS"):
            raise unsupported(f"CREATE VIEW {cursor.peek.text if cursor.peek else ''}")
    start = cursor.peek
    cursor.rest()
    text = call.query.sql[start.start:cursor.tokens[-1].end]
    columns = _described(call, full, text)
    if names is not None:
        if len(names) != len(columns):
            raise SnowflakeError("002020", "21S01", f"SQL compilation error:\nInvalid column definition list: {len(names)} names, {len(columns)} columns")
        columns = [Column(n, c.type) for n, c in zip(names, columns)]
    double = next((c.name for i, c in enumerate(columns) if c.name in [d.name for d in columns[:i]]), None)
    if double is not None:
        raise SnowflakeError("002025", "42S21", f"SQL compilation error:\nduplicate column name '{double}'")
    call.catalog.put("views", full, View(text, columns, remark, secure=secure), replace)
    return status(f"View {show_name(full[2])} successfully created.")


def _heading(cursor):
    name = cursor.identifier()
    if cursor.take("COMMENT"):
        cursor.next()
    cursor.end()
    return name


def _described(call, full, text):
    with call.engine.statement(call.transaction, call.query) as work:
        found = work.execute(f"SELECT * FROM ({_query(call.environment(work), full, text)}) LIMIT 0").description
    return [Column(logical(d[0]) if "\x01" in d[0] else d[0].upper() if "(" in d[0] else d[0], of_duckdb(d[1])) for d in found]


def _query(environment, full, text):
    """The DuckDB text of a view's query."""
    if environment.depth > 20:
        raise SnowflakeError("002136", "42601", "SQL compilation error:\nview nesting is too deep")
    inner = environment.within(_Home(environment.session, full[0], full[1]))
    return rewrite(tokens_of(text), inner)


def source(environment, full, view):
    """A view as a table reference."""
    sql = _query(environment, full, view.text)
    width = len(environment.work.execute(f"SELECT * FROM ({sql}) LIMIT 0").description)
    if width != len(view.columns):
        raise SnowflakeError("002057", "42601", f"SQL compilation error:\nView definition for '{'.'.join(map(show_name, full))}' declared "
                             f"{len(view.columns)} column(s), but view query produces {width} column(s).")
    names = ", ".join(f"c{i}" for i in range(width))
    listed = ", ".join(f"c{i} AS {column(c.name)}" for i, c in enumerate(view.columns))
    return f"(SELECT {listed} FROM ({sql}) AS q({names}))"


def drop(call, parts):
    full = resolve(call.session, parts)
    if call.catalog.find("views", full) is None:
        raise does_not_exist("View", show_name(full[2]))
    call.catalog.drop("views", full)


def shown(full, view):
    """A row of SHOW VIEWS."""
    made = datetime.datetime.fromtimestamp(view.created, datetime.timezone.utc)
    text = f"CREATE VIEW {'.'.join(map(show_name, full))} AS {view.text}"
    return (made, full[2], "", full[0], full[1], "SYSADMIN", view.comment, text, str(view.secure).lower(), "false", "ROLE", "OFF")


HEADINGS = ["created_on", "name", "reserved", "database_name", "schema_name", "owner", "comment", "text", "is_secure", "is_materialized",
            "owner_role_type", "change_tracking"]
