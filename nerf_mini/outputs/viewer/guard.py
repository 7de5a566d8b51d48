"""Who may talk to the server: pages that it served itself, asked for by a name that is this machine's."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

COOKIE = "nerf-mini"


@dataclass(frozen=True)
class Guard:
    """What a request must show.

    Attributes:
        host: the name that the server was asked to listen on.
        token: what only those know who read the terminal; None where only this machine can connect.
    """

    host: str
    token: str | None = None

    @classmethod
    def of(cls, host: str) -> Guard:
        """The guard of a server on a host: with a token unless that is a loopback address."""
        return cls(host, None if is_loopback(host) else secrets.token_urlsafe(16))

    def objection(self, headers: Message) -> str | None:
        """What is wrong with where a request comes from; None if nothing.

        A page elsewhere may have its own name resolve to 127.0.0.1 (DNS rebinding): its requests then carry that name
        as Host. What else it sends here carries its Origin.
        """
        host = headers.get("Host", "")
        if not self._is_ours(host):
            return "this server is asked for by localhost or an address, not by another name."
        origin = headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{host}".lower():
            return "requests from other pages are refused."
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            urlsplit(f"//{host}").port  # noqa: B018  raises where it is no number
        except ValueError:
            return False
        return name == "localhost" or _address(name) is not None or (name != "" and name == self.host.lower())

    def knows_token(self, headers: Message) -> bool:
        """Whether a request carries the cookie that the address with the token gives, if there is a token."""
        if self.token is None:
            return True
        try:
            cookie = SimpleCookie(headers.get("Cookie", "")).get(self._cookie_name(headers))
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    def brings_token(self, query: str) -> bool:
        """Whether the address of a request has the token in its query."""
        return self.token is not None and any(map(self._is_token, parse_qs(query).get("token", [])))

    def _is_token(self, text: str) -> bool:
        return self.token is not None and hmac.compare_digest(text.encode(), self.token.encode())

    def cookie(self, headers: Message) -> str:
        """The header that makes a browser remember the token, for requests of our own pages alone."""
        return f"{self._cookie_name(headers)}={self.token}; HttpOnly; SameSite=Strict; Path=/"

    def _cookie_name(self, headers: Message) -> str:
        """With the port: cookies know none, and another viewer on this machine has a token of its own."""
        return f"{COOKIE}-{urlsplit('//' + headers.get('Host', '')).port or 80}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a host."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
