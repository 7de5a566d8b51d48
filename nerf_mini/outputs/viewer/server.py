"""The server: routes, limits and headers. What it is asked for comes from a `Service`; it launches no kernel."""

from __future__ import annotations

import io
import os
import re
import selectors
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from nerf_mini.errors import UserError, plain
from nerf_mini.io.files import to_json
from nerf_mini.outputs.viewer.arriving import Arriving
from nerf_mini.outputs.viewer.assets import asset
from nerf_mini.outputs.viewer.guard import Guard
from nerf_mini.outputs.viewer.jobs import Frame, Jobs
from nerf_mini.outputs.viewer.news import News
from nerf_mini.outputs.viewer.photos import NotReadYet, Photos
from nerf_mini.outputs.viewer.requests import parse_action, parse_frame, parse_object

MOST_BODY = 64 * 1024  # bytes
MOST_CONNECTIONS = 64
PATIENCE = 30.0  # seconds that a connection may be silent, and that a request may take to arrive
NEWS_EVERY, SIGN_OF_LIFE = 0.25, 15.0  # seconds
STILL_THERE_EVERY = 0.25  # seconds, whether a page waits for its frame
_HTML, _JSON = "text/html; charset=utf-8", "application/json; charset=utf-8"
_POLICY = "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors "


class PathStore(Protocol):
    """Camera paths: shown, kept and found again, all as plain values. Each raises UserError for what makes no sense."""

    def preview(self, content: dict[str, Any]) -> dict[str, Any]: ...
    def names(self) -> list[str]: ...
    def read(self, name: str) -> dict[str, Any] | None: ...
    def write(self, name: str, content: dict[str, Any]) -> dict[str, Any]: ...


@dataclass
class Service:
    """What the routes hand out.

    Attributes:
        jobs: where requests for frames go.
        news: what pages are told.
        photos: the pictures of the data set.
        info: what a page must know first, as plain values.
        control: pause, resume or save; None where nothing is trained.
        paths: camera paths; None where there is no place for them.
    """

    jobs: Jobs
    news: News
    photos: Photos
    info: Callable[[], dict[str, Any]]
    control: Callable[[str], None] | None = None
    paths: PathStore | None = None


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


class ViewerServer(ThreadingHTTPServer):
    """A server on one address, with a bound on its connections."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name != "nt"  # which there means: although another program listens on it
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], service: Service, guard: Guard, embedded: bool = False):
        self.service, self.guard, self.embedded = service, guard, embedded
        self.closing = threading.Event()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        family, *_, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        super().__init__(place[:2], Handler)  # type: ignore[arg-type]

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
            print(f"viewer: {type(error).__name__}: {error}", file=sys.stderr)

    def start(self) -> None:
        """Answer requests, in threads of their own."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def stop(self) -> None:
        """Let go of the port and of everybody who waits."""
        self.closing.set()
        self.service.jobs.close()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"  # connections stay open: a frame does not pay for one
    server_version, sys_version = "nerf-mini", ""
    timeout = PATIENCE
    disable_nagle_algorithm = True  # or an answer in two pieces waits 40 ms for the other side to confirm the first
    server: ViewerServer

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
                answer = _refused(refusal.status, str(refusal))
            except UserError as error:
                answer = _refused(HTTPStatus.BAD_REQUEST, str(error))
            except OSError:
                raise
            except Exception as error:  # a fault of ours
                print(f"viewer: {type(error).__name__}: {error}", file=sys.stderr)
                answer = _refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; the terminal says why.")
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
            raise self._unread(HTTPStatus.FORBIDDEN, objection)
        path, _, query = self.path.partition("?")
        if path == "/" and self.command == "GET" and self.server.guard.brings_token(query):
            cookie = self.server.guard.cookie(self.headers)
            return Answer(HTTPStatus.SEE_OTHER, headers={"Location": "/", "Set-Cookie": cookie})
        if not self.server.guard.knows_token(self.headers):
            text = "open the address that nerf-mini shows on the terminal: its token is missing."
            raise self._unread(HTTPStatus.FORBIDDEN, text)
        known = False
        for method, pattern, name in ROUTES:
            found = pattern.fullmatch(path)
            if found is not None and method == self.command:
                return getattr(self, name)(*found.groups())
            known = known or found is not None
        if known:
            raise self._unread(HTTPStatus.METHOD_NOT_ALLOWED, f"{plain(self.command)} is not for this address.")
        raise self._unread(HTTPStatus.NOT_FOUND, "there is nothing at this address.")

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "0")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else MOST_BODY + 1

    def _unread(self, status: HTTPStatus, text: str) -> Refusal:
        """A refusal before a body was read: the connection cannot go on, or the body would be the next request."""
        self.close_connection = self.close_connection or self.command == "POST"
        return Refusal(status, text)

    def _body(self) -> dict[str, Any]:
        """The JSON object of a request. A form of another page cannot send this content type without being asked."""
        if self.headers.get_content_type() != "application/json":
            raise self._unread(HTTPStatus.FORBIDDEN, "requests must be of the type application/json.")
        if "Content-Length" not in self.headers or self.headers.get("Transfer-Encoding"):
            raise self._unread(HTTPStatus.BAD_REQUEST, "requests must say how long they are.")
        length = self._length()
        if length > MOST_BODY:
            raise self._unread(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"requests have at most {MOST_BODY} bytes.")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError
        return parse_object(body)

    # -- routes --------------------------------------------------------------------------------------------------------

    def get_page(self) -> Answer:
        """The page."""
        return self.get_asset("index.html")

    def get_asset(self, name: str) -> Answer:
        """A file of the page."""
        found = asset(name)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "the page has no such file.")
        return Answer(HTTPStatus.OK, *found)

    def get_icon(self) -> Answer:
        """No icon: the page has its own, but browsers ask."""
        return Answer(HTTPStatus.NO_CONTENT)

    def get_info(self) -> Answer:
        """What a page must know first."""
        return _json(self.server.service.info())

    def get_thumbnail(self, index: str) -> Answer:
        """A small picture of a camera."""
        return self._picture(self.server.service.photos.thumbnail, index)

    def get_photo(self, index: str) -> Answer:
        """The picture of a camera."""
        return self._picture(self.server.service.photos.photo, index)

    def _picture(self, make: Callable[[int], bytes | None], index: str) -> Answer:
        try:
            data = make(int(index))
        except NotReadYet:
            answer = _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the pictures are being read.")
            return Answer(answer.status, answer.data, headers={"Retry-After": "1"})
        if data is None:
            text = self.server.service.photos.problem or "there is no picture of this camera."
            raise Refusal(HTTPStatus.NOT_FOUND, text)
        return Answer(HTTPStatus.OK, data, "image/jpeg")

    def post_frame(self) -> Answer:
        """A frame, when it is there; nothing where a newer request has taken its place."""
        service = self.server.service
        job = service.jobs.submit(parse_frame(self._body(), len(service.photos)))
        while not job.wait(STILL_THERE_EVERY):
            if self._is_gone():
                service.jobs.withdraw(job)
                raise ConnectionAbortedError
        outcome = job.outcome
        if isinstance(outcome, UserError):
            raise outcome
        if isinstance(outcome, Frame):
            times = {"X-Render-Ms": f"{outcome.render_ms:.1f}", "X-Encode-Ms": f"{outcome.encode_ms:.1f}"}
            shown = {"X-Step": str(outcome.step), "X-Revision": str(outcome.revision)}
            return Answer(HTTPStatus.OK, outcome.data, outcome.content_type, {**times, **shown})
        if outcome == "failed":
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the frame could not be rendered; the terminal says why.")
        return Answer(HTTPStatus.NO_CONTENT, headers={"X-Given-Up": "late"} if outcome == "late" else {})

    def _is_gone(self) -> bool:
        """Whether the other side has closed the connection."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            return bool(selector.select(0)) and not self.connection.recv(1, socket.MSG_PEEK)

    def get_events(self) -> None:
        """News as they come, until the page is gone or the server ends."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self._common_headers()
        self.send_header("Connection", "close")
        self.end_headers()
        last, step, silent, first = "", -1, 0.0, True
        while first or not self.server.closing.wait(NEWS_EVERY):
            first, news = False, self.server.service.news.since(step)
            text = to_json(news)
            silent += NEWS_EVERY
            if text != last:
                self.wfile.write(f"data: {text}\n\n".encode())
                step = max([step, *(point[0] for point in news["history"])])
                last, silent = to_json({**news, "history": []}), 0.0
            elif silent >= SIGN_OF_LIFE:
                self.wfile.write(b":\n\n")
                silent = 0.0
            if self._is_gone():
                return

    def post_control(self) -> Answer:
        """Pause, go on, save."""
        content, control = self._body(), self.server.service.control
        if control is None:
            raise UserError("nothing is being trained here.")
        control(parse_action(content))
        return _json({"ok": True})

    def post_path(self) -> Answer:
        """The frames of a camera path."""
        content = self._body()
        return _json(self._paths().preview(content))

    def get_paths(self) -> Answer:
        """The names of the camera paths that are kept."""
        return _json({"names": self._paths().names()})

    def get_named_path(self, name: str) -> Answer:
        """A camera path."""
        found = self._paths().read(name)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no path {name!r}.")
        return _json(found)

    def post_named_path(self, name: str) -> Answer:
        """Keep a camera path."""
        content = self._body()
        return _json(self._paths().write(name, content))

    def _paths(self) -> PathStore:
        paths = self.server.service.paths
        if paths is None:
            raise UserError("camera paths cannot be kept here.")
        return paths

    # -- answers -------------------------------------------------------------------------------------------------------

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self._common_headers()
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

    def _common_headers(self) -> None:
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
        self._send(_refused(code, "this is no request that the viewer understands."))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is for the run."""


def _json(content: Any) -> Answer:
    return Answer(HTTPStatus.OK, to_json(content).encode())


def _refused(status: int, text: str) -> Answer:
    return Answer(status, to_json({"error": text}).encode())


_INDEX, _NAME = r"(\d{1,9})", r"([A-Za-z0-9_-]{1,40})"
ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(pattern, re.ASCII), name)
    for method, pattern, name in (
        ("GET", "/", "get_page"),
        ("GET", r"/assets/([A-Za-z0-9_.-]{1,80})", "get_asset"),
        ("GET", "/favicon.ico", "get_icon"),
        ("GET", "/info", "get_info"),
        ("GET", f"/thumb/{_INDEX}", "get_thumbnail"),
        ("GET", f"/photo/{_INDEX}", "get_photo"),
        ("GET", "/events", "get_events"),
        ("POST", "/frame", "post_frame"),
        ("POST", "/control", "post_control"),
        ("POST", "/path", "post_path"),
        ("GET", "/paths", "get_paths"),
        ("GET", f"/paths/{_NAME}", "get_named_path"),
        ("POST", f"/paths/{_NAME}", "post_named_path"),
    )
)
