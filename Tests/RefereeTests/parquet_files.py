"""Parquet files by NebulaFormats (through nebula-formats-check), and what pyarrow, DuckDB and Polars read in them."""

import decimal
import io
import json
import struct

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

from formats_check import run

CODECS = ["none", "snappy", "gzip", "zstd"]


def cell(value):
    """A value as `nebula-formats-check parquet-cells` takes it: a double by its bits, binary as a list of bytes."""
    if isinstance(value, float):
        return struct.unpack("<Q", struct.pack("<d", value))[0]
    if isinstance(value, bytes):
        return list(value)
    return str(value) if isinstance(value, decimal.Decimal) else value


def fields_of(columns):
    return [{"name": name, **({"type": type_} if isinstance(type_, str) else type_)} for name, type_ in columns.items()]


def payload(columns, lines, **options):
    return "\n".join([json.dumps({"fields": fields_of(columns), **options}), *lines]).encode()


def try_write(columns, rows, **options):
    """The file of rows (sequences in the order of the columns), or the error."""
    return run([payload(columns, [json.dumps([cell(v) for v in row]) for row in rows], **options)], "parquet-cells")[0]


def write(columns, rows, **options):
    fine, file = try_write(columns, rows, **options)
    assert fine, file
    return file


def by_pyarrow(file):
    # A reader of its own, with page checksums compared.
    return pq.ParquetFile(io.BytesIO(file), page_checksum_verification=True).read()


def by_duckdb(file, tmp_path, query="SELECT * FROM file"):
    path = tmp_path / "file.parquet"
    path.write_bytes(file)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE VIEW file AS SELECT * FROM read_parquet('{path}')")
        return connection.sql(query).to_arrow_table()


def by_polars(file):
    table = polars.read_parquet(io.BytesIO(file)).to_arrow()
    # Polars does not know the JSON annotation, and reads such a column as binary.
    schema = pq.ParquetFile(io.BytesIO(file)).schema
    annotated = {schema.column(i).path for i in range(len(schema)) if schema.column(i).logical_type.type == "JSON"}
    for index, name in enumerate(table.column_names):
        if name in annotated:
            table = table.set_column(index, name, table.column(index).cast(pa.string()))
    return table


def plain(column):
    """An Arrow column as Python values that can be compared: times as numbers, doubles by their bits."""
    type_ = column.type
    if isinstance(type_, pa.BaseExtensionType):
        return plain(column.cast(type_.storage_type))
    if pa.types.is_date32(type_):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(type_):
        column = column.cast(pa.int64())
    values = column.to_pylist()
    if pa.types.is_floating(type_):
        return [None if v is None else "NaN" if v != v else struct.pack("<d", v) for v in values]
    return values


def wanted(values):
    return [v if not isinstance(v, float) else "NaN" if v != v else struct.pack("<d", v) for v in values]


def same(a, b, where):
    """Equal, or the first difference."""
    assert len(a) == len(b), (where, len(a), len(b))
    for index, (x, y) in enumerate(zip(a, b)):
        assert type(x) is type(y) and x == y, (where, index, x, y)


def check(columns, rows, file, tmp_path, readers=("pyarrow", "duckdb", "polars")):
    tables = {"pyarrow": lambda: by_pyarrow(file), "duckdb": lambda: by_duckdb(file, tmp_path), "polars": lambda: by_polars(file)}
    for reader in readers:
        table = tables[reader]()
        assert table.column_names == list(columns) and table.num_rows == len(rows), reader
        for index, name in enumerate(columns):
            same(plain(table.column(index)), wanted([row[index] for row in rows]), (reader, name))


def write_and_check(columns, rows, tmp_path, **options):
    file = write(columns, rows, **options)
    check(columns, rows, file, tmp_path)
    return pq.ParquetFile(io.BytesIO(file))
