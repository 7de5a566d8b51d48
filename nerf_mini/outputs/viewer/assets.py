"""The files of the page, from a fixed table: no name in a request ever becomes a path."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def asset_names() -> frozenset[str]:
    """The files that the page consists of."""
    folder = files("nerf_mini.outputs.viewer.page")
    return frozenset(file.name for file in folder.iterdir() if _suffix(file.name) in CONTENT_TYPES)


def asset(name: str) -> tuple[bytes, str] | None:
    """A file of the page and its content type; None where the page has no such file."""
    if name not in asset_names():
        return None
    data = files("nerf_mini.outputs.viewer.page").joinpath(name).read_bytes()
    return data, CONTENT_TYPES[_suffix(name)]


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
