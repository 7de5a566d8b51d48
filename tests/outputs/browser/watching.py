"""A viewer in a process of its own, and what one sees of its page."""

import base64
import subprocess
import sys
import time
from urllib.parse import urlsplit

import imageio.v3 as iio

PATIENCE = 30.0  # seconds; a condition that holds sooner is noticed sooner
IS_SHARP = "viewer.frames.resting && viewer.frames.log.at(-1)?.final"


class Server:
    """`nerf-mini` with these arguments, as a process that serves the page.

    Attributes:
        url: the address that it shows.
    """

    def __init__(self, *arguments):
        command = [sys.executable, "-u", "-m", "nerf_mini", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "http://" in line:
                self.url = "http://" + line.partition("http://")[2].split()[0]
                return
        raise AssertionError("".join(said))

    @property
    def port(self):
        return urlsplit(self.url).port

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def until(page, condition, seconds=PATIENCE):
    """Wait for a condition in the page. (Playwright's own way needs what the page's policy forbids.)"""
    end = time.monotonic() + seconds
    while not page.evaluate(f"typeof viewer !== 'undefined' && Boolean({condition})"):
        assert time.monotonic() < end, f"not {condition}: {page.evaluate('document.body.innerText')}"
        page.wait_for_timeout(30)


def pixels(page):
    """What the canvas of the picture shows: (height, width, 3) uint8."""
    address = page.evaluate("viewer.picture.canvas.toDataURL('image/png')")
    return iio.imread(base64.b64decode(address.partition(",")[2]))[..., :3]
