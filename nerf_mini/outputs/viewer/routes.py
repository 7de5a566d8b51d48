"""What the page can ask for. What is handed out comes from a `Service`; no kernel is launched here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from nerf_mini.errors import UserError
from nerf_mini.io.files import to_json
from nerf_mini.outputs.viewer.assets import asset
from nerf_mini.outputs.viewer.guard import Guard
from nerf_mini.outputs.viewer.jobs import Frame, Jobs
from nerf_mini.outputs.viewer.news import News
from nerf_mini.outputs.viewer.photos import NotReadYet, Photos
from nerf_mini.outputs.viewer.requests import parse_action, parse_frame
from nerf_mini.outputs.viewer.server import Answer, Handler, Refusal, Route, Server, refused

NEWS_EVERY, SIGN_OF_LIFE = 0.25, 15.0  # seconds
STILL_THERE_EVERY = 0.25  # seconds, whether a page waits for its frame


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


_INDEX, _NAME = r"(\d{1,9})", r"([A-Za-z0-9_-]{1,40})"
ROUTES: tuple[Route, ...] = tuple(
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


class ViewerServer(Server):
    """A server of what a service hands out."""

    def __init__(self, address: tuple[str, int], service: Service, guard: Guard, embedded: bool = False):
        self.service = service
        super().__init__(address, Routes, guard, embedded)

    def stop(self) -> None:
        """See `Server`."""
        self.service.jobs.close()
        super().stop()


class Routes(Handler):
    """One connection, and the answers to what is asked on it."""

    routes = ROUTES
    server: ViewerServer

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
            answer = refused(HTTPStatus.SERVICE_UNAVAILABLE, "the pictures are being read.")
            return Answer(answer.status, answer.data, headers={"Retry-After": "1"})
        if data is None:
            text = self.server.service.photos.problem or "there is no picture of this camera."
            raise Refusal(HTTPStatus.NOT_FOUND, text)
        return Answer(HTTPStatus.OK, data, "image/jpeg")

    def post_frame(self) -> Answer:
        """A frame, when it is there; nothing where a newer request has taken its place."""
        service = self.server.service
        job = service.jobs.submit(parse_frame(self.body(), len(service.photos)))
        while not job.wait(STILL_THERE_EVERY):
            if self.is_gone():
                service.jobs.withdraw(job)
                raise ConnectionAbortedError
        outcome = job.outcome
        if isinstance(outcome, UserError):
            raise outcome
        if isinstance(outcome, Frame):
            times = {"X-Render-Ms": f"{outcome.render_ms:.1f}", "X-Encode-Ms": f"{outcome.encode_ms:.1f}"}
            shown = {"X-Step": str(outcome.step), "X-Revision": str(outcome.revision)}
            if outcome.aliased:
                shown["X-Aliased"] = "1"
            return Answer(HTTPStatus.OK, outcome.data, outcome.content_type, {**times, **shown})
        if outcome == "failed":
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the frame could not be rendered; the terminal says why.")
        return Answer(HTTPStatus.NO_CONTENT, headers={"X-Given-Up": "late"} if outcome == "late" else {})

    def get_events(self) -> None:
        """News as they come, until the page is gone or the server ends."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.common_headers()
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
            if self.is_gone():
                return

    def post_control(self) -> Answer:
        """Pause, go on, save."""
        content, control = self.body(), self.server.service.control
        if control is None:
            raise UserError("nothing is being trained here.")
        control(parse_action(content))
        return _json({"ok": True})

    def post_path(self) -> Answer:
        """The frames of a camera path."""
        content = self.body()
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
        content = self.body()
        return _json(self._paths().write(name, content))

    def _paths(self) -> PathStore:
        paths = self.server.service.paths
        if paths is None:
            raise UserError("camera paths cannot be kept here.")
        return paths


def _json(content: Any) -> Answer:
    return Answer(HTTPStatus.OK, to_json(content).encode())
