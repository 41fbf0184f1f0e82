"""CREATE, ALTER and DROP of tables."""
from .catalog import Column, Table, resolve
from .errors import SnowflakeError, already_exists, does_not_exist, syntax_error, unsupported
from .lexer import Cursor, column, logical, show_name, split_commas
from .queries import status
from .rewrite import Environment, rewrite
from .types import of_duckdb, parse_type


def create(call, replace, temporary, transient, missing_only):
    cursor, session = call.cursor, call.session
    parts = cursor.name()
    if not missing_only:
        missing_only = cursor.take("IF", "NOT", "EXISTS")
    full = resolve(session, parts)
    call.catalog.schema(full[0], full[1])
    if temporary:
        known = session.temporary.get(full[2])
    else:
        known = call.catalog.find("tables", full)
    if not temporary and not (known is None and missing_only and call.catalog.find("views", full)):
        free_name(call, full)
    if missing_only and (known is not None or call.catalog.find("views", full) is not None):
        return status(f"{show_name(full[2])} already exists, statement succeeded.")
    if known is not None and not replace:
        raise already_exists(show_name(full[2]))
    if not temporary:
        session.require("CREATE TABLE", "schema", full[1])
    kind = "TEMPORARY" if temporary else "TRANSIENT" if transient else "TABLE"
    columns, query, remark = _definition(call)
    table = Table(call.catalog.number(), columns, kind, session.number if temporary else None, comment=remark)
    with call.catalog.lock:
        if not temporary and not replace and call.catalog.find("tables", full) is not None:
            if missing_only:
                return status(f"{show_name(full[2])} already exists, statement succeeded.")
            raise already_exists(show_name(full[2]))
        if query is not None:
            _fill(call, table, query)
        else:
            call.engine.create_table(table)
        if temporary:
            session.temporary[full[2]] = table
        else:
            call.catalog.put("tables", full, table, replace=True)
    if known is not None:
        call.engine.drop_table(known)
    return status(f"Table {show_name(full[2])} successfully created.")


def _definition(call):
    """(columns, query tokens of CTAS, LIKE or CLONE, comment)"""
    cursor = call.cursor
    columns, query, remark = [], None, ""
    if cursor.looks("LIKE") or cursor.looks("CLONE"):
        word = cursor.next().value
        other, _ = Environment(call.session, call.catalog, None).lookup(cursor.name())
        columns = list(other.columns)
        if word == "CLONE":
            raise unsupported("CLONE")
    if cursor.looks("("):
        for part in split_commas(cursor.parenthesised()):
            made = column_of(call, Cursor(part))
            if made is not None:
                columns.append(made)
        names = [c.name for c in columns]
        double = next((n for n in names if names.count(n) > 1), None)
        if double is not None:
            raise SnowflakeError("002025", "42S21", f"SQL compilation error:\nduplicate column name '{double}'")
    while cursor.peek is not None:
        if cursor.take("AS"):
            query = cursor.rest()
            break
        remark = _table_option(cursor) or remark
    if not columns and query is None:
        raise syntax_error("a table without columns")
    return columns, query, remark


def _table_option(cursor):
    """The comment, when it is one."""
    option = cursor.identifier()
    if option == "CLUSTER":
        cursor.expect("BY")
        cursor.parenthesised()
    elif option == "COPY" and cursor.take("GRANTS"):
        pass
    elif option in ("DATA_RETENTION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME_IN_DAYS", "CHANGE_TRACKING", "COMMENT",
                    "DEFAULT_DDL_COLLATION", "ENABLE_SCHEMA_EVOLUTION"):
        cursor.take("=")
        value = cursor.next().value
        if option == "ENABLE_SCHEMA_EVOLUTION" and value != "FALSE" or option == "DEFAULT_DDL_COLLATION" and value:
            raise unsupported(f"{option} = {value}")
        return value if option == "COMMENT" else None
    else:
        raise unsupported(f"table option {option}")
    return None


def column_of(call, cursor):
    if cursor.looks("PRIMARY", "KEY") or cursor.looks("UNIQUE", "(") or cursor.looks("CONSTRAINT") or cursor.looks("FOREIGN"):
        return None                                   # declared, not enforced, as in Snowflake
    name, kind = cursor.identifier(), parse_type(cursor)
    made = Column(name, kind)
    while cursor.peek is not None:
        word = cursor.identifier()
        if word == "NOT":
            cursor.expect("NULL")
            made.nullable = False
        elif word in ("NULL", "UNIQUE"):
            pass
        elif word == "PRIMARY":
            cursor.expect("KEY")
            made.nullable = False
        elif word == "DEFAULT":
            start = cursor.at
            depth = 0
            while cursor.peek is not None and not (depth == 0 and cursor.at > start and cursor.peek.kind == "word"
                                                   and cursor.peek.value in ("NOT", "NULL", "COMMENT", "PRIMARY", "UNIQUE")):
                depth += {"(": 1, ")": -1}.get(cursor.next().text, 0)
            made.default = rewrite(cursor.tokens[start:cursor.at], Environment(call.session, call.catalog, None))
        elif word == "COMMENT":
            cursor.next()
        else:
            raise unsupported(f"column option {word}")
    return made


def _fill(call, table, query):
    """CREATE TABLE … AS SELECT."""
    with call.engine.statement(call.transaction, call.query) as work:
        sql = rewrite(query, call.environment(work))
        described = work.execute(f"SELECT * FROM ({sql}) LIMIT 0").description
        if not table.columns:
            table.columns = [Column(logical(d[0]), of_duckdb(d[1])) for d in described]
        values = ", ".join(f"CAST(c{i} AS {c.type.duckdb}) AS {column(c.name)}" for i, c in enumerate(table.columns))
        names = ", ".join(f"c{i}" for i in range(len(table.columns)))
        work.execute(f"CREATE TABLE {table.physical} AS SELECT {values}, CAST(0 AS BIGINT) AS __x, CAST(NULL AS BIGINT) AS __d "
                     f"FROM ({sql}) AS q({names})")


def drop(call, parts):
    if parts[-1] in call.session.temporary:
        call.engine.drop_table(call.session.temporary.pop(parts[-1]))
        return
    full = resolve(call.session, parts)
    table = call.catalog.get("tables", full)
    call.session.require("DROP", "table", full[2])
    call.catalog.drop("tables", full)
    call.engine.drop_table(table)


def alter(call, table, full):
    cursor = call.cursor
    if cursor.take("ADD"):
        _add_columns(call, table)
    elif cursor.take("DROP"):
        cursor.take("COLUMN")
        for name in [Cursor(p).identifier() for p in split_commas(cursor.rest())]:
            if table.column(name) is None:
                raise does_not_exist("Column", name)
            call.engine.alter(f"ALTER TABLE {table.physical} DROP COLUMN {column(name)}")
            table.columns = [c for c in table.columns if c.name != name]
    elif cursor.take("RENAME", "TO"):
        new = resolve(call.session, cursor.name())
        free_name(call, new)
        call.catalog.put("tables", new, table)
        call.catalog.drop("tables", full)
    elif cursor.take("RENAME", "COLUMN"):
        old = cursor.identifier()
        cursor.expect("TO")
        new = cursor.identifier()
        if table.column(old) is None:
            raise does_not_exist("Column", old)
        call.engine.alter(f"ALTER TABLE {table.physical} RENAME COLUMN {column(old)} TO {column(new)}")
        table.column(old).name = new
    elif cursor.take("SET", "COMMENT"):
        cursor.take("=")
        table.comment = cursor.next().value
    elif cursor.take("ALTER") or cursor.take("MODIFY"):
        wrapped = cursor.looks("(")
        for part in split_commas(cursor.parenthesised() if wrapped else cursor.rest()):
            _alter_column(call, table, Cursor(part))
    else:
        raise unsupported(f"ALTER TABLE {cursor.peek.text if cursor.peek else ''}")
    cursor.end()


def _add_columns(call, table):
    """ADD [COLUMN] [IF NOT EXISTS] a T [, [IF NOT EXISTS] b T …]: the condition is each column's own."""
    cursor, made = call.cursor, []
    cursor.take("COLUMN")
    for part in split_commas(cursor.rest()):
        part_cursor = Cursor(part)
        if part_cursor.looks("ADD") or part_cursor.looks("COLUMN") and len(part) > 2 and part[1].kind in ("word", "quoted"):
            raise syntax_error("ADD COLUMN", part_cursor.peek.text)
        if_missing = part_cursor.take("IF", "NOT", "EXISTS")
        new = column_of(call, part_cursor)
        if if_missing and (new.default or not new.nullable):
            raise SnowflakeError("001003", "42000", "SQL compilation error:\nIF NOT EXISTS can't be combined with DEFAULT or a constraint.")
        if table.column(new.name) is not None or any(n.name == new.name for n in made):
            if if_missing:
                continue
            raise SnowflakeError("001430", "42601", f"SQL compilation error:\ncolumn '{new.name}' already exists")
        if not new.nullable and not new.default:
            raise SnowflakeError("002028", "42601", f"SQL compilation error:\nNon-nullable column '{new.name}' cannot be added without a default")
        made.append(new)
    for new in made:                                  # all or none
        default = f" DEFAULT ({new.default})" if new.default else ""
        call.engine.alter(f"ALTER TABLE {table.physical} ADD COLUMN {column(new.name)} {new.type.duckdb}{default}")
        table.columns = table.columns + [new]


def _alter_column(call, table, cursor):
    cursor.take("COLUMN")
    name = cursor.identifier()
    target = table.column(name)
    if target is None:
        raise does_not_exist("Column", name)
    if cursor.take("DROP", "NOT", "NULL"):
        cursor.end()
        call.engine.alter(f"ALTER TABLE {table.physical} ALTER COLUMN {column(name)} DROP NOT NULL")
        target.nullable = True
        return
    cursor.take("SET", "DATA", "TYPE") or cursor.take("TYPE")
    kind = parse_type(cursor)
    cursor.end()
    wider = kind.name == target.type.name and (kind.length or 0) >= (target.type.length or 0) \
        and (kind.precision or 0) >= (target.type.precision or 0) and kind.scale == target.type.scale
    if not wider:
        raise SnowflakeError("002108", "22000", f"SQL compilation error: cannot change column {name} from type {target.type} to {kind}")
    call.engine.alter(f"ALTER TABLE {table.physical} ALTER COLUMN {column(name)} SET DATA TYPE {kind.duckdb}")
    target.type = kind


def free_name(call, full):
    """Tables and views share their names."""
    if call.catalog.find("views", full) is not None:
        raise already_exists(show_name(full[2]))
