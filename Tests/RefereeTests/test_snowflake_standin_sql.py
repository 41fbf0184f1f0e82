"""SQL of the complete destination: tables that grow, MERGE, views, functions on VARIANT, odd names, many tables. Driven by connector 4.8.1."""
import statistics
import time

import pytest
from snowflake_fixtures import Error, name, named_rows, put, run, session, settings, stage, standin  # noqa: F401

ODD = '"a ""b"";--"'


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


class TestTables:
    def test_transient_and_odd_names_everywhere(self, run, session, put, stage):
        plain = name() + ' "x";-- é'
        table = quoted(plain)
        run(f"CREATE TRANSIENT TABLE IF NOT EXISTS {table} ({ODD} VARCHAR, \"select\" INT, \"A\" INT, \"a\" INT) COMMENT = 'it''s; \"--\"'")
        run(f"CREATE TABLE IF NOT EXISTS {table} (OTHER INT)")
        run(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {quoted('new ;col')} VARIANT, IF NOT EXISTS \"A\" INT")
        put("o.json", '{"a \\"b\\";--":"v","select":1,"A":2,"a":3,"new ;col":{"k":[1]}}\n')
        run(f"COPY INTO {table} FROM @{stage} FILES = ('o.json') FILE_FORMAT = (TYPE = JSON) MATCH_BY_COLUMN_NAME = CASE_SENSITIVE")
        run(f"MERGE INTO DB.SCH.{table} t USING (SELECT 'v' AS {ODD}, 9 AS \"a\") s ON t.{ODD} = s.{ODD} WHEN MATCHED THEN UPDATE SET \"a\" = s.\"a\"")
        assert run(f"SELECT t.{ODD}, \"select\", \"A\", \"a\", {quoted('new ;col')}:k[0]::INT FROM {table} t") == [("v", 1, 2, 9, 1)]
        assert [r[0] for r in run(f"DESCRIBE TABLE {table}")] == ['a "b";--', "select", "A", "a", "new ;col"]
        shown = named_rows(session.cursor().execute(f"SHOW TABLES LIKE '{plain}' IN SCHEMA DB.SCH"))
        assert [(r["name"], r["kind"], r["comment"], r["rows"]) for r in shown] == [(plain, "TRANSIENT", "it's; \"--\"", 1)]
        run(f"DROP TABLE {table}")

    def test_add_columns(self, run):
        table = name()
        run(f"CREATE TABLE {table} (A INT)"), run(f"INSERT INTO {table} VALUES (1)")
        for _ in range(2):
            run(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS B VARCHAR(5), IF NOT EXISTS C VARIANT, IF NOT EXISTS A INT")
        assert run(f"SELECT * FROM {table}") == [(1, None, None)]
        for sql in (f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS D INT, B INT", f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS D INT DEFAULT 1",
                    f"ALTER TABLE {table} ADD COLUMN E INT NOT NULL", f"ALTER TABLE {table} ADD COLUMN F INT, F INT"):
            with pytest.raises(Error):
                run(sql)
        assert [r[0] for r in run(f"DESCRIBE TABLE {table}")] == ["A", "B", "C"]

    def test_types_only_widen(self, run):
        table = name()
        run(f"CREATE TABLE {table} (S VARCHAR(5), N NUMBER(10,2), I INT)")
        run(f"INSERT INTO {table} VALUES ('abc', 1.25, 1)")
        run(f"ALTER TABLE {table} ALTER COLUMN S SET DATA TYPE VARCHAR(10), COLUMN N SET DATA TYPE NUMBER(12,2)")
        run(f"ALTER TABLE {table} MODIFY COLUMN S TYPE VARCHAR")
        assert [r[1] for r in run(f"DESCRIBE TABLE {table}")] == ["VARCHAR(16777216)", "NUMBER(12,2)", "NUMBER(38,0)"]
        for change in ("S SET DATA TYPE VARCHAR(2)", "N SET DATA TYPE NUMBER(12,4)", "N SET DATA TYPE FLOAT", "I SET DATA TYPE VARCHAR", "S SET DATA TYPE VARIANT"):
            with pytest.raises(Error) as found:
                run(f"ALTER TABLE {table} ALTER COLUMN {change}")
            assert found.value.errno == 2108
        assert run(f"SELECT S, N::VARCHAR, I FROM {table}") == [("abc", "1.25", 1)]

    def test_a_thousand_columns(self, run):
        table = name()
        run(f"CREATE TABLE {table} (" + ", ".join(f'"column {i}" VARCHAR' for i in range(1000)) + ")")
        run(f"ALTER TABLE {table} ADD COLUMN " + ", ".join(f'IF NOT EXISTS "column {i}" VARCHAR' for i in range(990, 1010)))
        assert len(run(f"DESCRIBE TABLE {table}")) == 1010
        run(f'INSERT INTO {table} ("column 0", "column 1009") VALUES (\'a\', \'z\')')
        run(f"MERGE INTO {table} t USING (SELECT 'a' AS K) s ON t.\"column 0\" = s.K WHEN MATCHED THEN UPDATE SET "
            + ", ".join(f'"column {i}" = \'m{i}\'' for i in range(1, 1010)))
        assert run(f'SELECT "column 0", "column 500", "column 1009" FROM {table}') == [("a", "m500", "m1009")]

    @pytest.mark.parametrize("option", ["ENABLE_SCHEMA_EVOLUTION = TRUE", "DEFAULT_DDL_COLLATION = 'de'", "NOPE = 1"])
    def test_options_are_honoured_or_refused(self, run, option):
        with pytest.raises(Error):
            run(f"CREATE TABLE {name()} (A INT) {option}")

    def test_show_parameters(self, run, session):
        run("ALTER SESSION SET LOCK_TIMEOUT = 7, QUERY_TAG = 'x''y'")
        rows = {r["key"]: r for r in named_rows(session.cursor().execute("SHOW PARAMETERS IN SESSION"))}
        assert (rows["LOCK_TIMEOUT"]["value"], rows["LOCK_TIMEOUT"]["level"], rows["QUERY_TAG"]["value"]) == ("7", "SESSION", "x'y")
        assert [r[:2] for r in run("SHOW PARAMETERS LIKE 'TIMESTAMP_TYPE_MAPPING' IN ACCOUNT")] == [("TIMESTAMP_TYPE_MAPPING", "TIMESTAMP_NTZ")]


class TestMerge:
    MERGE = """MERGE INTO {0} t USING (SELECT ID, D, SEQ, OP FROM {1} QUALIFY ROW_NUMBER() OVER (PARTITION BY ID ORDER BY SEQ DESC) = 1) s
               ON t.ID = s.ID AND t.ID BETWEEN '{2}' AND '{3}'
               WHEN MATCHED AND s.SEQ > t._SEQ AND s.OP = 'delete' THEN {4}
               WHEN MATCHED AND s.SEQ > t._SEQ THEN UPDATE SET t.D = s.D, "_SEQ" = s.SEQ, _DELETED = FALSE
               WHEN NOT MATCHED AND s.OP <> 'delete' THEN INSERT (ID, D, _SEQ, _DELETED) VALUES (s.ID, s.D, s.SEQ, FALSE)
               WHEN NOT MATCHED THEN INSERT (ID, _SEQ, _DELETED) VALUES (s.ID, s.SEQ, TRUE)"""
    SOFT, HARD = "UPDATE SET _DELETED = TRUE, _SEQ = s.SEQ, D = NULL", "DELETE"

    @pytest.fixture
    def tables(self, run):
        target, landing = name("TARGET"), name("LANDING")
        run(f"CREATE TABLE {target} (ID VARCHAR, D VARIANT, _SEQ NUMBER(38,0), _DELETED BOOLEAN)")
        run(f"CREATE TRANSIENT TABLE {landing} (ID VARCHAR, D VARIANT, SEQ NUMBER(38,0), OP VARCHAR)")
        run(f"INSERT INTO {target} SELECT column1, PARSE_JSON(column2), column3, FALSE FROM VALUES ('a', '{{\"v\":0}}', 10), ('b', '{{\"v\":0}}', 10), ('z', NULL, 10)")
        return target, landing

    def land(self, run, landing, *rows):
        for id_, value, seq, op in rows:
            run(f"INSERT INTO {landing} SELECT %s, PARSE_JSON(%s), %s, %s", (id_, value, seq, op))

    @pytest.mark.parametrize("delete, counts, expected", [
        (SOFT, [(2, 2)], [("a", '{"v":2}', 12, False), ("b", None, 11, True), ("c", '{"v":9}', 5, False), ("d", None, 6, True), ("z", None, 10, False)]),
        (HARD, [(2, 1, 1)], [("a", '{"v":2}', 12, False), ("c", '{"v":9}', 5, False), ("d", None, 6, True), ("z", None, 10, False)])])
    def test_the_merge_of_the_destination(self, run, tables, delete, counts, expected):
        target, landing = tables
        self.land(run, landing, ("a", '{"v":1}', 11, "update"), ("a", '{"v":2}', 12, "update"), ("b", None, 11, "delete"), ("c", '{"v":9}', 5, "insert"),
                  ("d", None, 6, "delete"), ("z", '{"v":1}', 9, "update"))
        assert run(self.MERGE.format(target, landing, "a", "z", delete)) == counts
        assert run(f"SELECT ID, D::VARCHAR, _SEQ, _DELETED FROM {target} ORDER BY ID") == expected
        again = run(self.MERGE.format(target, landing, "a", "z", delete))
        assert sum(again[0]) == (0 if delete == self.SOFT else 1)          # the replayed delete of a row that is gone

    def test_bounds_are_part_of_the_condition(self, run, tables):
        target, landing = tables
        self.land(run, landing, ("z", '{"v":1}', 11, "update"))
        assert run(self.MERGE.format(target, landing, "a", "c", self.SOFT)) == [(1, 0)]      # outside of the bounds it is not found
        assert run(f"SELECT COUNT(*) FROM {target} WHERE ID = 'z'") == [(2,)]

    def test_more_than_one_source_row(self, run, tables):
        target, _ = tables
        twice = "(SELECT column1 AS ID, column2 AS V FROM VALUES ('a', 1), ('a', 2))"
        with pytest.raises(Error) as found:
            run(f"MERGE INTO {target} t USING {twice} s ON t.ID = s.ID WHEN MATCHED THEN UPDATE SET _SEQ = s.V")
        assert (found.value.errno, found.value.sqlstate) == (100090, "42P18")
        with pytest.raises(Error) as found:
            run(f"MERGE INTO {target} t USING {twice} s ON t.ID = s.ID WHEN MATCHED AND s.V = 1 THEN UPDATE SET _SEQ = 1 WHEN MATCHED THEN DELETE")
        assert found.value.errno == 100090
        assert run(f"MERGE INTO {target} t USING {twice} s ON t.ID = s.ID WHEN MATCHED AND s.V = 2 THEN UPDATE SET _SEQ = s.V") == [(1,)]
        assert run(f"MERGE INTO {target} t USING {twice} s ON t.ID = s.ID WHEN MATCHED THEN DELETE") == [(1,)]
        assert run(f"MERGE INTO {target} t USING {twice} s ON t.ID = s.ID WHEN NOT MATCHED THEN INSERT (ID) VALUES (s.ID)") == [(2,)]
        run("ALTER SESSION SET ERROR_ON_NONDETERMINISTIC_MERGE = FALSE")
        assert run(f"MERGE INTO {target} t USING (SELECT 'z' AS ID, V FROM {twice}) s ON t.ID = s.ID WHEN MATCHED THEN UPDATE SET _SEQ = s.V") == [(1,)]

    def test_rolled_back(self, run, tables):
        target, landing = tables
        self.land(run, landing, ("a", None, 11, "delete"))
        run("BEGIN"), run(self.MERGE.format(target, landing, "a", "a", self.HARD)), run("ROLLBACK")
        assert run(f"SELECT COUNT(*) FROM {target}") == [(3,)]


class TestViews:
    def test_current_state(self, run, session):
        table, view = name(), quoted(name() + ' "v";--')
        run(f"CREATE TABLE {table} (ID VARCHAR, D VARIANT, SEQ INT, OP VARCHAR)")
        run(f"INSERT INTO {table} SELECT column1, PARSE_JSON(column2), column3, column4 FROM VALUES ('a', '{{\"n\":1}}', 1, 'i'), ('a', '{{\"n\":2}}', 2, 'u'), ('b', NULL, 3, 'd')")
        run(f"CREATE OR REPLACE VIEW {view} COMMENT = 'it''s; current' AS SELECT ID, D:n::INT AS N, D AS \"Doc;\" FROM {table} "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY ID ORDER BY SEQ DESC) = 1 AND OP <> 'd'")
        assert run(f"SELECT v.N, v.\"Doc;\":n FROM DB.SCH.{view} v WHERE ID = 'a'") == [(2, "2")]
        run(f"CREATE VIEW IF NOT EXISTS {view} AS SELECT 1 AS X")
        with pytest.raises(Error) as found:
            run(f"CREATE VIEW {view} AS SELECT 1 AS X")
        assert found.value.errno == 2002
        run(f"INSERT INTO {table} SELECT 'c', NULL, 4, 'i'")
        assert run(f"SELECT COUNT(*) FROM {view}") == [(2,)]
        plain = view[1:-1].replace('""', '"')
        (row,) = named_rows(session.cursor().execute(f"SHOW VIEWS LIKE '{plain}' IN SCHEMA DB.SCH"))
        assert (row["name"], row["comment"], row["is_secure"]) == (plain, "it's; current", "false") and "QUALIFY" in row["text"]
        assert [r[:2] for r in run(f"DESCRIBE VIEW {view}")] == [("ID", "VARCHAR(16777216)"), ("N", "NUMBER(38,0)"), ("Doc;", "VARIANT")]
        run(f"DROP VIEW {view}"), run(f"DROP VIEW IF EXISTS {view}")
        with pytest.raises(Error):
            run(f"SELECT * FROM {view}")

    def test_what_a_star_gave_it_must_still_give(self, run):
        table, view = name(), name("V")
        run(f"CREATE TABLE {table} (A INT)"), run(f"CREATE VIEW {view} (X) AS SELECT * FROM {table}")
        run(f"INSERT INTO {table} VALUES (1)")
        assert run(f"SELECT X FROM {view}") == [(1,)]
        run(f"ALTER TABLE {table} ADD COLUMN B INT")
        with pytest.raises(Error) as found:
            run(f"SELECT X FROM {view}")
        assert found.value.errno == 2057

    def test_tables_and_views_share_their_names(self, run):
        table, view = name(), name("V")
        run(f"CREATE TABLE {table} (A INT)"), run(f"CREATE VIEW {view} AS SELECT A FROM {table}")
        for sql in (f"CREATE VIEW {table} AS SELECT 1 AS A", f"CREATE OR REPLACE VIEW {table} AS SELECT 1 AS A", f"CREATE TABLE {view} (A INT)",
                    f"INSERT INTO {view} VALUES (1)", f"DROP TABLE {view}", f"ALTER TABLE {table} RENAME TO {view}"):
            with pytest.raises(Error):
                run(sql)
        run(f"DROP TABLE {table}")
        with pytest.raises(Error):
            run(f"SELECT * FROM {view}")

    def test_names_are_those_of_the_views_schema(self, standin, run):
        run("CREATE SCHEMA IF NOT EXISTS DB.VIEWS"), run("USE SCHEMA DB.SCH")
        table, view = name(), name("V")
        run(f"CREATE TABLE DB.VIEWS.{table} (A INT)"), run(f"INSERT INTO DB.VIEWS.{table} VALUES (5)")
        run("USE SCHEMA DB.VIEWS"), run(f"CREATE VIEW {view} AS SELECT A FROM {table}"), run("USE SCHEMA DB.SCH")
        assert run(f"SELECT w.A FROM DB.VIEWS.{view} w JOIN DB.VIEWS.{view} x ON w.A = x.A") == [(5,)]


class TestFunctions:
    @pytest.mark.parametrize("expression, expected", [
        ("OBJECT_CONSTRUCT('a', 1, 'gone', NULL, 'q\"', 'x', 'v', PARSE_JSON('{\"n\":12345678901234567890.5}'))", '{"a":1,"q\\"":"x","v":{"n":12345678901234567890.5}}'),
        ("OBJECT_CONSTRUCT_KEEP_NULL('a', NULL)", '{"a":null}'), ("OBJECT_CONSTRUCT()", "{}"), ("ARRAY_CONSTRUCT(1, NULL, 'x')", '[1,null,"x"]'),
        ("GET(PARSE_JSON('{\"a.b\":[1,{\"c\":2}]}'), 'a.b')", '[1,{"c":2}]'), ("GET(PARSE_JSON('[5,6]'), 1)", "6"), ("GET_PATH(PARSE_JSON('{\"a\":{\"b\":7}}'), 'a.b')", "7"),
        ("GET(PARSE_JSON('{\"a\":\"x\"}'), 'a')::VARCHAR", "x"), ("TO_VARIANT('x')", '"x"'), ("TO_VARIANT(9223372036854775807)", "9223372036854775807"),
        ("IFF(1 > 2, 'y', 'n')", "n"), ("COALESCE(NULL, NULLIF(1, 1), 3)", 3), ("TRY_CAST('x' AS NUMBER(10,2))", None), ("TRY_CAST('2024-02-30' AS DATE)", None),
        ("TRY_CAST('never' AS TIMESTAMP_NTZ)", None), ("TRY_TO_NUMBER('12.345', 10, 2)::VARCHAR", "12.35"), ("TRY_TO_NUMBER('12.5')", 13), ("TRY_TO_NUMBER('1e400')", None),
        ("TRY_TO_DECIMAL('x', 38, 5)", None), ("TRY_TO_DOUBLE('1e3')", 1000.0), ("TRY_TO_BOOLEAN('maybe')", None), ("TRY_TO_TIMESTAMP_NTZ('x')", None),
        ("TRY_PARSE_JSON('{')", None), ("TYPEOF(PARSE_JSON('{\"a\":1.5}'):a)", "DECIMAL"), ("IS_VARCHAR(PARSE_JSON('{\"a\":1.5}'):a)", False),
        ("AS_VARCHAR(PARSE_JSON('\"s\"'))", "s"), ("AS_INTEGER(PARSE_JSON('\"s\"'))", None), ("PARSE_JSON('null')::VARCHAR", None), ("PARSE_JSON('\"a\\\\nb\"')::VARCHAR", "a\nb"),
        ("OBJECT_INSERT(PARSE_JSON('{\"a\":1}'), 'b', 'x')", '{"a":1,"b":"x"}'), ("NULLIF(PARSE_JSON('{\"a\":null}'):a, PARSE_JSON('null'))", None)])
    def test_function(self, run, expression, expected):
        assert run(f"SELECT {expression}") == [(expected,)]

    def test_values(self, run):
        assert run("SELECT $2, column1 FROM VALUES (1, 'a'), (2, 'b') ORDER BY 1") == [("a", 1), ("b", 2)]
        assert run('SELECT v."k", v.x FROM (VALUES (1, 2)) AS v ("k", x)') == [(1, 2)]

    def test_overflow_column(self, run, put, stage):
        """A value that does not fit its column goes beside it, with its reason."""
        table = name()
        run(f"CREATE TABLE {table} (ID INT, N NUMBER(10,2), _OVERFLOW VARIANT)")
        put("o.json", '{"id":1,"n":1.5}\n{"id":2,"n":"many"}\n{"id":3}\n')
        run(f"COPY INTO {table} FROM (SELECT $1:id::INT, TRY_TO_DECIMAL($1:n::VARCHAR, 10, 2), IFF($1:n IS NOT NULL AND TRY_TO_DECIMAL($1:n::VARCHAR, 10, 2) IS NULL, "
            f"OBJECT_CONSTRUCT('column', 'N', 'value', $1:n), NULL) FROM @{stage}) FILES = ('o.json') FILE_FORMAT = (TYPE = JSON)")
        assert run(f"SELECT N::VARCHAR, _OVERFLOW FROM {table} ORDER BY ID") == [("1.50", None), (None, '{"column":"N","value":"many"}'), (None, None)]


def test_many_tables_do_not_slow_statements_down(standin, run, put, stage):
    """CREATE, DESCRIBE and COPY cost the same beside 10 tables and beside 1,500 more (5,000 were measured: README)."""
    bare, prefix = standin.bare(), name("M")
    for i in range(20):
        put(f"{i}.json", f'{{"i":{i}}}\n')

    def medians(mark):
        found = {"create": [], "describe": [], "copy": [], "show": []}
        for i in range(20):
            for kind, sql in (("create", f"CREATE TABLE {prefix}_{mark}_{i} (V VARIANT)"), ("describe", f"DESCRIBE TABLE {prefix}_{mark}_{i}"),
                              ("copy", f"COPY INTO {prefix}_{mark}_{i} FROM @{stage} FILES = ('{i}.json') FILE_FORMAT = (TYPE = JSON)"),
                              ("show", f"SHOW TABLES LIKE '{prefix}_{mark}_{i}' IN SCHEMA DB.SCH")):
                start = time.perf_counter()
                bare.rows(sql)
                found[kind].append(time.perf_counter() - start)
        return {kind: statistics.median(times) for kind, times in found.items()}
    before = medians("A")
    for i in range(1500):
        bare.rows(f"CREATE TABLE {prefix}_{i} (V VARIANT, ID VARCHAR, N NUMBER(38,0))")
    after = medians("B")
    assert all(after[kind] < 3 * before[kind] + 0.03 for kind in before), (before, after)
