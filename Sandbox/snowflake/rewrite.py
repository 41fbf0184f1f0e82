"""Snowflake's expressions and queries as DuckDB's: names, table references, VARIANT paths, types, functions."""
import copy

from . import functions
from .catalog import resolve
from .errors import does_not_exist, syntax_error, unsupported
from .lexer import Cursor, column, literal, quote, show_name
from .types import parse_type

CLAUSES = {"WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "QUALIFY", "UNION", "EXCEPT", "INTERSECT", "MINUS", "SELECT",
           "WINDOW", "FETCH", "OFFSET"}
AFTER_TABLE = CLAUSES | {"ON", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "USING", "SET", "WHEN",
                         "VALUES", "SAMPLE", "TABLESAMPLE", "LATERAL", "ASOF"}
FROM_INSIDE = {"EXTRACT", "TRIM", "SUBSTRING", "POSITION", "OVERLAY"}
FUNCTIONS = {"SYSTIMESTAMP": "now", "TO_TIMESTAMP": "to_timestamp_ntz", 
             "ARRAY_SIZE": "json_array_length", "TYPEOF": "sf_typeof", "LEN": "length", "CHARINDEX": "instr",
             "LISTAGG": "string_agg", "BOOLAND_AGG": "bool_and", "BOOLOR_AGG": "bool_or", "UUID_STRING": "uuid",
             "TO_TIMESTAMP_LTZ": "to_timestamp_ntz", "DATEADD": "date_add", "OCTET_LENGTH": "strlen",
             "SHA2_HEX": "sha2", "HEX_ENCODE": "hex", "IFNULL": "coalesce",
             "APPROX_COUNT_DISTINCT": "approx_count_distinct", "ANY_VALUE": "any_value", "STARTSWITH": "starts_with"}
CONTEXT = {"CURRENT_DATABASE": "database", "CURRENT_SCHEMA": "schema", "CURRENT_ROLE": "role", "CURRENT_USER": "user",
           "CURRENT_WAREHOUSE": "warehouse"}


class Environment:
    """What names mean in one statement: the session, its snapshot, and extra columns (COPY's $1, METADATA$…)."""

    def __init__(self, session, catalog, work, bindings=None, on_table=None, positions=None, words=None, views=None, functions=None):
        self.session, self.catalog, self.work = session, catalog, work
        self.bindings, self.used = bindings or {}, 0
        self.on_table = on_table or (lambda full, table: None)
        self.positions, self.words = positions or {}, words or {}
        self.views, self.functions = views, functions
        self.members = None                          # Parquet's $1:NAME: {name: (expression, is it nested?)}
        self.variants, self.depth = set(), 0

    def table(self, parts):
        """(logical last name, DuckDB source) of a table reference."""
        if len(parts) >= 2 and parts[-2] == "INFORMATION_SCHEMA" and self.views:
            database = parts[0] if len(parts) == 3 else self.session.database
            return parts[-1], self.views(database, parts[-1])
        found = self.view(parts)
        if found is not None:
            from . import views
            full, view = found
            self.on_table(full, view)
            self.variants.update(c.name for c in view.columns if c.type.semi)
            return full[2], views.source(self, full, view)
        table, full = self.lookup(parts)
        self.on_table(full, table)
        self.variants.update(c.name for c in table.columns if c.type.semi)
        return full[2], self.work.source(table)

    def view(self, parts):
        """(full name, View), or None when it is none."""
        if len(parts) == 1 and (parts[0] in self.session.temporary or self.session.database is None or self.session.schema is None):
            return None
        full = resolve(self.session, parts)
        found = self.catalog.find("views", full)
        return None if found is None else (full, found)

    def within(self, session):
        """The environment of a view's query."""
        inner = copy.copy(self)
        inner.session, inner.depth, inner.positions, inner.words, inner.members = session, self.depth + 1, {}, {}, None
        return inner

    def lookup(self, parts):
        if len(parts) == 1 and parts[0] in self.session.temporary:
            return self.session.temporary[parts[0]], (self.session.database, self.session.schema, parts[0])
        full = resolve(self.session, parts)
        if full[2] in self.session.temporary and tuple(full[:2]) == (self.session.database, self.session.schema):
            return self.session.temporary[full[2]], tuple(full)
        table = self.catalog.find("tables", full)
        if table is None:
            raise does_not_exist("Object", ".".join(show_name(p) for p in parts))
        return table, full

    def binding(self, position=None):
        if position is None:
            self.used += 1
            position = self.used
        bound = self.bindings.get(str(position))
        if bound is None:
            raise syntax_error(f"bind variable {position} not set")
        return bound_literal(bound)


def bound_literal(bound):
    """One driver binding as a DuckDB literal."""
    kind, value = bound.get("type", "TEXT").upper(), bound.get("value")
    if value is None:
        return "NULL"
    if isinstance(value, list):
        raise unsupported("array binds")
    if kind in ("FIXED", "REAL"):
        return str(value)
    if kind == "BOOLEAN":
        return "TRUE" if str(value).lower() in ("true", "1") else "FALSE"
    if kind == "DATE":
        return f"CAST(make_timestamp({int(value)} * 1000) AS DATE)"
    if kind in ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ"):
        return f"make_timestamp({int(value)} // 1000)"
    if kind == "BINARY":
        return f"unhex({literal(value)})"
    return literal(str(value))


class Rewriter:
    """One pass over the tokens. `pieces` is the DuckDB text; `primary` marks where the last operand began."""

    def __init__(self, tokens, environment):
        self.cursor, self.env = Cursor(tokens), environment
        self.cursor.bound = lambda: environment.bindings["1"]["value"]
        self.pieces, self.primary, self.path = [], 0, False
        self.levels = [{"from": False, "function": None, "start": 0}]
        self.expecting, self.ctes = False, self._cte_names(tokens)

    @staticmethod
    def _cte_names(tokens):
        if not tokens or tokens[0].value != "WITH":
            return set()
        return {t.value for i, t in enumerate(tokens[:-2]) if t.kind in ("word", "quoted")
                and tokens[i + 1].value == "AS" and tokens[i + 2].text == "("}

    def text(self):
        while self.cursor.peek is not None:
            self._step()
        return " ".join(self.pieces)

    def _operand(self, piece):
        if not (self.pieces and self.pieces[-1] == "."):
            self.primary = len(self.pieces)
        self.pieces.append(piece)
        self.path = False

    def _step(self):
        token = self.cursor.peek
        if self.expecting and not (token.kind == "op" and token.text == "("):
            if token.kind == "word" and token.value in ("LATERAL", "ONLY"):
                raise unsupported(token.value)
            return self._table()
        self.cursor.next()
        kind = token.kind
        if kind == "word":
            self._word(token)
        elif kind == "quoted":
            self._operand(column(token.value))
        elif kind == "string":
            self._operand(literal(token.value))
        elif kind == "number":
            self._operand(token.text)
        elif kind == "position":
            self._position(token)
        elif kind == "stage":
            raise unsupported("SELECT from a stage")
        else:
            self._operator(token)

    def _position(self, token):
        if token.text not in self.env.positions and not self.env.positions and token.text[1:].isdigit():
            return self._operand(f"COLUMN{token.text[1:]}")
        if token.text not in self.env.positions:
            raise syntax_error("unexpected position", token.text)
        self._operand(self.env.positions[token.text])
        self.variant_primary = token.text == "$1" and self.env.positions.get("json")

    def _word(self, token):
        word, env = token.value, self.env
        following = self.cursor.peek
        call = following is not None and following.text == "(" and following.kind == "op"
        after_dot = bool(self.pieces) and self.pieces[-1] == "."
        if word in env.words and not after_dot:
            return self._operand(env.words[word])
        if word == "FROM" and self._is_clause_from():
            self.levels[-1]["from"] = self.expecting = True
            self.pieces.append("FROM")
        elif word == "JOIN":
            self.expecting = True
            self.pieces.append("JOIN")
        elif word in CLAUSES and not after_dot and not call:
            self.levels[-1]["from"] = False
            self.pieces.append("EXCEPT" if word == "MINUS" else word)
        elif word in CONTEXT and call:
            self.cursor.parenthesised()
            value = getattr(env.session, CONTEXT[word])
            self._operand("NULL" if value is None else literal(value))
        elif word in ("CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "GETDATE", "SYSTIMESTAMP"):
            if call:
                self.cursor.parenthesised()
            self._operand("now()")
        elif word in ("CURRENT_SESSION", "CURRENT_ACCOUNT", "CURRENT_VERSION", "CURRENT_REGION", "LAST_QUERY_ID",
                      "CURRENT_TRANSACTION", "CURRENT_IP_ADDRESS", "CURRENT_CLIENT") and call:
            self.cursor.parenthesised()
            value = env.session.context(word)
            self._operand("NULL" if value is None else literal(str(value)))
        elif word in ("CAST", "TRY_CAST") and call:
            self._cast(word)
        elif word in ("DATEADD", "DATEDIFF", "TIMESTAMPADD", "TIMESTAMPDIFF") and call:
            self._date_arithmetic(word)
        elif call and functions.special(word) is not None:
            made = functions.made(self, word)
            self._operand(made)
            self.path = word in functions.JSON_MAKERS
        elif word in ("SYSTEM$TYPEOF", "FLATTEN", "RESULT_SCAN"):
            raise unsupported(word)
        elif call:
            self._operand(FUNCTIONS.get(word, word))
        else:
            self._operand(word if "$" not in word else quote(word))

    def _is_clause_from(self):
        if self.levels[-1]["function"] in FROM_INSIDE:
            return False
        return not (len(self.pieces) > 1 and self.pieces[-1] == "DISTINCT" and self.pieces[-2] in ("IS", "NOT"))

    def _cast(self, word):
        inner = self.cursor.parenthesised()
        depth = 0
        for i, token in enumerate(inner):
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "op" else 0
            if depth == 0 and token.kind == "word" and token.value == "AS":
                type_cursor = Cursor(inner[i + 1:])
                rewriter = Rewriter(inner[:i], self.env)
                value = rewriter.text()
                self._operand(cast_text(value, parse_type(type_cursor), rewriter.is_variant(), word))
                return
        raise syntax_error("CAST without AS")

    def _date_arithmetic(self, word):
        parts = [Rewriter(p, self.env).text() for p in self._split(self.cursor.parenthesised())]
        unit = parts[0].strip("'").lower()
        if word.endswith("DIFF"):
            self._operand(f"date_diff('{unit}', {parts[1]}, {parts[2]})")
        else:
            self._operand(f"(({parts[2]}) + ({parts[1]}) * INTERVAL 1 {unit})")

    @staticmethod
    def _split(tokens):
        from .lexer import split_commas
        return split_commas(tokens)

    def is_variant(self):
        """Is what was just rewritten one VARIANT operand?"""
        if self.path and self.primary == 0:
            return True
        whole = self.cursor.tokens
        if len(whole) == 1 and whole[0].kind == "position":
            return bool(self.env.positions.get("json"))
        names = [t for t in whole if t.kind in ("word", "quoted")]
        return len(whole) in (1, 3) and bool(names) and names[-1].value in self.env.variants

    def _operand_is_variant(self):
        last = self.pieces[-1]
        if self.path:
            return True
        if self.env.positions.get("json") and last == self.env.positions.get("$1"):
            return True
        if last.endswith(")"):
            return any(self.pieces[self.primary].upper() == f for f in ("PARSE_JSON", "TO_VARIANT", "TRY_PARSE_JSON"))
        name = last[1:-1].partition("\x01")[0] if last.startswith('"') else last
        return name in self.env.variants

    def _operator(self, token):
        text, levels = token.text, self.levels
        if text == "(":
            function = self.pieces[-1] if self.pieces and self.primary == len(self.pieces) - 1 else None
            start = self.primary if function and not function.startswith(("'", '"')) and function[0].isalpha() \
                else len(self.pieces)
            levels.append({"from": False, "function": (function or "").upper(), "start": start, "table": self.expecting})
            wanted, self.expecting = self.expecting, False
            self.pieces.append("(")
            if wanted and self.cursor.looks("VALUES"):
                self.pieces.append("SELECT * FROM")
                self._values()
        elif text == ")":
            if len(levels) == 1:
                raise syntax_error("unexpected", ")")
            self.primary = levels.pop()["start"]
            self.pieces.append(")")
            self.path = False
        elif text == "," and levels[-1]["from"]:
            self.expecting = True
            self.pieces.append(",")
        elif text == "::":
            self._colon_cast()
        elif text == ":":
            self._colon()
        elif text == "?":
            self._operand(self.env.binding())
        elif text == "[" and self.path:
            self._subscript()
        elif text == "." and self.path:
            self._extend("." + json_key(self.cursor.identifier_text()))
        else:
            self.pieces.append(text)
            if text != ".":
                self.path = False

    def _colon_cast(self):
        kind = parse_type(self.cursor)
        variant = self._operand_is_variant()
        value = " ".join(self.pieces[self.primary:])
        del self.pieces[self.primary:]
        self.pieces.append(cast_text(value, kind, variant))
        self.path = False

    def _colon(self):
        following = self.cursor.peek
        if following is not None and following.kind == "number" and (not self.pieces or self.pieces[-1] in ("(", ",", "=")):
            self.cursor.next()
            return self._operand(self.env.binding(int(following.text)))
        value = " ".join(self.pieces[self.primary:])
        del self.pieces[self.primary:]
        if self.env.members is not None and value == self.env.positions["$1"]:
            expression, self.path = self.env.members.get(self.cursor.identifier_text(), ("json_extract(CAST(NULL AS JSON), '$')", True))
            self.pieces.append(expression)
            return
        self.pieces.append(f"json_extract({value}, '$.{json_key(self.cursor.identifier_text())}')")
        self.path = True

    def _extend(self, step):
        self.pieces[-1] = self.pieces[-1][:-2] + step.replace("'", "''") + "')"

    def _subscript(self):
        token = self.cursor.next()
        self.cursor.expect("]")
        self._extend(f"[{token.text}]" if token.kind == "number" else "." + json_key(token.value))

    def _table(self):
        self.expecting = False
        cursor = self.cursor
        if cursor.looks("TABLE", "(") and self.env.functions is not None:
            cursor.next()
            return self._named_source(*reversed(self.env.functions(cursor)))
        if cursor.peek.kind == "stage":
            raise unsupported("SELECT from a stage")
        if cursor.looks("VALUES"):
            return self._values()
        parts = cursor.name()
        if len(parts) == 1 and parts[0] in self.ctes:
            self.pieces.append(column(parts[0]))
            return
        self._named_source(*self.env.table(parts))

    def _values(self):
        """VALUES (…), (…) [AS] v [(a, b)]: columns are COLUMN1, COLUMN2, … unless they are named."""
        cursor, rows = self.cursor, []
        cursor.next()
        while True:
            rows.append([Rewriter(p, self.env).text() for p in functions.split_commas(cursor.parenthesised())])
            if not cursor.looks(",", "("):
                break
            cursor.next()
        following = cursor.peek
        cursor.take("AS")
        alias = cursor.identifier() if following is not None and (cursor.peek is not following or following.kind == "quoted" or following.kind == "word"
                                                                  and following.value not in AFTER_TABLE) else "VALUES"
        names = [Cursor(p).identifier() for p in functions.split_commas(cursor.parenthesised())] if cursor.looks("(") \
            else [f"COLUMN{i + 1}" for i in range(len(rows[0]))]
        listed = ", ".join("(" + ", ".join(r) + ")" for r in rows)
        self.pieces.append(f"(VALUES {listed}) AS {column(alias)}({', '.join(map(column, names))})")

    def _named_source(self, name, source):
        cursor = self.cursor
        self.pieces.append(source)
        following = cursor.peek
        has_alias = following is not None and (following.kind == "quoted" or following.kind == "word"
                                               and following.value not in AFTER_TABLE)
        if not has_alias:
            self.pieces.append("AS " + column(name))


def json_key(name):
    """A key inside a DuckDB JSON path (already inside a SQL string)."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''") + '"'


def _identifier_text(self):
    """A path element: case kept as written, unlike other names."""
    token = self.next()
    if token.kind == "quoted":
        return token.value
    if token.kind == "word":
        return token.text
    raise syntax_error("bad path", token.text)


Cursor.identifier_text = _identifier_text


def cast_text(value, kind, variant=False, cast="CAST"):
    """CAST of an already rewritten operand."""
    if cast == "TRY_CAST":
        return f"TRY({cast_text(value, kind, variant)})"
    if kind.semi:
        return f"to_json({value})" if not variant and value.startswith("'") else f"{cast}({value} AS JSON)"
    if variant:
        text = f"json_extract_string({value}, '$')" if not value.startswith("json_extract(") \
            else "json_extract_string(" + value[len("json_extract("):]
        if kind.name == "TIMESTAMP_NTZ":
            return f"sf_timestamp({text})"
        if kind.name == "BINARY":
            return f"unhex({text})"
        if kind.name == "TEXT":
            return cut(text if value.startswith("json_extract(") else f"sf_varchar({value})", kind)
        return f"{cast}({text} AS {kind.duckdb})"
    if kind.name == "TIMESTAMP_NTZ" and value.startswith(("'", "sf_raw(")):
        return f"sf_timestamp({value})"
    if kind.name == "TEXT":
        return cut(f"sf_varchar({value})", kind)
    if kind.name == "BINARY":
        return f"sf_binary({value}, 'HEX')"
    return f"{cast}({value} AS {kind.duckdb})"


def cut(value, kind):
    """A text cast to a length: cut, without a word."""
    return f"left({value}, {kind.length})" if kind.length and kind.length < 16777216 else value


def limited(value, kind):
    """A text value that may not be longer than its column."""
    if kind.name == "TEXT" and kind.length and kind.length < 16777216:
        return f"sf_text({value}, {kind.length})"
    return value


def rewrite(tokens, environment):
    return Rewriter(tokens, environment).text()
