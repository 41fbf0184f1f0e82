"""INSERT, UPDATE, DELETE, MERGE, TRUNCATE over rows with visibility columns."""
from .errors import SnowflakeError, syntax_error
from .lexer import Cursor, column, show_name, split_commas
from .queries import Result, status
from .rewrite import AFTER_TABLE, Rewriter, limited, rewrite
from .types import number


def counted(type_id, **counts):
    """Snowflake's one-row answer to DML."""
    return Result([(n.replace("_", " "), number()) for n in counts], [tuple(counts.values())], type_id)


def stored(value, target):
    """A value on its way into a column."""
    if target.type.semi:
        return value
    return limited(f"CAST({value} AS {target.type.duckdb})", target.type) if target.type.name == "TEXT" else value


def target_of(call, privilege):
    environment = call.environment(None)
    table, full = environment.lookup(call.cursor.name())
    call.session.require(privilege, "table", full[2])
    return table, full


def column_list(call, table, tokens):
    columns = []
    for part in split_commas(tokens):
        name = Cursor(part).name()[-1]
        found = table.column(name)
        if found is None:
            raise SnowflakeError("000904", "42000", f"SQL compilation error: error line 1\ninvalid identifier '{show_name(name)}'")
        columns.append(found)
    return columns


def insert(call):
    cursor = call.cursor
    cursor.next()
    overwrite = cursor.take("OVERWRITE")
    cursor.expect("INTO")
    table, full = target_of(call, "INSERT")
    columns = table.columns
    if cursor.looks("(") and not _is_query(cursor):
        columns = column_list(call, table, cursor.parenthesised())
    query = cursor.rest()
    with call.writing() as transaction:
        if overwrite:
            call.world.transactions.lock(transaction, table.number, full[2], call.query)
        with call.engine.statement(transaction, call.query) as work:
            source = rewrite(query, call.environment(work))
            work.wrote(table.physical, deleted=overwrite)
            if overwrite:
                work.execute(f"UPDATE {table.physical} SET __d = {transaction.number} WHERE {work.visible}")
            width = len(work.execute(f"SELECT * FROM ({source}) LIMIT 0").description)
            if width != len(columns):
                raise SnowflakeError("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list "
                                     f"expecting {len(columns)} but got {width}")
            count = add_rows(work, table, columns, source)
    return counted(0x3100, number_of_rows_inserted=count)


def _is_query(cursor):
    following = cursor.tokens[cursor.at + 1] if cursor.at + 1 < len(cursor.tokens) else None
    return following is not None and following.value in ("SELECT", "WITH", "VALUES") and following.kind == "word"


def add_rows(work, table, columns, source, count_from=None):
    """Appends a query's rows; the query's columns come in the order of `columns`."""
    names = [f"c{i}" for i in range(len(columns))]
    values = ", ".join(stored(n, c) for n, c in zip(names, columns))
    cursor = work.execute(f"INSERT INTO {table.physical} ({', '.join(column(c.name) for c in columns)}, __x) "
                          f"SELECT {values}, {work.transaction.number} FROM ({source}) AS q({', '.join(names)})")
    return cursor.fetchone()[0]


def _alias(cursor):
    cursor.take("AS")
    token = cursor.peek
    if token is not None and (token.kind == "quoted" or token.kind == "word" and token.value not in AFTER_TABLE):
        return cursor.identifier()
    return None


def _until(cursor, *words):
    """Tokens up to one of these words at this depth."""
    start, depth = cursor.at, 0
    while cursor.peek is not None:
        token = cursor.peek
        if token.kind == "op":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif depth == 0 and token.kind == "word" and token.value in words:
            break
        cursor.next()
    return cursor.tokens[start:cursor.at]


def _assignments(tokens):
    """{column name: value tokens} of SET."""
    found = {}
    for part in split_commas(tokens):
        cursor = Cursor(part)
        name = cursor.name()[-1]
        cursor.expect("=")
        found[name] = cursor.rest()
    return found


class Scope:
    """Rewrites fragments of one DML statement in one environment."""

    def __init__(self, call, work, *tables):
        self.environment = call.environment(work)
        for table in tables:
            self.environment.variants.update(c.name for c in table.columns if c.type.semi)

    def expression(self, tokens):
        return Rewriter(tokens, self.environment).text()

    def tables(self, tokens):
        rewriter = Rewriter(tokens, self.environment)
        rewriter.expecting = rewriter.levels[0]["from"] = True
        return rewriter.text()


def update(call):
    cursor = call.cursor
    cursor.next()
    table, full = target_of(call, "UPDATE")
    alias = _alias(cursor) or full[2]
    cursor.expect("SET")
    assignments = _assignments(_until(cursor, "FROM", "WHERE"))
    sources = _until(cursor, "WHERE") if cursor.take("FROM") else []
    condition = cursor.rest()[1:]
    for name in assignments:
        if table.column(name) is None:
            raise SnowflakeError("000904", "42000", f"SQL compilation error: error line 1\ninvalid identifier '{show_name(name)}'")
    with call.writing() as transaction:
        call.world.transactions.lock(transaction, table.number, full[2], call.query)
        with call.engine.statement(transaction, call.query) as work:
            scope = Scope(call, work, table)
            from_ = f"{work.source(table, rowid=True)} AS {column(alias)}"
            if sources:
                from_ += ", " + scope.tables(sources)
            values = [scope.expression(assignments[c.name]) if c.name in assignments else f"{column(alias)}.{column(c.name)}"
                      for c in table.columns]
            where = f" WHERE {scope.expression(condition)}" if condition else ""
            count, multi = replace_rows(work, table, f"SELECT {column(alias)}.__rid AS __rid, "
                                        + ", ".join(f"({v}) AS n{i}" for i, v in enumerate(values)) + f" FROM {from_}{where}")
    return counted(0x3200, number_of_rows_updated=count, **{"number_of_multi-joined_rows_updated": multi})


def replace_rows(work, table, query):
    """New versions of rows: the query gives the old row's id and every column's new value."""
    work.wrote(table.physical, deleted=True)
    work.execute(f"CREATE OR REPLACE TEMP TABLE sf_new AS {query}")
    total, distinct = work.execute("SELECT count(*), count(DISTINCT __rid) FROM sf_new").fetchone()
    if total > distinct:
        work.execute("DELETE FROM sf_new WHERE rowid NOT IN (SELECT min(rowid) FROM sf_new GROUP BY __rid)")
    if distinct:
        work.execute(f"UPDATE {table.physical} SET __d = {work.transaction.number} WHERE rowid IN (SELECT __rid FROM sf_new)")
        add_rows(work, table, table.columns, "SELECT " + ", ".join(f"n{i}" for i in range(len(table.columns))) + " FROM sf_new")
    work.execute("DROP TABLE sf_new")
    return distinct, total - distinct


def delete(call):
    cursor = call.cursor
    cursor.next()
    cursor.expect("FROM")
    table, full = target_of(call, "DELETE")
    alias = _alias(cursor) or full[2]
    sources = _until(cursor, "WHERE") if cursor.take("USING") else []
    condition = cursor.rest()[1:]
    with call.writing() as transaction:
        call.world.transactions.lock(transaction, table.number, full[2], call.query)
        with call.engine.statement(transaction, call.query) as work:
            scope = Scope(call, work, table)
            from_ = f"{work.source(table, rowid=True)} AS {column(alias)}"
            if sources:
                from_ += ", " + scope.tables(sources)
            where = f" WHERE {scope.expression(condition)}" if condition else ""
            work.wrote(table.physical, deleted=True)
            count = work.value(f"UPDATE {table.physical} SET __d = {transaction.number} WHERE rowid IN "
                               f"(SELECT {column(alias)}.__rid FROM {from_}{where})")
    return counted(0x3300, number_of_rows_deleted=count)


def truncate(call):
    cursor = call.cursor
    cursor.next()
    cursor.take("TABLE")
    if_exists = cursor.take("IF", "EXISTS")
    try:
        table, full = target_of(call, "TRUNCATE")
    except SnowflakeError as error:
        if if_exists and error.code == "002003":
            return status("Statement executed successfully.", 0x3000)
        raise
    with call.writing() as transaction:
        call.world.transactions.lock(transaction, table.number, full[2], call.query)
        with call.engine.statement(transaction, call.query) as work:
            work.wrote(table.physical, deleted=True)
            work.execute(f"UPDATE {table.physical} SET __d = {transaction.number} WHERE {work.visible}")
            work.wrote("sf_loads", deleted=True)
            work.execute(f"UPDATE sf_loads SET __d = {transaction.number} WHERE table_number = {table.number} AND {work.visible}")
    return status("Statement executed successfully.", 0x3000)


def merge(call):
    cursor = call.cursor
    cursor.next()
    cursor.expect("INTO")
    table, full = target_of(call, "MERGE")
    alias = _alias(cursor) or full[2]
    cursor.expect("USING")
    source, condition, clauses = _until(cursor, "ON"), [], []
    cursor.expect("ON")
    condition = _until(cursor, "WHEN")
    while cursor.peek is not None:
        clauses.append(_merge_clause(cursor))
    with call.writing() as transaction:
        call.world.transactions.lock(transaction, table.number, full[2], call.query)
        with call.engine.statement(transaction, call.query) as work:
            return _merged(call, work, table, alias, source, condition, clauses)


def _one_source_row_each(call, work, in_updates):
    """A target row that several source rows would change is an error, unless all of them delete it."""
    twice = work.execute(f"SELECT __rid FROM sf_merge WHERE act >= 0 GROUP BY __rid HAVING count(*) > 1 AND count(*) FILTER ({in_updates}) > 0 "
                         "LIMIT 1").fetchone()
    if twice is not None and call.session.parameter("ERROR_ON_NONDETERMINISTIC_MERGE"):
        shown = work.execute(f"SELECT * EXCLUDE (__rid, act) FROM sf_merge WHERE __rid = {twice[0]} LIMIT 1").fetchone()
        raise SnowflakeError("100090", "42P18", f"Duplicate row detected during DML action\nRow Values: [{', '.join(map(str, shown))}]")
    work.execute("DELETE FROM sf_merge WHERE act < 0 OR rowid NOT IN (SELECT min(rowid) FROM sf_merge WHERE act >= 0 GROUP BY __rid)")


def _merge_clause(cursor):
    cursor.expect("WHEN")
    matched = not cursor.take("NOT")
    cursor.expect("MATCHED")
    extra = _until(cursor, "THEN") [0:] if cursor.take("AND") else []
    cursor.expect("THEN")
    action = cursor.next().value
    if action == "UPDATE":
        cursor.expect("SET")
        return matched, extra, "UPDATE", _assignments(_until(cursor, "WHEN")), None
    if action == "DELETE":
        return matched, extra, "DELETE", None, None
    if action == "INSERT":
        names = cursor.parenthesised() if cursor.looks("(") else None
        cursor.expect("VALUES")
        return matched, extra, "INSERT", names, cursor.parenthesised()
    raise syntax_error("MERGE action", action)


def _merged(call, work, table, alias, source, condition, clauses):
    scope = Scope(call, work, table)
    using = scope.tables(source)
    on = scope.expression(condition)
    a = column(alias)
    target = f"{work.source(table, rowid=True)} AS {a}"
    number_ = work.transaction.number
    work.wrote(table.physical, deleted=True)
    inserted = updated = deleted = 0
    # what matches, with the clause that takes each row, and every new value
    matched = [c for c in clauses if c[0]]
    tests = [scope.expression(c[1]) if c[1] else "TRUE" for c in matched]
    chosen = "CASE " + " ".join(f"WHEN {t} THEN {i}" for i, t in enumerate(tests)) + " ELSE -1 END" if tests else "-1"
    values = []
    for c in table.columns:
        arms = [f"WHEN {t} THEN {scope.expression(clause[3][c.name])}" for t, clause in zip(tests, matched)
                if clause[2] == "UPDATE" and c.name in clause[3]]
        rest = [f"WHEN {t} THEN {a}.{column(c.name)}" for t, clause in zip(tests, matched)
                if not (clause[2] == "UPDATE" and c.name in clause[3])]
        ordered = []
        for t, clause in zip(tests, matched):
            has = clause[2] == "UPDATE" and c.name in clause[3]
            ordered.append(arms.pop(0) if has else rest.pop(0))
        values.append(f"CASE {' '.join(ordered)} ELSE {a}.{column(c.name)} END" if ordered else f"{a}.{column(c.name)}")
    inserts = []
    for _, extra, action, names, given in [c for c in clauses if not c[0]]:
        if action != "INSERT":
            raise syntax_error("WHEN NOT MATCHED", action)
        columns = column_list(call, table, names) if names else table.columns
        expressions = [scope.expression(p) for p in split_commas(given)]
        if len(expressions) != len(columns):
            raise SnowflakeError("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list "
                                 f"expecting {len(columns)} but got {len(expressions)}")
        earlier = " AND ".join(f"NOT coalesce({scope.expression(e[1])}, FALSE)" if e[1] else "FALSE" for e in inserts) or "TRUE"
        test = scope.expression(extra) if extra else "TRUE"
        name = f"sf_ins{len(inserts)}"
        work.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {', '.join(f'({e}) AS n{i}' for i, e in enumerate(expressions))} "
                     f"FROM {using} WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {on}) AND ({test}) AND {earlier}")
        inserts.append((name, extra, columns))
    if matched:
        work.execute(f"CREATE OR REPLACE TEMP TABLE sf_merge AS SELECT {a}.__rid AS __rid, {chosen} AS act, "
                     + ", ".join(f"({v}) AS n{i}" for i, v in enumerate(values)) + f" FROM {target} JOIN {using} ON {on}")
        updates = [i for i, c in enumerate(matched) if c[2] == "UPDATE"]
        in_updates = f"act IN ({','.join(map(str, updates)) or '-2'})"
        _one_source_row_each(call, work, in_updates)
        updated = work.value(f"SELECT count(*) FROM sf_merge WHERE {in_updates}")
        deleted = work.value("SELECT count(*) FROM sf_merge WHERE act >= 0") - updated
        work.execute(f"UPDATE {table.physical} SET __d = {number_} WHERE rowid IN (SELECT __rid FROM sf_merge WHERE act >= 0)")
        add_rows(work, table, table.columns, "SELECT " + ", ".join(f"n{i}" for i in range(len(table.columns)))
                 + f" FROM sf_merge WHERE {in_updates}")
        work.execute("DROP TABLE sf_merge")
    for name, _, columns in inserts:
        inserted += add_rows(work, table, columns, f"SELECT * FROM {name}")
        work.execute(f"DROP TABLE {name}")
    counts = {}
    if inserts:
        counts["number_of_rows_inserted"] = inserted
    if any(c[2] == "UPDATE" for c in matched):
        counts["number_of_rows_updated"] = updated
    if any(c[2] == "DELETE" for c in matched):
        counts["number_of_rows_deleted"] = deleted
    return counted(0x3400, **counts)
