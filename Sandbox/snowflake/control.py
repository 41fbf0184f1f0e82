"""Control calls for tests: /sandbox/… (see README.md)."""
import json
import os
import time

from .errors import SnowflakeError
from .http_server import Response
from .lexer import Cursor, column, literal, tokens_of
from .logins import User
from . import show


class Control:
    def __init__(self, world):
        self.world = world

    def handle(self, request):
        name = request.raw_path[len("/sandbox/"):].rstrip("/")
        if name.startswith("chunk/"):
            return self._chunk(name[6:], request)
        raw = request.body()
        handler = getattr(self, "on_" + name.replace("-", "_"), None)
        if handler is None:
            return Response.json({"error": f"no control {name}"}, 404)
        try:
            return Response.json(handler(request.method, json.loads(raw) if raw.strip() else {}, request.query))
        except (SnowflakeError, ValueError, KeyError, TypeError, OSError) as error:
            return Response.json({"error": f"{type(error).__name__}: {error}"}, 400)

    def _chunk(self, name, request):
        rule = self.world.faults.take("api", request.method, request.target)
        body = self.world.results.chunk(name, request.headers)
        answer = Response(403) if body is None else Response(200, body, {"Content-Type": "application/octet-stream"})
        if rule is not None:
            from .api import around
            return around(rule, lambda: answer)
        return answer

    def on_ready(self, method, body, query):
        return {"ready": True}

    def on_faults(self, method, body, query):
        """GET: the rules with their counts. POST {"faults": [...], "add": bool} sets (or adds) rules. DELETE: none."""
        faults = self.world.faults
        if method == "POST":
            rules = body if isinstance(body, list) else body["faults"]
            (faults.add if isinstance(body, dict) and body.get("add") else faults.set)(rules)
        elif method == "DELETE":
            faults.set([])
        return {"faults": faults.report()}

    def on_open_gate(self, method, body, query):
        """{"gate": name}: what the fault rules with this gate hold back goes on."""
        self.world.faults.open_gate(body["gate"])
        return {"open": body["gate"]}

    def on_settings(self, method, body, query):
        if method == "POST":
            self.world.settings.update(body)
            self.world.transactions.wake()
        return vars(self.world.settings)

    def on_stall(self, method, body, query):
        """{"seconds": 30}: the protocol and the stores answer nothing for that long; then everything goes on."""
        self.world.stalled_until = time.time() + float(body["seconds"])
        return {"until": self.world.stalled_until}

    def _sessions(self, body):
        wanted = body.get("session")
        return [s for s in self.world.sessions.every() if wanted in (None, s.number)]

    def on_sessions(self, method, body, query):
        return {"sessions": [{"session": s.number, "user": s.user, "application": s.application, "database": s.database,
                              "schema": s.schema, "transaction": s.transaction.number if s.transaction else None,
                              "parameters": s.parameters} for s in self.world.sessions.every()]}

    def on_expire_sessions(self, method, body, query):
        """{"session": id?, "master": bool}: tokens expire now (390112; with master: renewal gives 390114)."""
        found = self._sessions(body)
        for session in found:
            session.until = 0
            if body.get("master"):
                session.master_until = 0
        return {"expired": [s.number for s in found]}

    def on_kill_sessions(self, method, body, query):
        """{"session": id?}: sessions vanish; their transactions live on detached."""
        found = self._sessions(body)
        for session in found:
            self.world.kill_session(session)
        return {"killed": [s.number for s in found]}

    def on_expire_credentials(self, method, body, query):
        self.world.stages.credentials.expire()
        self.world.accounts.expire()
        return {"expired": True}

    def on_accounts(self, method, body, query):
        """POST: more credentials of people with buckets (see accounts.py); GET: which there are, and what the metadata listener was asked."""
        self.world.accounts.add(body or {})
        return {**self.world.accounts.names(), "requests": self.world.accounts.requests}

    def on_transactions(self, method, body, query):
        transactions, names = self.world.transactions, {t.number: ".".join(full) for full, t in self.world.catalog.tables()}
        with transactions.condition:
            waiting = {t.number: names.get(n, n) for t, n in transactions.waiting.items()}
            return {"transactions": [{"id": t.number, "name": t.name, "session": t.session.number, "user": t.session.user, "state": t.state,
                                      "implicit": t.implicit, "detached": t.detached or t.session.closed, "started": t.started,
                                      "idle_seconds": 0 if t.running else time.time() - t.last_used, "running": t.running,
                                      "locks": [names.get(n, n) for n in t.locks], "waits_for": waiting.get(t.number)}
                                     for t in transactions.open.values()]}

    def on_age_transactions(self, method, body, query):
        """{"seconds": n}: every open transaction looks idle for n seconds longer."""
        with self.world.transactions.condition:
            for transaction in self.world.transactions.open.values():
                transaction.last_used -= float(body["seconds"])
        self.world.transactions.wake()
        return {"aged": True}

    def on_abort_transaction(self, method, body, query):
        return {"result": show.abort(self.world, int(body["id"]))}

    def on_stage(self, method, body, query):
        """{"stage": "DB.SCH.NAME", "location": "AZURE", "encrypted": bool, "presigned": bool, "key_bytes": 16|32}"""
        full = tuple(Cursor(tokens_of(body["stage"])).name())
        stage = self.world.catalog.get("stages", full)
        if "location" in body and body["location"] not in ("S3", "AZURE", "GCS", "LOCAL_FS"):
            raise ValueError(body["location"])
        stage.location = body.get("location", stage.location)
        stage.encrypted = body.get("encrypted", stage.encrypted)
        stage.presigned = body.get("presigned", stage.presigned)
        if "key_bytes" in body:
            import base64
            import secrets
            stage.master_key = base64.b64encode(secrets.token_bytes(int(body["key_bytes"]))).decode()
        self.world.catalog.changed("stages", full)
        return {"stage": body["stage"], "location": stage.location, "encrypted": stage.encrypted, "presigned": stage.presigned,
                "files": [{"name": f.name, "size": f.size, "headers": f.object.meta if f.object else None} for f in self.world.stages.files(stage)]}

    def on_user(self, method, body, query):
        """Adds or replaces a user: {"name", "password", "passcode", "public_keys", "tokens", "oauth_tokens", "deny"}."""
        user = User.of(body)
        self.world.sessions.logins.users[user.name] = user
        return {"user": user.name}

    def on_oauth(self, method, body, query):
        """POST {"client_id", "client_secret", "user", "scopes"?}: a client of /oauth/token-request; {"expire": true}: its tokens are expired.
        GET: the requests for tokens."""
        oauth = self.world.sessions.logins.oauth
        if body.get("expire"):
            oauth.expire()
        elif body:
            oauth.add(body["client_id"], body["client_secret"], body["user"], body.get("scopes"))
        return {"clients": sorted(oauth.clients), "requests": oauth.requests}

    def on_queries(self, method, body, query):
        """The last statements: what was run, by whom, and how it ended."""
        with self.world.queries.lock:
            found = list(self.world.queries.by_id.values())[-int(query.get("last", 200)):]
        return {"queries": [{"id": q.id, "request": q.request_id, "session": q.session.number, "sql": q.sql[:2000], "status": q.status,
                             "tag": q.tag, "started": q.started, "ended": q.ended, "code": q.error.code if q.error else None,
                             "message": q.error.message if q.error else None} for q in found]}

    def on_dump(self, method, body, query):
        """Tables with their row counts, stages with their files, the load history."""
        catalog, engine = self.world.catalog, self.world.engine
        with engine.statement(None) as work:
            tables = {".".join(full): {"rows": work.value(f"SELECT count(*) FROM {work.source(t)}"), "columns": {c.name: str(c.type) for c in t.columns}}
                      for full, t in catalog.tables()}
            names = {t.number: ".".join(full) for full, t in catalog.tables()}
            loads = [{"table": names.get(r[0], r[0]), "file": r[1], "hash": r[2], "status": r[3], "rows": r[4]} for r in work.execute(
                f"SELECT table_number, file, hash, status, row_count FROM sf_loads WHERE {work.visible}").fetchall()]
        return {"tables": tables, "loads": loads, "stages": {".".join(full): [f.name for f in self.world.stages.files(s)]
                                                              for full, s in catalog.stages() if not s.external}}

    def on_export(self, method, body, query):
        """?table=DB.SCH.T&format=parquet|jsonl|csv[&order=COLUMN][&path=FILE]: committed rows, written by DuckDB."""
        parts = Cursor(tokens_of(query["table"])).name()
        table = self.world.catalog.get("tables", tuple(parts))
        kind = query.get("format", "parquet")
        path = query.get("path") or os.path.join(self.world.data, f"export-{table.number}-{int(time.time() * 1000)}.{kind}")
        options = {"parquet": "FORMAT parquet, COMPRESSION zstd", "jsonl": "FORMAT json", "csv": "FORMAT csv, HEADER"}[kind]
        from .lexer import quote
        named = ", ".join(f"{'CAST(' + column(c.name) + ' AS VARCHAR)' if c.type.semi else column(c.name)} AS {quote(_distinct(c, table))}"
                          for c in table.columns)
        order = f" ORDER BY {column(query['order'])}" if "order" in query else ""
        with self.world.engine.statement(None) as work:
            count = work.execute(f"COPY (SELECT {named} FROM {work.source(table)}{order}) TO {literal(path)} ({options})").fetchone()[0]
        return {"path": path, "rows": count}

    def on_sabotage(self, method, body, query):
        """{"sabotage": "delete"|"double", "table": "DB.SCH.T"}: one row removed, or doubled, behind everyone's back."""
        table = self.world.catalog.get("tables", tuple(Cursor(tokens_of(body["table"])).name()))
        columns = ", ".join(column(c.name) for c in table.columns)
        with self.world.engine.statement(None) as work:
            row = work.execute(f"SELECT rowid FROM {table.physical} WHERE {work.visible} ORDER BY rowid "
                               f"{'DESC' if body['sabotage'] == 'double' else ''} LIMIT 1").fetchone()
            if row is None:
                raise ValueError("the table is empty")
            if body["sabotage"] == "delete":
                work.execute(f"DELETE FROM {table.physical} WHERE rowid = {row[0]}")
            elif body["sabotage"] == "double":
                work.execute(f"INSERT INTO {table.physical} ({columns}, __x) SELECT {columns}, 0 FROM {table.physical} WHERE rowid = {row[0]}")
            else:
                raise ValueError(body["sabotage"])
        return {"done": body["sabotage"]}


def _distinct(column_, table):
    """An export name; DuckDB's formats can't hold two that differ in case only."""
    same = [c for c in table.columns if c.name.upper() == column_.name.upper()]
    from .lexer import physical
    return column_.name if len(same) == 1 else physical(column_.name).replace("\x01", "~")
