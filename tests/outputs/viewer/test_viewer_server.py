"""The server over HTTP: what it hands out, what it refuses, and that nothing grows whatever pages do."""

import json
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from servers import JSON, POSE, exhibition

from nerf_mini.outputs.viewer.assets import asset_names
from nerf_mini.outputs.viewer.guard import Guard
from nerf_mini.outputs.viewer.server import MOST_BODY, MOST_CONNECTIONS


@pytest.fixture(scope="module")
def shown():
    with exhibition() as found:
        yield found


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


# -- what it hands out -------------------------------------------------------------------------------------------------


def test_the_page_and_its_files_come_from_a_table(shown):
    status, headers, body = shown.ask("GET", "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html") and b"<html" in body
    for name in asset_names():
        assert shown.ask("GET", f"/assets/{name}")[0] == 200
    assert json.loads(shown.ask("GET", "/info")[2]) == {"name": "flat"}
    assert shown.ask("GET", "/favicon.ico")[0] == 204


def test_a_lossless_frame_is_the_picture(shown):
    status, headers, body = shown.frame(client="lossless", seq=77, quality=100)
    assert status == 200 and headers["Content-Type"] == "image/png"
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(body))), np.full((6, 8, 3), 77))
    assert [headers[f"X-{name}"] for name in ("Render-Ms", "Encode-Ms", "Step", "Revision")] == ["1.0", "2.0", "3", "4"]
    assert shown.frame(client="lossless", seq=78)[1]["Content-Type"] == "image/jpeg"


def test_one_connection_serves_many_requests(shown):
    connection = shown.connection()
    for seq in range(20):
        assert shown.frame("kept open", seq, connection)[0] == 200
        first = connection.sock
    assert connection.sock is first is not None


def test_events_tell_the_state_and_then_what_changes(shown):
    with socket.create_connection(("127.0.0.1", shown.port), timeout=10) as page:
        page.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = page.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 200")
        while stream.readline().strip():
            pass
        first = json.loads(stream.readline().removeprefix(b"data: "))
        assert first["step"] == 7 and first["history"] == []
        shown.service.news.update((8, 21.5, 0.25), step=8)
        assert stream.readline() == b"\n"
        second = json.loads(stream.readline().removeprefix(b"data: "))
        assert second["step"] == 8 and second["history"] == [[8, 21.5, 0.25]]


# -- what it refuses ---------------------------------------------------------------------------------------------------


def refused(answer, status):
    assert answer[0] == status, answer
    assert list(json.loads(answer[2])) == ["error"] and b"Traceback" not in answer[2]


def test_foreign_names_and_pages_are_refused_everywhere(shown):
    for path in ("/", "/info", "/events", "/thumb/0"):
        refused(shown.ask("GET", path, headers={"Host": "evil.example"}), 403)
        refused(shown.ask("GET", path, headers={"Origin": "http://evil.example"}), 403)
    body = json.dumps({"action": "save"})
    refused(shown.ask("POST", "/control", body, {**JSON, "Origin": "http://evil.example"}), 403)
    refused(shown.ask("POST", "/control", body, {**JSON, "Host": f"evil.example:{shown.port}"}), 403)
    own = f"127.0.0.1:{shown.port}"
    assert shown.ask("GET", "/info", headers={"Host": own, "Origin": f"http://{own}"})[0] == 200


def test_forms_of_other_pages_cannot_post(shown):
    """Without a preflight, a browser sends only these content types for another page."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        refused(shown.ask("POST", "/frame", b"{}", {"Content-Type": kind} if kind else {}), 403)
    refused(shown.ask("OPTIONS", "/frame", headers={"Access-Control-Request-Method": "POST"}), 405)


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/assets/../server.py", "/assets/..%2f..%2fserver.py", "/assets/%2e%2e/server.py",
     "/assets/__init__.py", "/assets/", "/assets//etc/passwd", "/thumb/../0", "/thumb/-1", "/thumb/0x1", "/thumb/1e9",
     "/thumb/99999999999999999999", "/nothing", "/index.html", "/paths/..%2fconfig", "/paths/a.json", "/%00"],
)  # fmt: skip
def test_no_path_reaches_the_file_system(shown, path):
    refused(shown.ask("GET", path), 404)


def test_wrong_methods_are_named(shown):
    for method, path in (("GET", "/frame"), ("POST", "/info"), ("PUT", "/frame"), ("DELETE", "/paths/a")):
        refused(shown.ask(method, path, b"{}" if method != "GET" else None, JSON), 405)
    assert shown.ask("HEAD", "/info")[0] == 405


def test_large_bodies_are_refused_before_they_are_read(shown):
    refused(shown.ask("POST", "/frame", b" " * (MOST_BODY + 1), JSON), 413)
    page = socket.create_connection(("127.0.0.1", shown.port), timeout=10)
    lengths = b"Content-Length: 99999999999999999999999\r\n"
    page.sendall(b"POST /frame HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + lengths + b"\r\n")
    assert page.recv(100).startswith(b"HTTP/1.1 413")
    page.close()


@pytest.mark.parametrize("header", [b"", b"Content-Length: -5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_must_say_how_long_it_is(shown, header):
    """And what follows it is never taken for another request."""
    with socket.create_connection(("127.0.0.1", shown.port), timeout=10) as page:
        start = b"POST /frame HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        page.sendall(start + header + b"\r\nGET /info HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: page.recv(4096), b""))
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")) and answer.count(b"HTTP/1.1 ") == 1


def test_nonsense_gets_a_sentence(shown):
    for changes in ({"width": 5000}, {"pose": [1]}, {"shading": "x"}, {"fov": 9}, {"seq": "1"}, {"camera": 3}):
        refused(shown.frame("wrong", **changes), 400)
    for body in (b"", b"[", b'{"client": NaN}', b"\xff"):
        refused(shown.ask("POST", "/frame", body, JSON), 400)
    refused(shown.ask("POST", "/control", b'{"action": "save"}', JSON), 400)
    refused(shown.ask("POST", "/path", b"{}", JSON), 400)
    refused(shown.ask("GET", "/photo/0"), 404)


def test_what_is_no_http_is_answered_without_a_traceback(shown, capfd):
    many = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n"
    host = b"Host: localhost\r\n\r\n"
    absolute, unknown = b"GET http://[x/ HTTP/1.1\r\n" + host, b"BREW /pot HTTP/1.1\r\n" + host
    for sent in (absolute, unknown, b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", many):
        with socket.create_connection(("127.0.0.1", shown.port), timeout=10) as page:
            page.sendall(sent)
            assert b"Traceback" not in page.recv(4096)
    assert capfd.readouterr().err == ""


def test_every_answer_carries_the_headers_that_keep_browsers_safe(shown):
    for answer in (shown.ask("GET", "/"), shown.ask("GET", "/nothing"), shown.frame("headers")):
        headers = answer[1]
        assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; img-src 'self' blob: data:;")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert "Python" not in headers["Server"] and "Access-Control-Allow-Origin" not in headers


def test_others_need_the_token():
    with exhibition(guard=Guard("0.0.0.0", "secret")) as shown:
        for path in ("/", "/info", "/?token=wrong", "/assets/index.html", "/info?token=secret"):
            refused(shown.ask("GET", path), 403)
        refused(shown.frame(), 403)
        status, headers, _ = shown.ask("GET", "/?token=secret")
        assert status == 303 and headers["Location"] == "/" and "SameSite=Strict" in headers["Set-Cookie"]
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert shown.ask("GET", "/", headers={"Cookie": cookie})[0] == 200
        refused(shown.ask("GET", "/", headers={"Cookie": cookie, "Host": "evil.example"}), 403)


# -- pages that come and go --------------------------------------------------------------------------------------------


def test_a_newer_request_wins():
    with exhibition() as shown, ThreadPoolExecutor() as pool:
        shown.stage.go.clear()
        running = pool.submit(shown.frame, "a", 1, final=True)
        assert shown.stage.began.acquire(timeout=10)
        newer = pool.submit(shown.frame, "a", 2)
        assert running.result(10)[0] == 204, "a sharp frame is given up for a movement"
        assert shown.stage.began.acquire(timeout=10)
        waiting = pool.submit(shown.frame, "a", 3)
        until(lambda: len(shown.service.jobs) == 1)
        newest = pool.submit(shown.frame, "a", 4)
        assert waiting.result(10)[0] == 204
        shown.stage.go.set()
        assert newer.result(10)[0] == newest.result(10)[0] == 200, "a coarse one is shown"


def test_a_page_that_goes_away_is_not_rendered_for(capfd):
    with exhibition() as shown:
        shown.stage.go.clear()
        before = threading.active_count()
        for seq in range(3):
            page = shown.connection()
            body = {"client": "gone", "seq": seq, "pose": POSE, "fov": 0.7, "width": 8, "height": 6, "final": True}
            page.request("POST", "/frame", json.dumps(body), JSON)
            assert shown.stage.began.acquire(timeout=10)
            page.sock.close()
            page.close()
            until(lambda seq=seq: shown.stage.given_up == seq + 1)
        until(lambda: threading.active_count() <= before)
        shown.stage.go.set()
        assert shown.frame("b")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_fault_of_ours_ends_one_frame(shown, capfd):
    refused(shown.frame("faulty", fov=1.0), 500)
    assert shown.frame("faulty", 2)[0] == 200
    error = capfd.readouterr().err
    assert "ZeroDivisionError" in error and "Traceback" not in error


def test_nine_pages_at_once():
    with exhibition() as shown, ThreadPoolExecutor(16) as pool:
        shown.stage.go.clear()
        frames = [pool.submit(shown.frame, str(client)) for client in range(8)]
        until(lambda: len(shown.service.jobs) == 7)
        refused(shown.frame("ninth"), 400)
        shown.stage.go.set()
        assert [frame.result(20)[0] for frame in frames] == [200] * 8
        assert shown.frame("ninth")[0] == 200


def test_connections_are_bounded_and_come_free_again():
    with exhibition() as shown:
        idle = [socket.create_connection(("127.0.0.1", shown.port), timeout=10) for _ in range(MOST_CONNECTIONS)]
        until(lambda: shown.server._free._value == 0)
        with socket.create_connection(("127.0.0.1", shown.port), timeout=10) as late:
            assert late.recv(1) == b"", "one too many is closed at once"
        for page in idle:
            page.close()
        until(lambda: shown.server._free._value == MOST_CONNECTIONS)
        assert shown.ask("GET", "/info")[0] == 200


def test_a_silent_connection_is_closed(monkeypatch, capfd):
    monkeypatch.setattr("nerf_mini.outputs.viewer.server.Handler.timeout", 0.2)
    with exhibition() as shown:
        for sent in (b"", b"GET /in", b"POST /frame HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 100\r\n\r\n{"):  # fmt: skip
            with socket.create_connection(("127.0.0.1", shown.port), timeout=10) as page:
                page.sendall(sent)
                assert page.recv(10) == b""
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("start", [b"GET /info HTTP/1.1\r\nX: ", b"POST /frame HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"])  # fmt: skip
def test_a_request_that_never_ends_is_given_up(monkeypatch, capfd, start):
    """However often a byte of it comes; on a connection that has served another one before."""
    monkeypatch.setattr("nerf_mini.outputs.viewer.server.Handler.timeout", 0.5)
    with exhibition() as shown, socket.create_connection(("127.0.0.1", shown.port), timeout=10) as page:
        page.sendall(b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert page.recv(4096).startswith(b"HTTP/1.1 ")
        page.sendall(start)
        began = time.monotonic()
        with suppress(OSError):  # the other side has closed
            while time.monotonic() < began + 10 and not select.select([page], [], [], 0.1)[0]:
                page.sendall(b" ")
        assert 0.3 < time.monotonic() - began < 3
    assert capfd.readouterr().err == ""


def test_the_end_of_the_server_ends_all_who_wait():
    with ThreadPoolExecutor() as pool:
        with exhibition() as shown:
            shown.stage.go.clear()
            waiting = [pool.submit(shown.frame, client) for client in "abc"]
            events = pool.submit(shown.ask, "GET", "/events")
            assert shown.stage.began.acquire(timeout=10)
            until(lambda: len(shown.service.jobs) == 2)
            until(lambda: shown.server._free._value == MOST_CONNECTIONS - 4)
        assert [answer.result(10)[0] for answer in waiting] == [204] * 3
        assert events.result(10)[0] == 200
