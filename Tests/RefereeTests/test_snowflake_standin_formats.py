"""COPY's formats: by name, with metadata, transformed, delimited by anything; VARIANT values exact. Driven by connector 4.8.1."""
import datetime
import decimal
import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from snowflake_fixtures import Error, name, put, run, session, settings, stage, standin  # noqa: F401

BIG = "12345678901234567890123456789012345.123456789"


def parquet(path, table, **options):
    pyarrow.parquet.write_table(table, path, **options)
    return path.read_bytes()


def csv(field=",", extra=""):
    return f"FILE_FORMAT = (TYPE = CSV FIELD_DELIMITER = '{field}' FIELD_OPTIONALLY_ENCLOSED_BY = '\"' ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = () {extra})"


class TestByName:
    DOCUMENTS = '{"id":1,"Name":"n","v":{"x":[1,%s]},"_f":7}\n{"ID":2,"name":"m"}\n' % BIG

    @pytest.mark.parametrize("match, expected", [
        ("CASE_SENSITIVE", [(None, "n", None, None), (2, None, None, None)]),
        ("CASE_INSENSITIVE", [(1, "n", f'{{"x":[1,{BIG}]}}', None), (2, "m", None, None)])])
    def test_json(self, run, put, stage, match, expected):
        table = name()
        run(f'CREATE TABLE {table} (ID INT, "Name" VARCHAR, V VARIANT, MISSING VARCHAR DEFAULT \'default\')')
        put("m.json", self.DOCUMENTS if match == "CASE_SENSITIVE" else self.DOCUMENTS.replace("ID", "id").replace('"name"', '"Name"'))
        run(f"COPY INTO {table} FROM @{stage} FILES = ('m.json') FILE_FORMAT = (TYPE = JSON) MATCH_BY_COLUMN_NAME = {match}")
        assert run(f"SELECT ID, \"Name\", V::VARCHAR, MISSING FROM {table} ORDER BY ID DESC NULLS FIRST" if match == "CASE_SENSITIVE" else
                   f"SELECT ID, \"Name\", V::VARCHAR, MISSING FROM {table} ORDER BY ID") == expected

    def test_two_names_for_one_column(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (ID INT)")
        put("m.json", '{"id":1}\n{"ID":2}\n')
        with pytest.raises(Error):
            run(f"COPY INTO {table} FROM @{stage} FILES = ('m.json') FILE_FORMAT = (TYPE = JSON) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE")

    @pytest.mark.parametrize("kind", ["JSON", "PARQUET", "CSV"])
    def test_include_metadata(self, run, put, stage, tmp_path, kind):
        table = name()
        run(f'CREATE TABLE {table} (A INT, "file name" VARCHAR, N INT, K VARCHAR, M TIMESTAMP_NTZ, S TIMESTAMP_LTZ)')
        if kind == "JSON":
            content, format_ = b'{"a":1,"n":99}\n{"a":2}\n', "TYPE = JSON"
        elif kind == "CSV":
            content, format_ = b"a,n\n1,99\n2,99\n", "TYPE = CSV PARSE_HEADER = TRUE"
        else:
            content, format_ = parquet(tmp_path / "x", pyarrow.table({"a": [1, 2], "n": [99, 99]})), "TYPE = PARQUET"
        put("f.bin", content)
        run(f"COPY INTO {table} FROM @{stage} FILES = ('f.bin') FILE_FORMAT = ({format_}) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE INCLUDE_METADATA = "
            '("file name" = METADATA$FILENAME, N = METADATA$FILE_ROW_NUMBER, K = METADATA$FILE_CONTENT_KEY, M = METADATA$FILE_LAST_MODIFIED, '
            "S = METADATA$START_SCAN_TIME)")
        rows = run(f"SELECT * FROM {table} ORDER BY A")
        assert [r[:3] for r in rows] == [(1, "f.bin", 1), (2, "f.bin", 2)]
        assert len(rows[0][3]) == 32 and isinstance(rows[0][4], datetime.datetime) and rows[0][5].tzinfo

    @pytest.mark.parametrize("options", ["INCLUDE_METADATA = (N = METADATA$FILENAME)", "MATCH_BY_COLUMN_NAME = CASE_SENSITIVE INCLUDE_METADATA = (X = METADATA$FILENAME)",
                                         "MATCH_BY_COLUMN_NAME = CASE_SENSITIVE INCLUDE_METADATA = (N = METADATA$NOTHING)"])
    def test_include_metadata_is_checked(self, run, put, stage, options):
        table = name()
        run(f"CREATE TABLE {table} (N VARCHAR)")
        put("m.json", "{}\n")
        with pytest.raises(Error):
            run(f"COPY INTO {table} FROM @{stage} FILES = ('m.json') FILE_FORMAT = (TYPE = JSON) {options}")


class TestBinaryOfJson:
    """Text is hexadecimal on its way into a BINARY column; what was made binary before is not read once more."""
    ITEMS = ["$1:b", "$1:b::VARCHAR", "$1:b::BINARY", "CAST($1:b AS BINARY)", "$1:b::VARCHAR::BINARY", "TRY_CAST($1:b::VARCHAR AS BINARY)", "TO_BINARY($1:b)",
             "TO_BINARY($1:b::VARCHAR)", "TO_BINARY($1:b::VARCHAR, 'HEX')", "COALESCE($1:b::BINARY, NULL)"]

    def copy(self, run, stage, item, options=""):
        table = name()
        run(f"CREATE TABLE {table} (ID INT, B BINARY(4))")
        source = f"@{stage}" if item is None else f"(SELECT $1:id::INT, {item} FROM @{stage})"
        match = "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE" if item is None else ""
        found = run(f"COPY INTO {table} FROM {source} FILES = ('b.json') FILE_FORMAT = (TYPE = JSON) {match} {options}")
        return found, run(f"SELECT * FROM {table} ORDER BY ID")

    @pytest.mark.parametrize("on_error", ["ABORT_STATEMENT", "CONTINUE"])
    @pytest.mark.parametrize("item", [None, *ITEMS])
    def test_hexadecimal(self, run, put, stage, item, on_error):
        put("b.json", '{"id":1,"b":"00FFab"}\n{"id":2,"b":""}\n{"id":3,"b":null}\n{"id":4}\n{"id":5,"b":"3030"}\n')
        found, rows = self.copy(run, stage, item, f"ON_ERROR = {on_error}")
        assert found[0][1:4] == ("LOADED", 5, 5) and rows == [(1, b"\0\xff\xab"), (2, b""), (3, None), (4, None), (5, b"00")]

    @pytest.mark.parametrize("item, text, expected", [("TO_BINARY($1:b::VARCHAR, 'BASE64')", "AP+r", b"\0\xff\xab"), ("TO_BINARY($1:b::VARCHAR, 'UTF-8')", "\u00e9", b"\xc3\xa9")])
    def test_other_formats(self, run, put, stage, item, text, expected):
        put("b.json", json.dumps({"id": 1, "b": text}))
        assert self.copy(run, stage, item)[1] == [(1, expected)]

    @pytest.mark.parametrize("item", [None, "$1:b", "$1:b::VARCHAR", "$1:b::BINARY"])
    def test_what_is_no_hexadecimal(self, run, put, stage, item):
        put("b.json", '{"id":1,"b":"no hex"}\n{"id":2,"b":"01"}\n')
        with pytest.raises(Error) as failed:
            self.copy(run, stage, item)
        assert failed.value.errno == 100115 and "'no hex'" in str(failed.value)
        found, rows = self.copy(run, stage, item, "ON_ERROR = CONTINUE")
        assert found[0][1:4] == ("PARTIALLY_LOADED", 2, 1) and "'no hex'" in found[0][6] and rows == [(2, b"\x01")]

    def test_too_long(self, run, put, stage):
        put("b.json", '{"id":1,"b":"0011223344"}\n')
        for item in ("$1:b::VARCHAR", "$1:b::BINARY"):
            with pytest.raises(Error) as failed:
                self.copy(run, stage, item)
            assert failed.value.errno == 100078


class TestParquet:
    TABLE = pyarrow.table({
        "I": pyarrow.array([9223372036854775807, None], pyarrow.int64()), "F": [1.5, float("inf")], "B": [True, None], "S": ["ü\n\"'", ""],
        "BIN": [b"\0\xff", b""], "D": [datetime.date(2024, 2, 29), None], "TS": pyarrow.array([1709210096789012, 0], pyarrow.timestamp("us")),
        "N": pyarrow.array([decimal.Decimal("1234567890123456789012345678.0123456789"), None], pyarrow.decimal128(38, 10)),
        "L": [[1, 9223372036854775807], None], "ST": [{"x": 1, "y": [{"z": "a"}]}, None], "J": ['{"big":%s}' % BIG, "[1.10]"], "T": [datetime.time(1, 2, 3), None]})
    COLUMNS = "I INT, F FLOAT, B BOOLEAN, S VARCHAR, BIN BINARY, D DATE, TS TIMESTAMP_NTZ, N NUMBER(38,10), L VARIANT, ST VARIANT, J VARCHAR, T TIME"
    FORMAT = "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE)"

    def check(self, run, table):
        first, second = run(f"SELECT I, F, B, S, BIN, D, TS, N, L::VARCHAR, ST:y[0].z::VARCHAR, J, T FROM {table} ORDER BY I NULLS LAST")
        assert first == (9223372036854775807, 1.5, True, "ü\n\"'", b"\0\xff", datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 34, 56, 789012),
                         decimal.Decimal("1234567890123456789012345678.0123456789"), "[1,9223372036854775807]", "a", '{"big":%s}' % BIG, datetime.time(1, 2, 3))
        assert second == (None, float("inf"), None, "", b"", None, datetime.datetime(1970, 1, 1), None, None, None, "[1.10]", None)

    @pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "none"])
    def test_by_name(self, run, put, stage, tmp_path, codec):
        table = name()
        run(f"CREATE TABLE {table} ({self.COLUMNS})")
        put("p.parquet", parquet(tmp_path / "x", self.TABLE, compression=codec, data_page_size=64, use_dictionary=codec != "none"))
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('p.parquet') {self.FORMAT} MATCH_BY_COLUMN_NAME = CASE_SENSITIVE")[0][1:4] == ("LOADED", 2, 2)
        self.check(run, table)

    def test_transformed(self, run, put, stage, tmp_path):
        table = name()
        run(f"CREATE TABLE {table} ({self.COLUMNS}, V VARIANT, F2 VARCHAR, R INT)")
        put("p.parquet", parquet(tmp_path / "x", self.TABLE))
        run(f"COPY INTO {table} FROM (SELECT $1:I::INT, $1:F::FLOAT, $1:B::BOOLEAN, $1:S::VARCHAR, $1:BIN::BINARY, $1:D::DATE, $1:TS::TIMESTAMP_NTZ, "
            f"$1:N::NUMBER(38,10), $1:L, $1:\"ST\", $1:J, $1:T::TIME, PARSE_JSON($1:J::VARCHAR), METADATA$FILENAME, METADATA$FILE_ROW_NUMBER FROM @{stage} t) "
            f"FILES = ('p.parquet') {self.FORMAT}")
        self.check(run, table)
        assert run(f"SELECT V::VARCHAR, F2, R FROM {table} ORDER BY R") == [('{"big":%s}' % BIG, "p.parquet", 1), ("[1.10]", "p.parquet", 2)]

    def test_paths_and_one_variant(self, run, put, stage, tmp_path):
        one, two = name(), name()
        run(f"CREATE TABLE {one} (Z VARCHAR, X INT, NOTHING VARCHAR, TXT VARIANT)"), run(f"CREATE TABLE {two} (V VARIANT)")
        put("p.parquet", parquet(tmp_path / "x", self.TABLE))
        run(f"COPY INTO {one} FROM (SELECT $1:ST.y[0].z::VARCHAR, $1:ST:x::INT, $1:nothing::VARCHAR, $1:S FROM @{stage}) FILES = ('p.parquet') {self.FORMAT}")
        assert run(f"SELECT Z, X, NOTHING, TXT::VARCHAR FROM {one} WHERE X = 1") == [("a", 1, None, "ü\n\"'")]
        run(f"COPY INTO {two} FROM @{stage} FILES = ('p.parquet') {self.FORMAT}")
        found = json.loads(run(f"SELECT V FROM {two} WHERE V:I IS NOT NULL AND V:B::BOOLEAN")[0][0], parse_float=str)
        assert found["I"] == 9223372036854775807 and found["BIN"] == "00FF" and found["N"] == "1234567890123456789012345678.0123456789" and found["ST"]["x"] == 1

    def test_without_logical_types_a_timestamp_is_a_number(self, run, put, stage, tmp_path):
        """The trap: the number's size tells the unit, so a time near 1970 is read wrongly."""
        table = name()
        run(f"CREATE TABLE {table} (TS TIMESTAMP_NTZ, BIN VARCHAR)")
        put("p.parquet", parquet(tmp_path / "x", pyarrow.table({"TS": pyarrow.array([1709210096789012, 86400000000], pyarrow.timestamp("us")), "BIN": [b"text", b"t"]})))
        run(f"COPY INTO {table} FROM @{stage} FILES = ('p.parquet') FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_SENSITIVE")
        assert run(f"SELECT TS, BIN FROM {table} ORDER BY BIN DESC") == [(datetime.datetime(2024, 2, 29, 12, 34, 56, 789012), "text"), (datetime.datetime(1972, 9, 27), "t")]

    def test_no_parquet(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (A INT)")
        put("p.parquet", b"PAR1 is not enough")
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('p.parquet') {self.FORMAT} MATCH_BY_COLUMN_NAME = CASE_SENSITIVE"
        with pytest.raises(Error):
            run(copy)
        assert run(copy + " ON_ERROR = SKIP_FILE")[0][1:4] == ("LOAD_FAILED", 0, 0)


class TestCsv:
    @pytest.mark.parametrize("field", [",", "|", "\\t", ";", "\\u0001", "||", "~#~", "<separator>", "ä", "0x1f"])
    @pytest.mark.parametrize("pack", [lambda b: b, gzip.compress, zstandard.compress])
    def test_any_delimiter(self, run, put, stage, field, pack):
        table, cut = name(), {"\\t": "\t", "\\u0001": "\x01", "0x1f": "\x1f"}.get(field, field)
        run(f"CREATE TABLE {table} (R INT, A VARCHAR, B VARCHAR, C VARCHAR)")
        rows = [(1, "new\nline", 'say "hi"', f"with {cut} in it"), (2, "", None, "crlf\r\n"), (3, None, "é😀", "\\N"), (4, " space ", "a'b", "end")]
        encode = lambda v: "" if v is None else '"' + v.replace('"', '""') + '"'
        put("d.csv", pack("".join(cut.join([str(r), *map(encode, v)]) + "\n" for r, *v in rows).encode()))
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('d.csv') {csv(field)}")[0][1:4] == ("LOADED", 4, 4)
        assert run(f"SELECT * FROM {table} ORDER BY R") == rows

    def test_bare_values(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR)")
        put("d.csv", "a|~b\n|~\nx|y|~z~\n")
        run(f"COPY INTO {table} FROM @{stage} FILES = ('d.csv') FILE_FORMAT = (TYPE = CSV FIELD_DELIMITER = '|~' EMPTY_FIELD_AS_NULL = FALSE)")
        assert sorted(run(f"SELECT * FROM {table}")) == [("", ""), ("a", "b"), ("x|y", "z~")]

    def test_parse_json_is_exact(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (K VARCHAR, V VARIANT, F VARCHAR, R INT)")
        documents = ['{"n":9223372036854775807,"d":%s}' % BIG, '{"s":"a\\nb \\"q\\" \\\\ é","e":1e400,"m":-0.10}', "[]", "null"]
        put("d.csv.zst", zstandard.compress("".join(f'k{i},"' + d.replace('"', '""') + '"\n' for i, d in enumerate(documents)).encode() + b"k9,\n"))
        run(f"COPY INTO {table} (K, V, F, R) FROM (SELECT t.$1, PARSE_JSON(t.$2), METADATA$FILENAME, METADATA$FILE_ROW_NUMBER FROM @{stage} t) "
            f"FILES = ('d.csv.zst') {csv(extra='COMPRESSION = ZSTD')}")
        assert run(f"SELECT V::VARCHAR, R FROM {table} WHERE K <> 'k9' ORDER BY K") == [(d if d != "null" else None, i) for i, d in enumerate(documents, 1)]
        assert run(f"SELECT V:n, V IS NULL FROM {table} WHERE K IN ('k0', 'k9') ORDER BY K") == [("9223372036854775807", False), (None, True)]

    @pytest.mark.parametrize("value", ['"{"', '"{""a"":1,""a"":2}"', "NaN"])
    def test_parse_json_fails(self, run, put, stage, value):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("d.csv", value + "\n")
        with pytest.raises(Error) as found:
            run(f"COPY INTO {table} FROM (SELECT PARSE_JSON($1) FROM @{stage}) FILES = ('d.csv') {csv()}")
        assert found.value.errno == 100069

    @pytest.mark.parametrize("at", [65536 + shift for shift in (-3, -1, 0, 1, 2, 6)])
    def test_a_blank_before_a_quote_wherever_pieces_meet(self, run, put, stage, at):
        """Such a value is not enclosed; the stand-in reads a file in pieces of 64 KiB and must not miss it between two."""
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR)")
        value = '  "b""c"'
        put("d.csv", "x" * (at - 3) + f",{value}\ny,z\n")
        run(f"COPY INTO {table} FROM @{stage} FILES = ('d.csv') {csv(extra='COMPRESSION = NONE')}")
        assert sorted(run(f"SELECT LENGTH(A), B FROM {table}")) == [(1, "z"), (at - 3, value)]

    def test_of_doubled_names_the_last_counts_if_asked(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (K INT, V VARIANT)")
        put("d.csv", '1,"{""a"":1,""b"":{""c"":1.50,""c"":2.50},""a"":3}"\n2,\n3,"[1]"\n')
        run(f"COPY INTO {table} FROM (SELECT $1, PARSE_JSON($2, 'd') FROM @{stage}) FILES = ('d.csv') {csv()}")
        assert run(f"SELECT V::VARCHAR FROM {table} ORDER BY K") == [('{"a":3,"b":{"c":2.50}}',), (None,), ("[1]",)]

    def test_a_transformation_takes_rows_of_any_width(self, run, put, stage):
        """ERROR_ON_COLUMN_COUNT_MISMATCH is for COPY without a transformation."""
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, C VARCHAR)")
        put("d.csv", "a,b,c\nd\ne,f,g,h\n")
        assert run(f"COPY INTO {table} FROM (SELECT $1, $3 FROM @{stage}) FILES = ('d.csv') {csv()}")[0][1:4] == ("LOADED", 3, 3)
        assert sorted(run(f"SELECT * FROM {table}"), key=str) == [("a", "c"), ("d", None), ("e", "g")]

    def test_a_thousand_columns(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (" + ", ".join(f'"c {i}" {("INT", "VARCHAR", "VARIANT")[i % 3]}' for i in range(1000)) + ")")
        put("w.csv", "".join(",".join(("1", "x", '"{""a"":1}"')[i % 3] for i in range(1000)) + "\n" for _ in range(500)))
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('w.csv') {csv()}")[0][1:4] == ("LOADED", 500, 500)
        assert run(f'SELECT COUNT(*), SUM("c 999"), MAX("c 1"), MAX("c 2":a::INT) FROM {table}') == [(500, 500, "x", 1)]
        put("bad.csv", ",".join(("x", "x", "{")[i % 3] for i in range(1000)) + "\n")
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('bad.csv') {csv()} ON_ERROR = CONTINUE")[0][1:4] == ("LOAD_FAILED", 1, 0)

    @pytest.mark.parametrize("content, number", [('a,b\nc,"d\ne,f\n', 100080), ('a","b\nc,d\n', 100080), ('a,b\nc,"d"x\n', 100080), ('a,b\nc,d,e\n', 100080), ("a,b\n\nc,d\n", 100076)])
    def test_no_record_is_dropped_without_a_word(self, run, put, stage, content, number):
        """DuckDB's reader drops a last value that is never closed."""
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR)")
        put("d.csv", content)
        with pytest.raises(Error) as found:
            run(f"COPY INTO {table} FROM @{stage} FILES = ('d.csv') {csv()}")
        assert found.value.errno == number and run(f"SELECT COUNT(*) FROM {table}") == [(0,)]
        row = run(f"COPY INTO {table} FROM @{stage} FILES = ('d.csv') {csv()} ON_ERROR = CONTINUE")[0]
        assert row[1] in ("PARTIALLY_LOADED", "LOAD_FAILED") and row[2] == row[3] + row[5]

    def test_mixed_line_ends_and_large_values(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR)")
        put("m.csv", "a,b\r\nc,d\ne,f"), put("l.csv", "x," + "y" * 16777217 + "\n")
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('m.csv') {csv()}")[0][1:4] == ("LOADED", 3, 3)
        assert sorted(run(f"SELECT * FROM {table}")) == [("a", "b"), ("c", "d"), ("e", "f")]
        with pytest.raises(Error) as found:
            run(f"COPY INTO {table} FROM @{stage} FILES = ('l.csv') {csv()}")
        assert found.value.errno == 100082

    @pytest.mark.parametrize("seed", range(6))
    def test_what_pythons_csv_module_writes(self, run, put, stage, seed):
        import csv as module
        import io
        import random
        dice, table, out = random.Random(seed), name(), io.StringIO()
        field, width = dice.choice(",|;\t~"), dice.randint(1, 6)
        run(f"CREATE TABLE {table} (" + ", ".join(f"C{i} VARCHAR" for i in range(width)) + ")")
        pieces = ["a", "", '"', '""', "\n", "\r\n", "\\", "\\N", field, field * 2, " ", "é😀", "'", "0", "x" * 300]
        rows = [tuple("".join(dice.choices(pieces, k=dice.randint(0, 4))) for _ in range(width)) for _ in range(400)]
        module.writer(out, delimiter=field, quoting=module.QUOTE_ALL, lineterminator=dice.choice(["\n", "\r\n"])).writerows(rows)
        put("p.csv", out.getvalue())
        on_error = dice.choice(["ABORT_STATEMENT", "CONTINUE"])
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('p.csv') {csv(field)} ON_ERROR = {on_error}")[0][1:4] == ("LOADED", 400, 400)
        assert sorted(run(f"SELECT * FROM {table}")) == sorted(rows)
