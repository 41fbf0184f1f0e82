"""The other clients of `make warehouse`, each in a process of its own, and the comparer.

    python -m Sandbox.warehouse_peers prepare JSON
    python -m Sandbox.warehouse_peers connector JSON
    python -m Sandbox.warehouse_peers duckdb KIND INPUT FOLDER
    python -m Sandbox.warehouse_peers floor INPUT
    python -m Sandbox.warehouse_peers compare KIND INPUT OUTPUT

`connector` is Snowflake's own: PUT of the files in a folder, then one COPY. Its level of gzip is Python's 9 and can't be
set; `level` sets it all the same, so that the same level can be compared. Prints how long PUT and COPY took.
`floor` is no client: it reads the file and does what nobody who loads it with gzip 1 can leave out, by the fastest libraries that
there are for it (isa-l, OpenSSL): compressing, hashing, encrypting.
"""
import gzip
import json
import socket
import sys
import time

from .warehouse_inputs import COLUMNS


def copy_statement(kind: str, table: str, folder: str) -> str:
    """As our program's COPY, so that the stand-in has the same to do."""
    if kind == "csv":
        form = ("TYPE = CSV COMPRESSION = GZIP FIELD_DELIMITER = ',' FIELD_OPTIONALLY_ENCLOSED_BY = '\"' ESCAPE = NONE "
                "ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = () EMPTY_FIELD_AS_NULL = TRUE")
        return f"COPY INTO {table} FROM @PEER/{folder} FILE_FORMAT = ({form})"
    items = ", ".join(f'$1:"{name}"' + ("" if kinds[0] == "VARIANT" else f"::{kinds[0].split('(')[0] if 'TIME' in kinds[0] or 'CHAR' in kinds[0] else kinds[0]}")
                      for name, kinds in COLUMNS[kind].items())
    return f"COPY INTO {table} FROM (SELECT {items} FROM @PEER/{folder}) FILE_FORMAT = (TYPE = JSON COMPRESSION = GZIP)"


def over_http() -> None:
    """The connector builds https://BUCKET.END_POINT itself; the stand-in listens without TLS, as it does for our program."""
    from snowflake.connector import s3_storage_client

    client, resolve = s3_storage_client.SnowflakeS3RestClient, socket.getaddrinfo
    configure = client.transfer_accelerate_config

    def configured(self, use=None):
        if self.endpoint is not None:
            self.endpoint = f"http://{self.s3location.bucket_name}.localhost:{self.endpoint.rsplit(':', 1)[1]}"
        return configure(self, use)

    client.transfer_accelerate_config = configured
    socket.getaddrinfo = lambda host, *rest, **named: resolve(
        "127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *rest, **named)


def connected(given: dict):
    import snowflake.connector

    return snowflake.connector.connect(
        account="sandbox", host="127.0.0.1", port=given["port"], protocol="http", user=given["user"],
        password=given["password"], database=given["database"], schema=given["schema"])


def prepare(given: dict) -> None:
    """The table and the stage: our program makes its own."""
    types = ", ".join(f"{name.upper()} {kinds[0]}" for name, kinds in COLUMNS[given["kind"]].items())
    session = connected(given)
    for statement in (f"CREATE TABLE {given['table']} ({types})", "CREATE STAGE PEER"):
        session.cursor().execute(statement)
    session.close()


def connector(given: dict) -> None:
    over_http()
    if given["level"] is not None:
        opened = gzip.GzipFile.__init__
        gzip.GzipFile.__init__ = lambda self, name=None, mode=None, *rest, **named: opened(
            self, name, mode, given["level"], *rest, **named)
    session = connected(given)
    cursor, began = session.cursor(), time.monotonic()
    done = cursor.execute(f"PUT file://{given['folder']}/part-* @PEER/load PARALLEL = 4 AUTO_COMPRESS = TRUE").fetchall()
    put = time.monotonic()
    cursor.execute(copy_statement(given["kind"], given["table"], "load"))
    print(json.dumps({"put": put - began, "copy": time.monotonic() - put, "files": len(done), "bytes": sum(row[3] for row in done)}))
    session.close()


def floor(path: str) -> None:
    """CPU seconds of this alone, without the start of Python."""
    import hashlib

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from isal import isal_zlib

    began = time.process_time()
    packer, digest = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31), hashlib.sha256()
    cipher, size, room = Cipher(algorithms.AES(bytes(16)), modes.CBC(bytes(16))).encryptor(), 0, bytearray((4 << 20) + 16)
    with open(path, "rb", buffering=0) as file:
        more = True
        while more:
            content = file.read(1 << 20)
            more = bool(content)
            packed = packer.compress(content) if more else packer.flush()
            digest.update(packed)
            size += cipher.update_into(packed, room)
    print(json.dumps({"cpu": time.process_time() - began, "files": 0, "bytes": size}))


def duck(kind: str, path: str, folder: str) -> None:
    """Reads the file and writes what a COPY could load; nothing is uploaded."""
    import duckdb

    base = duckdb.connect()
    if kind == "csv":
        base.execute(f"COPY (FROM read_csv('{path}', header=true, all_varchar=true, allow_quoted_nulls=false)) TO '{folder}' "
                     "(FORMAT csv, HEADER false, COMPRESSION gzip, PER_THREAD_OUTPUT)")
    else:
        base.execute(f"COPY (FROM read_json('{path}', format='newline_delimited')) TO '{folder}' "
                     "(FORMAT json, COMPRESSION gzip, PER_THREAD_OUTPUT)")


def compare(kind: str, given: str, found: str) -> str | None:
    """Rows, and a sum over all rows of a hash of each: the same rows in any order give the same."""
    import duckdb

    base = duckdb.connect()
    columns = COLUMNS[kind]
    cells = ", ".join(f'CAST("{name}" AS {kinds[1]})' for name, kinds in columns.items())
    names = "{" + ", ".join(f"'{name}': '{'JSON' if kinds[0] == 'VARIANT' else 'VARCHAR'}'" for name, kinds in columns.items()) + "}"

    def content(source: str) -> tuple:
        return base.execute(f"SELECT count(*), sum(CAST(hash({cells}) AS HUGEINT)) FROM {source}").fetchone()

    if kind == "csv":
        files = "read_csv({}, header={}, columns={}, delim=',', quote='\"', escape='\"', allow_quoted_nulls=false)"
        wanted = content(files.format(f"'{given}'", "true", names))
    else:
        files = "read_json({}, format='newline_delimited', columns={})"
        wanted = content(files.format(f"'{given}'", names))
    if found.endswith(".parquet"):
        got = content(f"read_parquet('{found}')")
    else:
        got = content(files.format(f"'{found}/*'", "false", names) if kind == "csv" else files.format(f"'{found}/*'", names))
    return None if wanted == got else f"{got[0]} of {wanted[0]} rows, {'other content' if wanted[0] == got[0] else 'not all'}"


def main() -> int:
    what, *given = sys.argv[1:]
    if what in ("prepare", "connector"):
        {"prepare": prepare, "connector": connector}[what](json.loads(given[0]))
    elif what == "duckdb":
        duck(*given)
    elif what == "floor":
        floor(*given)
    else:
        problem = compare(*given)
        print(problem or "equal")
        return 1 if problem else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
