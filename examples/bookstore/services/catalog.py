"""Books, each with what is in stock (asks inventory). The Python twin of catalog.ts, standard library only."""
import json
import os
import signal
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

INSTANCE = os.environ.get("SLUICE_INSTANCE", "local")
PASSED_ON = ("x-request-id", "traceparent", "tracestate", "end-user", "user-agent", "cookie")
BOOKS = [
    {"id": "moby-dick", "title": "Moby-Dick", "author": "Herman Melville", "year": 1851, "priceCents": 1890},
    {"id": "middlemarch", "title": "Middlemarch", "author": "George Eliot", "year": 1871, "priceCents": 2150},
    {"id": "dracula", "title": "Dracula", "author": "Bram Stoker", "year": 1897, "priceCents": 1450},
]
# How it is to misbehave; POST /fault sets it, as in service.ts.
fault = {"delayMs": 0, "failures": 0, "status": 503}


def stock_of(book_id, headers):
    host = os.environ.get("INVENTORY_SERVICE_HOST", "127.0.0.1")
    port = os.environ.get("INVENTORY_SERVICE_PORT", "1")
    request = urllib.request.Request(f"http://{host}:{port}/stock/{book_id}", headers=headers)
    try:
        with urllib.request.urlopen(request) as reply:
            stock = json.load(reply)
            return stock["left"], stock["instance"]
    except (OSError, ValueError, KeyError) as error:
        return None, str(error)


class Catalog(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/healthz":
            return self.reply(200, {"ok": True})
        if fault["delayMs"] > 0:
            time.sleep(fault["delayMs"] / 1000)
        if fault["failures"] > 0:
            fault["failures"] -= 1
            return self.reply(fault["status"], {"error": f"{INSTANCE} fails on purpose"})
        about = {"instance": INSTANCE, "language": "Python"}
        if path == "/books":
            return self.reply(200, {**about, "books": BOOKS})
        book = next((book for book in BOOKS if path == f"/books/{book['id']}"), None)
        if book is None:
            return self.reply(404, {"error": "no such book"})
        passed_on = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        left, inventory = stock_of(book["id"], passed_on)
        return self.reply(200, {**about, **book, "left": left, "inventory": inventory})

    def do_POST(self):
        url = urlsplit(self.path)
        if url.path != "/fault":
            return self.reply(404, {"error": "there is only /fault"})
        given = parse_qs(url.query)
        for name, default in (("delayMs", 0), ("failures", 0), ("status", 503)):
            fault[name] = int(given.get(name, [default])[0])
        return self.reply(200, {"instance": INSTANCE, **fault})

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """The sidecar writes the access log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that went away is no error of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = Server(("127.0.0.1", int(os.environ.get("PORT", "0"))), Catalog)
print(f"catalog (Python) listens on {server.server_address[1]}", flush=True)
server.serve_forever()
