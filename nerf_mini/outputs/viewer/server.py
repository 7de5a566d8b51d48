"""The server: connections, limits, headers, and who may ask. What there is to ask for is in `routes`."""

from __future__ import annotations

import io
import os
import re
import selectors
import socket
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeAlias

from nerf_mini.errors import UserError, plain, readable
from nerf_mini.io.files import to_json
from nerf_mini.outputs.viewer.arriving import Arriving
from nerf_mini.outputs.viewer.guard import Guard
from nerf_mini.outputs.viewer.requests import parse_object

MOST_BODY = 64 * 1024  # bytes
MOST_CONNECTIONS = 64
PATIENCE = 30.0  # seconds that a connection may be silent, and that a request may take to arrive
_JSON = "application/json; charset=utf-8"
_POLICY = "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors "

Route: TypeAlias = tuple[str, re.Pattern[str], str]
"""A method of HTTP, the addresses it is for, and the method of the handler that answers, given the pattern's groups."""


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    data: bytes = b""
    content_type: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A response that says what is wrong."""

    def __init__(self, status: HTTPStatus, text: str):
        super().__init__(text)
        self.status = status


class Server(ThreadingHTTPServer):
    """A server on one address, with a bound on its connections."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name != "nt"  # which there means: although another program listens on it
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], handler: type[Handler], guard: Guard, embedded: bool = False):
        self.guard, self.embedded = guard, embedded
        self.closing = threading.Event()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        family, *_, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        super().__init__(place[:2], handler)  # type: ignore[arg-type]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.server_address[1]

    def server_bind(self) -> None:
        """As usual, but without asking a name server for our own name, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(self.allow_reuse_address))
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request, client_address) -> None:
        """A thread per connection; where there are too many, the connection is closed."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address) -> None:
        """See `process_request`."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address) -> None:
        """A connection that broke is no news; anything else is a fault of ours, and worth one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(readable(f"viewer: {type(error).__name__}: {error}"), file=sys.stderr)

    def start(self) -> None:
        """Answer requests, in threads of their own."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def stop(self) -> None:
        """Let go of the port and of everybody who waits."""
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection. A class below it answers what its `routes` name."""

    protocol_version = "HTTP/1.1"  # connections stay open: a frame does not pay for one
    server_version, sys_version = "nerf-mini", ""
    timeout = PATIENCE
    disable_nagle_algorithm = True  # or an answer in two pieces waits 40 ms for the other side to confirm the first
    routes: ClassVar[tuple[Route, ...]] = ()
    server: Server

    def setup(self) -> None:
        """As usual, but a request must be there in time: see `Arriving`."""
        super().setup()
        self.rfile.close()
        self._arriving = Arriving(self.connection, self.timeout)
        self.rfile = io.BufferedReader(self._arriving)

    def handle_one_request(self) -> None:
        """As usual; its time begins now."""
        self._arriving.begin()
        super().handle_one_request()

    # -- from a request to an answer -----------------------------------------------------------------------------------

    def _respond(self) -> None:
        try:
            try:
                answer = self._answer()
            except Refusal as refusal:
                answer = refused(refusal.status, str(refusal))
            except UserError as error:
                answer = refused(HTTPStatus.BAD_REQUEST, str(error))
            except OSError:
                raise
            except Exception as error:  # a fault of ours
                print(readable(f"viewer: {type(error).__name__}: {error}"), file=sys.stderr)
                answer = refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; the terminal says why.")
                self.close_connection = True
            if answer is not None:
                self._send(answer)
        except OSError:  # the page is gone
            self.close_connection = True

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _respond

    def _answer(self) -> Answer | None:
        """The answer to this request; None where it has been given bit by bit."""
        if self.headers.get("Transfer-Encoding") or (self.command != "POST" and self._length()):
            self.close_connection = True  # a body where none belongs is not read
        objection = self.server.guard.objection(self.headers)
        if objection is not None:
            raise self.unread(HTTPStatus.FORBIDDEN, objection)
        path, _, query = self.path.partition("?")
        if path == "/" and self.command == "GET" and self.server.guard.brings_token(query):
            cookie = self.server.guard.cookie(self.headers)
            return Answer(HTTPStatus.SEE_OTHER, headers={"Location": "/", "Set-Cookie": cookie})
        if not self.server.guard.knows_token(self.headers):
            text = "open the address that nerf-mini shows on the terminal: its token is missing."
            raise self.unread(HTTPStatus.FORBIDDEN, text)
        known = False
        for method, pattern, name in self.routes:
            found = pattern.fullmatch(path)
            if found is not None and method == self.command:
                return getattr(self, name)(*found.groups())
            known = known or found is not None
        if known:
            raise self.unread(HTTPStatus.METHOD_NOT_ALLOWED, f"{plain(self.command)} is not for this address.")
        raise self.unread(HTTPStatus.NOT_FOUND, "there is nothing at this address.")

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "0")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else MOST_BODY + 1

    def unread(self, status: HTTPStatus, text: str) -> Refusal:
        """A refusal before a body was read: the connection cannot go on, or the body would be the next request."""
        self.close_connection = self.close_connection or self.command == "POST"
        return Refusal(status, text)

    def body(self) -> dict[str, Any]:
        """The JSON object of a request. A form of another page cannot send this content type without being asked."""
        if self.headers.get_content_type() != "application/json":
            raise self.unread(HTTPStatus.FORBIDDEN, "requests must be of the type application/json.")
        if "Content-Length" not in self.headers or self.headers.get("Transfer-Encoding"):
            raise self.unread(HTTPStatus.BAD_REQUEST, "requests must say how long they are.")
        length = self._length()
        if length > MOST_BODY:
            raise self.unread(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"requests have at most {MOST_BODY} bytes.")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError
        return parse_object(body)

    def is_gone(self) -> bool:
        """Whether the other side has closed the connection."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            return bool(selector.select(0)) and not self.connection.recv(1, socket.MSG_PEEK)

    # -- answers -------------------------------------------------------------------------------------------------------

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.common_headers()
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status != HTTPStatus.NO_CONTENT:
            self.wfile.write(answer.data)
        if self.close_connection:
            self._drain()

    def _drain(self) -> None:
        """Read on a little: a connection that is closed with something unread in it takes the answer with it."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(0.5)
        for _ in range(16):
            if not self.connection.recv(65536):
                return

    def common_headers(self) -> None:
        ancestors = "http://localhost:* http://127.0.0.1:*" if self.server.embedded else "'none'"
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY + ancestors)
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A request that is no HTTP: in our words, and then the connection ends."""
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        self._send(refused(code, "this is no request that the viewer understands."))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is for the run."""


def refused(status: int, text: str) -> Answer:
    """An answer that says what is wrong."""
    return Answer(status, to_json({"error": text}).encode())
