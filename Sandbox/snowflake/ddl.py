"""CREATE, DROP, ALTER and USE. Each commits the session's open transaction first, as Snowflake's do."""
import base64
import secrets

from . import formats
from .catalog import Column, Stage, Table, resolve
from .errors import SnowflakeError, already_exists, does_not_exist, syntax_error, unsupported
from .lexer import Cursor, column, show_name, split_commas
from .rewrite import Environment, rewrite
from .types import of_duckdb, parse_type


def _status(message):
    from .statements import status
    return status(message)


def create(call):
    cursor = call.cursor
    cursor.next()
    replace = cursor.take("OR", "REPLACE")
    cursor.take("LOCAL") or cursor.take("GLOBAL")
    temporary = cursor.take("TEMPORARY") or cursor.take("TEMP") or cursor.take("VOLATILE")
    transient = cursor.take("TRANSIENT")
    what = cursor.next().value
    if what == "FILE":
        cursor.expect("FORMAT")
    maker = {"TABLE": _create_table, "STAGE": _create_stage, "DATABASE": _create_database, "SCHEMA": _create_schema,
             "FILE": _create_format, "WAREHOUSE": _create_warehouse}.get(what)
    if maker is None:
        raise unsupported(f"CREATE {what}")
    if not temporary:
        call.commit_before_ddl()
    missing_only = cursor.take("IF", "NOT", "EXISTS")
    return maker(call, replace, temporary, transient, missing_only)


def _create_database(call, replace, temporary, transient, missing_only):
    name = call.cursor.identifier()
    with call.catalog.lock:
        if name in call.catalog.databases and not replace:
            if missing_only:
                return _status(f"{name} already exists, statement succeeded.")
            raise already_exists(show_name(name))
        call.session.require("CREATE DATABASE", "account", call.session.account)
        call.catalog.create_database(name)
        call.catalog.save()
    call.session.database, call.session.schema = name, "PUBLIC"
    return _status(f"Database {name} successfully created.")


def _create_schema(call, replace, temporary, transient, missing_only):
    parts = call.cursor.name()
    database, name = parts if len(parts) == 2 else (call.session.database, parts[0])
    with call.catalog.lock:
        if database not in call.catalog.databases:
            raise does_not_exist("Database", show_name(database or ""))
        if call.catalog.has_schema(database, name) and not replace:
            if missing_only:
                return _status(f"{name} already exists, statement succeeded.")
            raise already_exists(show_name(name))
        call.session.require("CREATE SCHEMA", "database", database)
        call.catalog.create_schema(database, name)
        call.catalog.save()
    call.session.database, call.session.schema = database, name
    return _status(f"Schema {name} successfully created.")


def _create_warehouse(call, *_):
    return _status(f"Warehouse {call.cursor.identifier()} successfully created.")


def _create_format(call, replace, temporary, transient, missing_only):
    full = resolve(call.session, call.cursor.name())
    if call.catalog.find("formats", full) is not None and missing_only:
        return _status(f"{full[2]} already exists, statement succeeded.")
    call.catalog.put("formats", full, formats.options(call.cursor.rest()), replace)
    return _status(f"File format {full[2]} successfully created.")


def _create_stage(call, replace, temporary, transient, missing_only):
    cursor = call.cursor
    full = resolve(call.session, cursor.name())
    call.catalog.schema(full[0], full[1])
    known = call.catalog.find("stages", full)
    if known is not None and missing_only:
        return _status(f"{show_name(full[2])} already exists, statement succeeded.")
    call.session.require("CREATE STAGE", "schema", full[1])
    stage = Stage(call.catalog.number(), call.settings.default_encrypted, temporary=temporary,
                  presigned=call.settings.gcs_presigned,
                  master_key=base64.b64encode(secrets.token_bytes(call.settings.key_bytes)).decode())
    while cursor.peek is not None:
        option = cursor.identifier()
        cursor.take("=")
        if option == "FILE_FORMAT":
            stage.file_format = formats.named(call, formats.options(cursor.parenthesised()))
        elif option == "ENCRYPTION":
            kind = formats.options(cursor.parenthesised()).get("TYPE")
            if kind not in ("SNOWFLAKE_FULL", "SNOWFLAKE_SSE"):
                raise unsupported(f"ENCRYPTION TYPE {kind}")
            stage.encrypted = kind == "SNOWFLAKE_FULL"
        elif option == "COMMENT":
            cursor.next()
        elif option == "DIRECTORY":
            cursor.parenthesised()
        else:
            raise unsupported(f"CREATE STAGE {option}")
    if known is not None and replace:
        call.world.stages.forget(known)
    call.catalog.put("stages", full, stage, replace)
    return _status(f"Stage area {show_name(full[2])} successfully created.")


def _create_table(call, replace, temporary, transient, missing_only):
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
    if known is not None and missing_only:
        return _status(f"{show_name(full[2])} already exists, statement succeeded.")
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
                return _status(f"{show_name(full[2])} already exists, statement succeeded.")
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
    return _status(f"Table {show_name(full[2])} successfully created.")


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
            made = _column(call, Cursor(part))
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
        return value if option == "COMMENT" else None
    else:
        raise unsupported(f"table option {option}")
    return None


def _column(call, cursor):
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
    with call.engine.statement(call.session.transaction, call.query) as work:
        sql = rewrite(query, call.environment(work))
        described = work.execute(f"SELECT * FROM ({sql}) LIMIT 0").description
        from .lexer import logical
        if not table.columns:
            table.columns = [Column(logical(d[0]), of_duckdb(d[1])) for d in described]
        values = ", ".join(f"CAST(c{i} AS {c.type.duckdb}) AS {column(c.name)}" for i, c in enumerate(table.columns))
        names = ", ".join(f"c{i}" for i in range(len(table.columns)))
        work.execute(f"CREATE TABLE {table.physical} AS SELECT {values}, CAST(0 AS BIGINT) AS __x, CAST(NULL AS BIGINT) AS __d "
                     f"FROM ({sql}) AS q({names})")


def drop(call):
    cursor = call.cursor
    cursor.next()
    what = cursor.next().value
    if what == "FILE":
        cursor.expect("FORMAT")
    if_exists = cursor.take("IF", "EXISTS")
    parts = cursor.name()
    call.commit_before_ddl()
    dropped = {"TABLE": _drop_table, "STAGE": _drop_stage, "SCHEMA": _drop_schema, "DATABASE": _drop_database,
               "FILE": _drop_format}.get(what)
    if dropped is None:
        raise unsupported(f"DROP {what}")
    try:
        dropped(call, parts)
    except SnowflakeError as error:
        if if_exists and error.code == "002003":
            return _status(f"Drop statement executed successfully ({show_name(parts[-1])} already dropped).")
        raise
    return _status(f"{show_name(parts[-1])} successfully dropped.")


def _drop_table(call, parts):
    if len(parts) == 1 and parts[0] in call.session.temporary:
        call.engine.drop_table(call.session.temporary.pop(parts[0]))
        return
    full = resolve(call.session, parts)
    table = call.catalog.get("tables", full)
    call.session.require("DROP", "table", full[2])
    call.catalog.drop("tables", full)
    call.engine.drop_table(table)


def _drop_stage(call, parts):
    full = resolve(call.session, parts)
    call.world.stages.forget(call.catalog.get("stages", full))
    call.catalog.drop("stages", full)


def _drop_format(call, parts):
    full = resolve(call.session, parts)
    call.catalog.get("formats", full)
    call.catalog.drop("formats", full)


def _drop_schema(call, parts):
    database, name = parts if len(parts) == 2 else (call.session.database, parts[0])
    content = call.catalog.schema(database, name)
    for table in content["tables"].values():
        call.engine.drop_table(table)
    for stage in content["stages"].values():
        call.world.stages.forget(stage)
    del call.catalog.databases[database][name]
    call.catalog.save()


def _drop_database(call, parts):
    for name in list(call.catalog.databases.get(parts[0], {})):
        _drop_schema(call, [parts[0], name])
    if call.catalog.databases.pop(parts[0], None) is None:
        raise does_not_exist("Database", show_name(parts[0]))
    call.catalog.save()


def use(call):
    cursor, session = call.cursor, call.session
    cursor.next()
    what = cursor.next().value if cursor.peek and cursor.peek.value in ("DATABASE", "SCHEMA", "WAREHOUSE", "ROLE", "SECONDARY") \
        else "DATABASE" if len(cursor.tokens) == 2 else "SCHEMA"
    if what == "SECONDARY":
        return _status("Statement executed successfully.")
    parts = cursor.name()
    if what == "DATABASE":
        if parts[0] not in call.catalog.databases:
            raise does_not_exist("Database", show_name(parts[0]))
        session.database, session.schema = parts[0], "PUBLIC" if call.catalog.has_schema(parts[0], "PUBLIC") else None
    elif what == "SCHEMA":
        database, name = parts if len(parts) == 2 else (session.database, parts[0])
        call.catalog.schema(database, name)
        session.database, session.schema = database, name
    elif what == "WAREHOUSE":
        session.warehouse = parts[0]
    else:
        session.role = parts[0]
    return _status("Statement executed successfully.")


def alter(call):
    cursor = call.cursor
    cursor.next()
    what = cursor.next().value
    if what == "SESSION":
        return _alter_session(call)
    if what == "WAREHOUSE":
        return _status("Statement executed successfully.")
    if what != "TABLE":
        raise unsupported(f"ALTER {what}")
    if_exists = cursor.take("IF", "EXISTS")
    parts = cursor.name()
    call.commit_before_ddl()
    try:
        table, full = Environment(call.session, call.catalog, None).lookup(parts)
    except SnowflakeError as error:
        if if_exists and error.code == "002003":
            return _status("Statement executed successfully.")
        raise
    call.session.require("ALTER", "table", full[2])
    with call.catalog.lock:
        _alter_table(call, table, full)
    call.catalog.save()
    return _status("Statement executed successfully.")


def _alter_table(call, table, full):
    cursor = call.cursor
    if cursor.take("ADD"):
        cursor.take("COLUMN")
        if_missing = cursor.take("IF", "NOT", "EXISTS")
        for part in split_commas(cursor.rest()):
            part_cursor = Cursor(part)
            part_if_missing = part_cursor.take("IF", "NOT", "EXISTS") or if_missing
            made = _column(call, part_cursor)
            if table.column(made.name) is not None:
                if part_if_missing:
                    continue
                raise SnowflakeError("001430", "42601", f"SQL compilation error:\ncolumn '{made.name}' already exists")
            default = f" DEFAULT ({made.default})" if made.default else ""
            call.engine.alter(f"ALTER TABLE {table.physical} ADD COLUMN {column(made.name)} {made.type.duckdb}{default}")
            table.columns = table.columns + [made]
    elif cursor.take("DROP"):
        cursor.take("COLUMN")
        for name in [Cursor(p).identifier() for p in split_commas(cursor.rest())]:
            call.engine.alter(f"ALTER TABLE {table.physical} DROP COLUMN {column(name)}")
            table.columns = [c for c in table.columns if c.name != name]
    elif cursor.take("RENAME", "TO"):
        new = resolve(call.session, cursor.name())
        call.catalog.put("tables", new, table)
        call.catalog.drop("tables", full)
    elif cursor.take("RENAME", "COLUMN"):
        old = cursor.identifier()
        cursor.expect("TO")
        new = cursor.identifier()
        call.engine.alter(f"ALTER TABLE {table.physical} RENAME COLUMN {column(old)} TO {column(new)}")
        table.column(old).name = new
    elif cursor.take("SET", "COMMENT"):
        cursor.take("=")
        table.comment = cursor.next().value
    elif cursor.take("ALTER") or cursor.take("MODIFY"):
        _alter_column(call, table)
    else:
        raise unsupported(f"ALTER TABLE {cursor.peek.text if cursor.peek else ''}")


def _alter_column(call, table):
    cursor = call.cursor
    cursor.take("COLUMN")
    name = cursor.identifier()
    target = table.column(name)
    if target is None:
        raise does_not_exist("Column", name)
    if cursor.take("DROP", "NOT", "NULL"):
        call.engine.alter(f"ALTER TABLE {table.physical} ALTER COLUMN {column(name)} DROP NOT NULL")
        target.nullable = True
        return
    cursor.take("SET", "DATA", "TYPE") or cursor.take("TYPE")
    kind = parse_type(cursor)
    wider = kind.name == target.type.name and (kind.length or 0) >= (target.type.length or 0) \
        and (kind.precision or 0) >= (target.type.precision or 0) and kind.scale == target.type.scale
    if not wider:
        raise SnowflakeError("002108", "22000", f"SQL compilation error: cannot change column {name} from type {target.type} to {kind}")
    call.engine.alter(f"ALTER TABLE {table.physical} ALTER COLUMN {column(name)} SET DATA TYPE {kind.duckdb}")
    target.type = kind


def _alter_session(call):
    cursor = call.cursor
    unset = cursor.take("UNSET")
    if not unset:
        cursor.expect("SET")
    while cursor.peek is not None:
        name = cursor.identifier()
        if unset:
            call.session.parameters.pop(name, None)
            cursor.take(",")
            continue
        cursor.expect("=")
        token = cursor.next()
        value = token.text + cursor.next().text if token.text == "-" else token.value
        call.session.set_parameter(name, value)
        if name == "AUTOCOMMIT" and call.session.parameter(name) and call.session.transaction is not None:
            transaction, call.session.transaction = call.session.transaction, None
            call.engine.commit(transaction)
        cursor.take(",")
    return _status("Statement executed successfully.")


def comment(call):
    """COMMENT [IF EXISTS] ON TABLE t IS 'text'; comments on other things are read past."""
    cursor = call.cursor
    cursor.next()
    if_exists = cursor.take("IF", "EXISTS")
    cursor.expect("ON")
    call.commit_before_ddl()
    if not cursor.take("TABLE"):
        return ignored(call)
    try:
        table, full = Environment(call.session, call.catalog, None).lookup(cursor.name())
    except SnowflakeError as error:
        if if_exists and error.code == "002003":
            return ignored(call)
        raise
    call.session.require("OWNERSHIP", "table", full[2])
    cursor.expect("IS")
    table.comment = cursor.next().value
    cursor.end()
    call.catalog.save()
    return ignored(call)


def ignored(call):
    return _status("Statement executed successfully.")
