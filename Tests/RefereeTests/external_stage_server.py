"""The least of Snowflake that an external stage needs before COPY, beside the stores of object_store_server: CREATE STAGE,
DESCRIBE STAGE and LIST of what lies there. The first line on stdout says, in JSON, where both listen; it ends when stdin does.

    /__sql  the statements so far;  /__ctl  POST {"stages": {name: url}, "blind": bool, "refuse": message}"""
import gzip
import http.server
import json
import re
import sys
import threading
import uuid

import object_store_server as stores

STAGES, SQL, SETTINGS = {}, [], {"blind": False, "refuse": None}
CREATE = re.compile(r"CREATE STAGE IF NOT EXISTS (\S+) URL = '([^']*)'(.*)", re.S)


def path_of(url):
    scheme, rest = url.split("://")
    if scheme == "azure":
        return "/azure/" + rest.partition("/")[2]
    return ("/gcs/" if scheme == "gcs" else "/") + rest


def rows(names, values):
    return {"success": True, "code": None, "message": None, "data": {
        "rowtype": [{"name": n} for n in names], "rowset": values, "returned": len(values), "queryId": str(uuid.uuid4())}}


def refused(code, message):
    return {"success": False, "code": code, "message": message, "data": {"sqlState": "02000", "queryId": str(uuid.uuid4())}}


def answer(sql):
    if SETTINGS["refuse"] and sql.startswith("CREATE"):
        return refused("003001", SETTINGS["refuse"] + " near " + sql)
    if made := CREATE.match(sql):
        STAGES.setdefault(made[1], made[2])
        return rows(["status"], [["created"]])
    if sql.startswith("DESCRIBE STAGE "):
        name = sql.removeprefix("DESCRIBE STAGE ")
        if name not in STAGES:
            return refused("002003", f"Stage '{name}' does not exist or not authorized.")
        return rows(["parent_property", "property", "property_type", "property_value"],
                    [["STAGE_FILE_FORMAT", "TYPE", "String", "CSV"], ["STAGE_LOCATION", "URL", "String", json.dumps([STAGES[name]] if STAGES[name] else [])]])
    if sql.startswith("LIST @"):
        name, _, path = sql.removeprefix("LIST @").partition("/")
        if name not in STAGES:
            return refused("002003", f"Stage '{name}' does not exist or not authorized.")
        start = path_of(STAGES[name]) + path
        found = [] if SETTINGS["blind"] else [[STAGES[name] + key[len(path_of(STAGES[name])):], str(len(o["body"]))]
                                              for key, o in stores.WORLD.objects.items() if key.startswith(start)]
        return rows(["name", "size"], found)
    return refused("000900", "not known here: " + sql)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body or b"{}")
        if self.path == "/__sql":
            told = SQL
        elif self.path == "/__ctl":
            STAGES.clear()
            SQL.clear()
            STAGES.update(body.get("stages", {}))
            SETTINGS.update(blind=body.get("blind", False), refuse=body.get("refuse"))
            told = {}
        elif "login-request" in self.path:
            told = {"success": True, "data": {"token": "t", "masterToken": "m", "sessionId": 1, "sessionInfo": {"warehouseName": "WH"}}}
        elif "query-request" in self.path:
            SQL.append(body["sqlText"])
            told = answer(body["sqlText"])
        else:
            told = {"success": True, "data": None}
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = any


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"snowflake": server.server_address[1], "stores": stores.serve()}), flush=True)
    sys.stdin.read()
