"""Where a server listens, and how people are told."""

from __future__ import annotations

import errno
import os
import socket
import sys
import webbrowser
from collections.abc import Callable

from nerf_mini.errors import UserError, plain
from nerf_mini.outputs.viewer.guard import Guard
from nerf_mini.outputs.viewer.routes import Service, ViewerServer

MOST_PORTS = 100  # to try
ORDINARY = 1024  # ports below are for administrators
# what Windows says of ports that it keeps for itself is what others say of those that one has no right to
_TAKEN = (errno.EADDRINUSE, errno.EACCES) if sys.platform == "win32" else (errno.EADDRINUSE,)


def listen(
    service: Service, host: str, port: int, embedded: bool = False, say: Callable[[str], None] = lambda text: None
) -> ViewerServer:
    """A server on a port, or on the first free one after it, which is said; port 0 is any. It does not answer yet.

    Raises UserError where the host is not this machine's, or no port is free.
    """
    check_port(port)
    for candidate in range(port, min(port + MOST_PORTS, 65536)):
        try:
            server = ViewerServer((host, candidate), service, Guard.of(host), embedded)
        except (socket.gaierror, UnicodeError) as error:  # the latter: no name may have such parts
            why = error.strerror if isinstance(error, OSError) else "no host can be called so"
            raise UserError(f"--host {plain(host)}: is no address of this machine ({why}).") from error
        except OSError as error:
            if error.errno == errno.EACCES and error.errno not in _TAKEN:
                text = f"--port {port}: port {candidate} is not for ordinary users; choose one from {ORDINARY} on."
                raise UserError(text) from error
            if error.errno not in _TAKEN:
                raise UserError(f"--host {plain(host)}: cannot be listened on ({error.strerror}).") from error
            continue
        if port not in (0, server.port):
            say(f"port {port} is taken; using {server.port}")
        return server
    raise UserError(f"no port from {port} to {candidate} is free; choose another --port.")


def check_port(port: int) -> None:
    """Raise a UserError for what is no port."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: must be from 0 to 65535.")


def address(server: ViewerServer) -> str:
    """What to open in a browser."""
    guard = server.guard
    if guard.token is None:
        return f"http://{_bracketed('localhost' if guard.host == '127.0.0.1' else guard.host)}:{server.port}/"
    return f"http://{_bracketed(_reachable(guard.host))}:{server.port}/?token={guard.token}"


def announce(server: ViewerServer, open_browser: bool, say: Callable[[str], None]) -> None:
    """Say where the page is, and open it where somebody can see it."""
    url, port = address(server), server.port
    say(f"viewer: {url}")
    if server.guard.token is not None:
        say(
            f"warning: {server.guard.host} can be reached from other machines. Whoever has the address above can watch;"
            " it is not encrypted."
        )
    elif "SSH_CONNECTION" in os.environ:
        say(f"from your own machine: ssh -L {port}:localhost:{port} {_own_name()}, then open the address there")
    if open_browser and _has_display():
        webbrowser.open(url)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _own_name() -> str:
    user = os.environ.get("USER")
    return f"{user}@{socket.gethostname()}" if user else socket.gethostname()


def _reachable(host: str) -> str:
    """The address by which others reach a server that listens on a host: for all addresses, the one of our way out."""
    if host not in ("", "0.0.0.0", "::"):
        return host
    family, far = (socket.AF_INET6, "2001:db8::1") if host == "::" else (socket.AF_INET, "192.0.2.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))  # sends nothing
            return probe.getsockname()[0]
    except OSError:
        return "localhost"


def _has_display() -> bool:
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
