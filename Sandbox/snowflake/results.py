"""Answers: rows as JSON cells, the first in the answer, the rest as gzip chunks on disk; or Arrow when asked."""
import base64
import gzip
import json
import os
import secrets

from .types import cell, described


class Held:
    """Rows that were read once: the first as a list, the others in chunk files."""

    def __init__(self, first, chunks, total):
        self.first, self.chunks, self.total = first, chunks, total


class _Rows:
    """Rows that are there, read as a cursor's."""

    def __init__(self, rows):
        self.rows, self.at = list(rows), 0

    def fetchmany(self, count):
        self.at += count
        return self.rows[self.at - count:self.at]


class Results:
    def __init__(self, folder):
        self.folder, self.chunks = folder, {}
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))

    def hold(self, cursor, settings):
        """Takes a DuckDB cursor's rows within its transaction."""
        limit = settings.chunk_rows
        first = [[cell(v) for v in row] for row in cursor.fetchmany(limit)]
        chunks, total = [], len(first)
        while len(first) == limit and (rows := cursor.fetchmany(settings.rows_per_chunk)):
            text = json.dumps([[cell(v) for v in row] for row in rows], ensure_ascii=False)[1:-1].encode()
            packed = gzip.compress(text, 1)
            name = secrets.token_hex(16)
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(packed)
            chunks.append({"name": name, "rowCount": len(rows), "uncompressedSize": len(text), "compressedSize": len(packed)})
            total += len(rows)
        return Held(first, chunks, total)

    def data(self, query, settings, base_url):
        """`data` of a finished query's answer."""
        result, session = query.result, query.session
        if result.extra is not None:
            return result.extra
        rows = result.rows
        if not isinstance(rows, Held):
            rows = self.hold(_Rows(rows), settings)
        data = {"parameters": session.parameter_list(), "rowtype": [described(n, t) for n, t in result.columns],
                "rowset": rows.first, "total": rows.total, "returned": rows.total, "queryId": query.id, "sqlState": "00000",
                "databaseProvider": None, "finalDatabaseName": session.database, "finalSchemaName": session.schema,
                "finalWarehouseName": session.warehouse, "finalRoleName": session.role, "numberOfBinds": 0,
                "arrayBindSupported": False, "statementTypeId": result.type_id, "version": 1,
                "sendResultTime": int((query.ended or query.started) * 1000), "queryResultFormat": "json", "queryContext": {"entries": []}}
        if query.children:
            data["resultIds"] = ",".join(c.id for c in query.children)
            data["resultTypes"] = ",".join(str(c.result.type_id) for c in query.children)
        if rows.chunks:
            key = secrets.token_urlsafe(24)
            data["qrmk"] = key
            data["chunkHeaders"] = {"x-amz-server-side-encryption-customer-algorithm": "AES256",
                                    "x-amz-server-side-encryption-customer-key": key}
            data["chunks"] = []
            for chunk in rows.chunks:
                self.chunks[chunk["name"]] = key
                data["chunks"].append({"url": f"{base_url}/sandbox/chunk/{chunk['name']}",
                                       **{k: chunk[k] for k in ("rowCount", "uncompressedSize", "compressedSize")}})
        if settings.result_format == "arrow":
            _as_arrow(data)
        return data

    def chunk(self, name, headers):
        """A chunk's body, for a request with the right headers only."""
        key = self.chunks.get(name)
        if key is None or headers.get("x-amz-server-side-encryption-customer-key") != key \
                or headers.get("x-amz-server-side-encryption-customer-algorithm") != "AES256":
            return None
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()


def _as_arrow(data):
    import pyarrow
    columns = list(zip(*data["rowset"])) or [[] for _ in data["rowtype"]]
    table = pyarrow.table([pyarrow.array(list(c), pyarrow.string()) for c in columns],
                          schema=pyarrow.schema([pyarrow.field(r["name"], pyarrow.string(), metadata={"logicalType": "TEXT"}) for r in data["rowtype"]]))
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    del data["rowset"]
    data["rowsetBase64"] = base64.b64encode(sink.getvalue().to_pybytes()).decode()
    data["queryResultFormat"] = "arrow"
