"""Answers as it was told and writes down what it was asked: the first line on stdout says, in JSON, where it listens; it
ends when stdin does.

    /__ctl  POST {"reset": true, "answers": [{"match", "n", "status", "headers", "body", "drop"}]}
    /__log  the requests so far: method, path, headers (names in lower case) and body as text

The first answer whose `match` is part of `METHOD path` and that is left (`n`, else once) is given; without one, 599."""
import email.utils
import http.server
import json
import sys
import threading

LOCK = threading.Lock()
ANSWERS, LOG = [], []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/__log":
            return self.answer({"status": 200, "body": json.dumps(LOG)})
        if self.path == "/__ctl":
            order = json.loads(body)
            with LOCK:
                if order.get("reset"):
                    ANSWERS.clear()
                    LOG.clear()
                ANSWERS.extend(order.get("answers", []))
            return self.answer({"status": 200})
        with LOCK:
            LOG.append({"method": self.command, "path": self.path, "body": body.decode("utf-8", "replace"),
                        "headers": {name.lower(): value for name, value in self.headers.items()}})
            told = next((a for a in ANSWERS if a["match"] in f"{self.command} {self.path}" and a.setdefault("n", 1) > 0),
                        {"status": 599})
            if "n" in told:
                told["n"] -= 1
        if told.get("drop"):
            self.close_connection = True
        else:
            self.answer(told)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = any

    def answer(self, told):
        body = told.get("body", "").encode()
        headers = dict(told.get("headers") or {})
        self.send_response_only(told["status"])
        self.send_header("Date", headers.pop("Date", email.utils.formatdate(usegmt=True)))
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, address):
        pass


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    sys.stdin.read()
