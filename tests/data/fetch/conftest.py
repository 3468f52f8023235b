"""A small web server that can be told to misbehave."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    """What the server offers, how it behaves, and what it was asked.

    `behaviour` is consumed request by request: "ok", an int (a status), ("drop", n) breaks off after n bytes.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.behaviour: list[object] = []
        self.ranges = True
        self.etag = True
        self.asked: list[tuple[str, str, str | None]] = []
        self.url = ""

    def offer(self, name: str, content: bytes) -> str:
        self.files[f"/{name}"] = content
        return f"{self.url}/{name}"

    def gets(self) -> list[str | None]:
        return [asked_range for method, _, asked_range in self.asked if method == "GET"]


def make_handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer("HEAD")

        def do_GET(self) -> None:
            self._answer("GET")

        def _answer(self, method: str) -> None:
            site.asked.append((method, self.path, self.headers.get("Range")))
            content = site.files.get(self.path.split("?")[0])
            how = site.behaviour.pop(0) if site.behaviour and method == "GET" else "ok"
            if content is None or isinstance(how, int):
                self.send_response(404 if content is None else how)
                self.send_header("Content-Length", "0")
                if how == 429:
                    self.send_header("Retry-After", "7")
                self.end_headers()
                return
            start, tag = 0, f'"{hashlib.md5(content).hexdigest()}"'
            wanted = self.headers.get("Range") if site.ranges else None
            if wanted and self.headers.get("If-Range", tag) == tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if site.etag:
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if method == "GET":
                body = content[start:]
                if isinstance(how, tuple):
                    self.wfile.write(body[: how[1]])
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.shutdown(2)
                else:
                    self.wfile.write(body)

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    offered = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(offered))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that is killed in mid-answer
    offered.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield offered
    server.shutdown()
    server.server_close()
