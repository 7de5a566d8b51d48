"""Whose requests are answered."""

from http.client import HTTPMessage

import pytest

from nerf_mini.outputs.viewer.guard import Guard, is_loopback


def headers(**values) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in values.items():
        message[name] = value
    return message


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:7007", "LOCALHOST:7007", "127.0.0.1:7007", "[::1]:7007", "192.168.1.5:80", "my.box:1"],
)
def test_our_own_names_are_answered(host):
    assert Guard("my.box").objection(headers(Host=host)) is None
    assert Guard("my.box").objection(headers(Host=host, Origin=f"http://{host}")) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:7007", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:x", "a@b",
     "[::1", "evil.example#localhost", "127.0.0.1.", "0x7f.1"],
)  # fmt: skip
def test_a_name_that_is_made_to_lead_here_is_refused(host):
    """DNS rebinding: the page of evil.example has that name resolve to 127.0.0.1; its requests say so."""
    assert Guard("127.0.0.1").objection(headers(Host=host)) is not None
    assert Guard("127.0.0.1").objection(headers()) is not None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost:7007", "http://localhost:7008", "http://localhost", ""]
)
def test_pages_from_elsewhere_are_refused(origin):
    assert Guard("127.0.0.1").objection(headers(Host="localhost:7007", Origin=origin)) is not None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False),
     ("192.168.0.4", False), ("box.example", False), ("", False)],
)  # fmt: skip
def test_only_hosts_that_others_reach_need_a_token(host, loopback):
    assert is_loopback(host) is loopback
    assert (Guard.of(host).token is None) is loopback


def test_the_token_is_hard_to_guess_and_known_by_its_cookie():
    guard = Guard.of("0.0.0.0")
    assert len(guard.token) >= 22 and guard.token != Guard.of("0.0.0.0").token
    assert not guard.knows_token(headers())
    assert not guard.knows_token(headers(Host="localhost:7007", Cookie="nerf-mini-7007=wrong"))
    assert not guard.knows_token(headers(Host="localhost:7007", Cookie="nerf-mini-7007=é\x00"))
    assert guard.knows_token(headers(Host="localhost:7007", Cookie=f"other=1; nerf-mini-7007={guard.token}"))
    assert not guard.knows_token(headers(Host="localhost:7008", Cookie=f"nerf-mini-7007={guard.token}"))
    assert (
        guard.brings_token(f"token={guard.token}") and not guard.brings_token("token=") and not guard.brings_token("")
    )
    cookie = guard.cookie(headers(Host="localhost:7007"))
    assert cookie.startswith("nerf-mini-7007=") and "SameSite=Strict" in cookie and "HttpOnly" in cookie
    assert not Guard("127.0.0.1").brings_token("token=None") and Guard("127.0.0.1").knows_token(headers())
