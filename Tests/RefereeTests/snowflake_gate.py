"""A door before the Snowflake stand-in that asks for what a real account may ask for: a second factor, tokens of an OAuth
client that expire. What passes is sent on with the stand-in's own password; all else is sent on as it is. Without a
stand-in it only writes down what it is asked and refuses, which is how Snowflake's own connector is listened to."""
import base64
import gzip
import http.server
import json
import threading
import urllib.parse

import requests


class Gate:
    def __init__(self, behind=None, user="LOADER", password="secret"):
        self.behind, self.user, self.password = behind, user, password
        self.logins, self.token_requests, self.lock = [], [], threading.Lock()
        self.passcode, self.gives_mfa_token, self.mfa_tokens = None, True, set()
        self.client, self.lifetime, self.tokens, self.token_answers, self.refuse_tokens = None, 600, [], [], 0
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                path = urllib.parse.urlsplit(self.path).path
                if path == "/session/v1/login-request":
                    answer = gate.login(json.loads(plain))
                    if answer is not None:
                        return self.say(200, json.dumps(answer).encode())
                elif path.endswith("/token-request") and "oauth" in path:
                    return self.say(*gate.give_token(path, self.headers, plain.decode()))
                if gate.behind is None:
                    return self.say(200, b'{"success": true, "data": {}}')
                headers = {n: v for n, v in self.headers.items()
                           if n.lower() not in ("host", "content-length", "content-encoding", "accept-encoding", "connection")}
                answer = requests.request(self.command, gate.behind + self.path, data=plain, headers=headers, timeout=100,
                                          allow_redirects=False)
                self.say(answer.status_code, answer.content)

            do_GET = do_POST = do_PUT = do_DELETE = any

            def say(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 64

            def handle_error(self, request, address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # --- logins

    def login(self, told):
        """The answer; None when the stand-in itself is to judge."""
        data = told["data"]
        with self.lock:
            self.logins.append(data)
            refusal, token = self.judge(data)
            if refusal:
                return {"success": False, "code": refusal[0], "message": refusal[1], "data": {"nextAction": None}}
            if self.behind is None:
                return {"success": False, "code": "390100", "message": "Nobody is let in here.", "data": {}}
            if self.passcode is None and self.client is None:
                return None  # as it is
        data = {n: v for n, v in data.items() if n not in ("AUTHENTICATOR", "TOKEN", "PASSCODE", "EXT_AUTHN_DUO_METHOD")}
        answer = requests.post(f"{self.behind}/session/v1/login-request?databaseName=RAW&schemaName=SHOP&warehouse=LOAD_WH",
                               json={"data": data | {"LOGIN_NAME": self.user, "PASSWORD": self.password}}, timeout=60).json()
        if token:
            answer["data"]["mfaToken"] = token
        return answer

    def judge(self, data):
        if self.passcode is not None:
            if data.get("PASSWORD") != self.password:
                return ("390100", "Incorrect username or password was specified."), None
            if data.get("TOKEN"):
                return (None, None) if data["TOKEN"] in self.mfa_tokens else (("390127", "MFA token is invalid."), None)
            if data.get("PASSCODE") != self.passcode or data.get("EXT_AUTHN_DUO_METHOD") != "passcode":
                return ("390127", "The passcode is invalid or was used."), None
            self.passcode = ""  # good for one login
            if not self.gives_mfa_token or not data["SESSION_PARAMETERS"].get("CLIENT_REQUEST_MFA_TOKEN"):
                return None, None
            token = f"planted-mfa-token-{len(self.mfa_tokens)}"
            self.mfa_tokens.add(token)
            return None, token
        if self.client is not None:
            if data.get("AUTHENTICATOR") != "OAUTH" or data.get("TOKEN") not in self.tokens:
                return ("390303", "Invalid OAuth access token."), None
            if self.refuse_tokens:
                self.refuse_tokens -= 1
                self.tokens.remove(data["TOKEN"])
                return ("390318", "OAuth access token expired."), None
        return None, None

    def give_token(self, path, headers, body):
        with self.lock:
            self.token_requests.append({"path": path, "form": dict(urllib.parse.parse_qsl(body, keep_blank_values=True)),
                                        "headers": {n.lower(): v for n, v in headers.items()}})
            if self.token_answers:
                return self.token_answers.pop(0)
            given = base64.b64decode(headers.get("Authorization", "").removeprefix("Basic ")).decode()
            if self.client is not None and given != ":".join(self.client):
                return 401, json.dumps({"error": "invalid_client", "error_description": f"no: {given}"}).encode()
            token = f"planted-access-token-{len(self.token_requests)}"
            self.tokens.append(token)
            return 200, json.dumps({"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}).encode()
