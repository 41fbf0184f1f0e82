"""The driver protocol: sessions, queries, results; and how a fault changes an answer."""
import gzip
import json
import re
import threading
import time
import uuid

from .control import Control
from .errors import SnowflakeError
from .http_server import Closed, Response

IN_PROGRESS = "Query execution in progress. Result is not ready."


def envelope(data, code=None, message=None, success=True, **headers):
    return Response.json({"data": data, "code": code, "message": message, "success": success}, 200, **headers)


def failure(error, query_id=None):
    data = {"internalError": False, "errorCode": error.code, "age": 0, "sqlState": error.sqlstate, "queryId": query_id,
            "line": -1, "pos": -1, "type": "COMPILATION" if error.code.startswith("00") else "EXECUTION", **error.data}
    return envelope(data, error.code, error.message, False)


class Api:
    def __init__(self, world):
        self.world, self.control = world, Control(world)

    def handle(self, request):
        if request.raw_path.startswith("/sandbox/"):
            return self.control.handle(request)
        self.world.wait_while_stalled()
        if request.raw_path.startswith("/oauth/token"):
            rule, oauth = self.world.faults.take("api", request.method, request.target), self.world.sessions.logins.oauth
            return around(rule, lambda: oauth.handle(request)) if rule else oauth.handle(request)
        body = request.body()
        if request.headers.get("content-encoding") == "gzip" or body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        try:
            body = json.loads(body) if body.strip() else {}
        except ValueError:
            return Response.json({"message": "bad JSON"}, 400)
        sql = body.get("sqlText") if isinstance(body, dict) else None
        rule = self.world.faults.take("api", request.method, request.target, sql)
        return self._faulty(rule, request, body) if rule else self._answer(request, body)

    def _answer(self, request, body, rule=None):
        try:
            return self._route(request, body, rule)
        except SnowflakeError as error:
            return failure(error)

    def _faulty(self, rule, request, body):
        action = rule.action
        if action == "late":
            self._apply_late(request, body, rule)
            raise Closed()
        if action in ("slow_execution", "fail_execution"):
            return self._answer(request, body, rule)
        rule.hold()
        if action in ("expire", "kill"):
            self._session_fault(action, request)
            return self._answer(request, body)
        if action == "fail":
            return failure(rule.failure, str(uuid.uuid4()))
        return around(rule, lambda: self._answer(request, body))

    def _apply_late(self, request, body, rule):
        """The statement is known by its requestId at once, and runs later."""
        def later():
            try:
                self._answer(request, body, rule)
            except Closed:
                pass
        if not request.raw_path.startswith("/queries/v1/query-request"):
            original = later
            later = lambda: (rule.pause(), original())
        threading.Thread(target=later, daemon=True).start()

    def _session_fault(self, action, request):
        try:
            session = self.world.sessions.of(request.headers)
        except SnowflakeError:
            return
        if action == "expire":
            session.until = 0
        else:
            self.world.kill_session(session)

    # --- routes

    def _route(self, request, body, rule):
        path, method = request.raw_path, request.method
        if method == "POST" and path == "/session/v1/login-request":
            return self._login(request, body)
        if method == "POST" and path == "/session/token-request":
            return self._renew(request, body)
        if path in ("/telemetry/send", "/telemetry/send/sessionless"):
            return envelope("Log Received")
        if method == "POST" and path == "/session/authenticator-request":
            raise SnowflakeError("390190", "08001", "There was an error related to the SAML Identity Provider account parameter.")
        if not re.match(r"/(session|queries|monitoring)", path):
            return Response(404)
        session = self.world.sessions.of(request.headers)
        if method == "POST" and path == "/session/heartbeat":
            return envelope(None)
        if method == "POST" and path == "/session" and request.query.get("delete") == "true":
            self.world.close_session(session)
            return envelope(None)
        if method == "POST" and path == "/queries/v1/query-request":
            return self._query(request, session, body, rule)
        if method == "POST" and path == "/queries/v1/abort-request":
            self.world.queries.abort(request_id=body.get("requestId"))
            return envelope(None)
        if found := re.fullmatch(r"/queries/([^/]+)/abort-request", path):
            self.world.queries.abort(query_id=found[1])
            return envelope(None)
        if method == "GET" and (found := re.fullmatch(r"/queries/([^/]+)/result", path)):
            query = self.world.queries.get(found[1])
            if query is None:
                raise SnowflakeError("000709", "02000", f"Statement {found[1]} not found")
            return self._result(request, query, "333334")
        if method == "GET" and (found := re.fullmatch(r"/monitoring/queries/([^/]+)", path)):
            return self._monitoring(found[1])
        return Response(404)

    def _login(self, request, body):
        data = body.get("data") or {}
        session = self.world.sessions.login(data, request.query)
        catalog, query = self.world.catalog, request.query
        name = lambda given: given[1:-1].replace('""', '"') if given and given.startswith('"') else given.upper() if given else None
        database, schema = name(query.get("databaseName")), name(query.get("schemaName"))
        if database in catalog.databases:
            session.database = database
            session.schema = schema if schema and catalog.has_schema(database, schema) else \
                "PUBLIC" if not schema and catalog.has_schema(database, "PUBLIC") else None
        session.warehouse = name(query.get("warehouse"))
        session.role = name(query.get("roleName")) or session.role
        settings = self.world.settings
        return envelope({
            "token": session.token, "masterToken": session.master, "validityInSeconds": int(settings.session_validity_seconds),
            "masterValidityInSeconds": int(settings.master_validity_seconds), "displayUserName": session.user, "serverVersion": "10.0.0",
            "firstLogin": False, "remMeToken": None, "remMeValidityInSeconds": 0, "healthCheckInterval": 45, "newClientForUpgrade": None,
            "sessionId": session.number, "parameters": session.parameter_list(), "idToken": None,
            "mfaToken": self.world.sessions.logins.mfa_token(session.user_record, data),
            "sessionInfo": {"databaseName": session.database, "schemaName": session.schema, "warehouseName": session.warehouse,
                            "roleName": session.role}, "responseData": None})

    def _renew(self, request, body):
        session = self.world.sessions.renew(request.headers, body)
        settings = self.world.settings
        return envelope({"sessionToken": session.token, "validityInSecondsST": int(settings.session_validity_seconds),
                         "masterToken": session.master, "validityInSecondsMT": int(settings.master_validity_seconds),
                         "sessionId": session.number})

    def _query(self, request, session, body, rule):
        if not isinstance(body.get("sqlText"), str):
            raise SnowflakeError("390109", "22000", "no sqlText")
        for name, value in (body.get("parameters") or {}).items():
            if name.upper() == "QUERY_TAG":
                session.set_parameter(name, value)
        query, _ = self.world.queries.submit(request.query.get("requestId"), session, body["sqlText"], body, rule)
        if body.get("asyncExec"):
            return self._in_progress(query, "333334")
        return self._result(request, query, "333333")

    def _result(self, request, query, code):
        if not query.done.wait(self.world.settings.sync_seconds):
            return self._in_progress(query, code)
        if query.error is not None:
            return failure(query.error, query.id)
        if query.data is None:
            base = f"{'https' if request.secure else 'http'}://{request.headers.get('host', '127.0.0.1')}"
            query.data = self.world.results.data(query, self.world.settings, base)
        return envelope(query.data)

    @staticmethod
    def _in_progress(query, code):
        return envelope({"queryId": query.id, "getResultUrl": f"/queries/{query.id}/result", "queryAbortsAfterSecs": 300,
                         "progressDesc": None}, code, IN_PROGRESS)

    def _monitoring(self, query_id):
        query = self.world.queries.get(query_id)
        if query is None or time.time() - query.started < self.world.settings.no_data_seconds:
            return envelope({"queries": []})              # the drivers call it NO_DATA
        entry = {"id": query.id, "status": query.status, "state": query.status, "sqlText": query.sql, "startTime": int(query.started * 1000),
                 "endTime": int(query.ended * 1000) if query.ended else 0, "totalDuration": int(((query.ended or time.time()) - query.started) * 1000),
                 "warehouseName": query.session.warehouse, "userName": query.session.user, "stats": {},
                 "queryTag": query.tag, "sessionId": query.session.number}
        if query.error is not None:
            entry.update(errorCode=query.error.code, errorMessage=query.error.message)
        return envelope({"queries": [entry]})


def around(rule, answer):
    """The faults that any service can have."""
    rule.hold()
    action, delay = rule.action, float(rule.get("delay_ms", 1000)) / 1000
    if action == "status":
        headers = {"Retry-After": str(rule.get("retry_after"))} if rule.get("retry_after") is not None else {}
        return Response(int(rule.get("status", 503)), rule.get("body", "").encode(), headers)
    if action == "close":
        raise Closed()
    if action == "stall":
        time.sleep(delay)
        raise Closed()
    if action == "slow_before":
        time.sleep(delay)
        return answer()
    response = answer()
    if action == "apply_close":
        raise Closed()
    if action == "apply_status":
        return Response(int(rule.get("status", 503)), rule.get("body", "").encode())
    if action == "slow":
        time.sleep(delay)
    if action == "truncate":
        response.truncate = int(rule.get("keep", len(response.body) // 2))
    return response
