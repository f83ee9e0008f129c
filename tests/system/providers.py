"""Stands between the gateway and the provider sandbox: keeps what it saw of each request, and can fail."""

import http.client
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from certificates import Authority
from harness import PATIENCE, Sandbox


@dataclass(frozen=True)
class Seen:
    """A request that arrived in full."""

    path: str
    headers: dict[str, str]


class Recorder:
    """An HTTP server on a free loopback port that passes requests on to a sandbox.

    `faults` are taken by the first requests, one each: a status to answer instead of asking, or `reset`,
    which asks, so that the sandbox would charge, and then breaks the connection instead of answering.
    """

    def __init__(self, upstream: str, *, faults: tuple[int | str, ...] = (), tls: ssl.SSLContext | None = None):
        self.seen: list[Seen] = []
        self._faults = list(faults)
        self._lock = threading.Lock()
        self._upstream = urlsplit(upstream).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def received(self) -> int:
        return len(self.seen)

    def _next(self, seen: Seen) -> int | str | None:
        with self._lock:
            self.seen.append(seen)
            return self._faults.pop(0) if self._faults else None

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(self._upstream, timeout=PATIENCE)
        passed = {name: value for name, value in headers.items() if name not in ("host", "connection")}
        connection.request(method, path, body, passed)
        answer = connection.getresponse()
        try:
            return answer.status, answer.headers.get("content-type", ""), answer.read()
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                fault = recorder._next(Seen(self.path, headers))
                if isinstance(fault, int):
                    status, kind, content = fault, "application/json", b"{}"
                else:
                    status, kind, content = recorder._ask(self.command, self.path, headers, body)
                if fault == "reset":
                    # Closing with nothing to linger for sends RST.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class TlsProvider(Recorder):
    """The sandbox behind https, with a certificate of an authority that only this test knows."""

    def __init__(self, directory: Path, name: str = "localhost"):
        authority = Authority(directory / "provider")
        issued = authority.issue(name, f"DNS:{name}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate, issued.key)
        self.authority = authority.certificate
        self._sandbox = Sandbox()
        self.token = self._sandbox.token("verifik")
        super().__init__(self._sandbox.url, tls=context)
        self.url = f"https://{name}:{self.port}"

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._sandbox.__exit__()
