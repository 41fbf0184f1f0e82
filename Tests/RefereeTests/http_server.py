"""An HTTP server that behaves well and badly, for HTTPTests. Its first line on stdout says, in JSON, where it listens
(plain, and with TLS: a good certificate, one for another host, a self-signed one); it ends when stdin does."""
import datetime
import gzip
import hashlib
import http.server
import ipaddress
import json
import os
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse

EVENTS = []
BARRIERS = {}
LOCK = threading.Lock()


def event(text):
    with LOCK:
        EVENTS.append(text)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen_stale = 0

    def log_message(self, *arguments):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Transfer_Encoding" not in headers and "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def any(self):
        url = urllib.parse.urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        query = dict(urllib.parse.parse_qsl(url.query))
        getattr(self, "do_" + parts[0].lstrip("_"), self.do_echo)(parts[1:], query)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = any

    def do_echo(self, parts, query):
        digest, left = hashlib.sha256(), int(self.headers.get("Content-Length") or 0)
        while left > 0 and (piece := self.rfile.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
        told = {
            "method": self.command, "path": self.path, "headers": [[k, v] for k, v in self.headers.items()],
            "sha256": digest.hexdigest(), "port": self.client_address[1], "missing": left,
        }
        self.answer(200, json.dumps(told).encode(), Content_Type="application/json", X_Two="one")

    def do_events(self, parts, query):
        with LOCK:
            self.answer(200, json.dumps(EVENTS).encode())

    def do_status(self, parts, query):
        self.body()
        self.answer(int(parts[0]), b"status", **{k.replace("-", "_"): v for k, v in query.items()})

    def do_sleep(self, parts, query):
        self.body()
        time.sleep(int(parts[0]) / 1000)
        self.answer(200, b"slept")

    def do_together(self, parts, query):
        """Answers when so many requests are there."""
        self.body()
        with LOCK:
            barrier = BARRIERS.setdefault(self.path, threading.Barrier(int(parts[0])))
        try:
            barrier.wait(90)
        except threading.BrokenBarrierError:
            return self.answer(500, b"not together")
        self.answer(200, b"together")

    def do_hang(self, parts, query):
        """Says nothing until the client goes away."""
        event("hang " + parts[0])
        self.connection.settimeout(60)
        try:
            self.connection.recv(1)
        except OSError:
            pass
        event("gone " + parts[0])
        self.close_connection = True

    def do_drip(self, parts, query):
        """Begins an answer and never goes on."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x")
        self.do_hang(["drip"], query)

    def do_truncate(self, parts, query):
        self.body()
        self.answer(200, b"only ten b", Content_Length="1000")
        self.close_connection = True

    def do_large(self, parts, query):
        self.answer(200, b"x" * int(parts[0]))

    def do_chunked(self, parts, query):
        self.answer(200, Transfer_Encoding="chunked")
        for _ in range(int(parts[0])):
            self.wfile.write(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def do_gzip(self, parts, query):
        text = b"many times the same, " * int(parts[0])
        if "gzip" in (self.headers.get("Accept-Encoding") or ""):
            self.answer(200, gzip.compress(text), Content_Encoding="gzip")
        else:
            self.answer(200, text)

    def do_drop(self, parts, query):
        """Takes the request whole and ends the connection without a word."""
        self.body()
        event("drop")
        self.close_connection = True

    def do_reset(self, parts, query):
        """Ends the connection in the middle of the request."""
        self.rfile.read(1000)
        self.close_connection = True

    def do_stale(self, parts, query):
        """Answers the first request of a connection and dies at the second."""
        self.body()
        self.seen_stale += 1
        event("stale %s %d" % (self.command, self.seen_stale))
        if self.seen_stale > 1:
            self.close_connection = True
        else:
            self.answer(200, b"first")

    def do_interim(self, parts, query):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
        self.answer(200, b"after")

    def do_redirect(self, parts, query):
        self.answer(302, b"", Location="/echo")


def certificates(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)

    def make(name, sans, issuer=None, authority=False):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[0] if issuer else subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(authority, None), True))
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), False)
        certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
        path = os.path.join(folder, name)
        with open(path + ".pem", "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(path + ".key", "wb") as file:
            file.write(key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return subject, key, path

    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    authority = make("authority", [], authority=True)
    good = make("good", [x509.DNSName("localhost"), loopback], authority)
    wrong = make("wrong", [x509.DNSName("other.example")], authority)
    own = make("own", [x509.DNSName("localhost"), loopback])
    return authority[2] + ".pem", {"good": good[2], "wrong": wrong[2], "own": own[2]}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, address):
        pass


def serve(certificate=None):
    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate + ".pem", certificate + ".key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        authority, made = certificates(folder)
        ports = {"port": serve(), "authority": authority}
        ports.update({name: serve(path) for name, path in made.items()})
        print(json.dumps(ports), flush=True)
        sys.stdin.read()
