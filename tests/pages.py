"""Pages with code that runs: blocks of Python, each followed by a block of the text that it prints, if any."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<text>.*?)```\n)?", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


def blocks(page, first="", last=""):
    """(line, code, printed) of every block; from a line that begins with `first` to one that begins with `last`."""
    text = page.read_text(encoding="utf-8")
    start = text.index(f"\n{first}") if first else 0
    end = text.index(f"\n{last}", start + 1) if last else len(text)
    return [(text[: m.start()].count("\n") + 2, m["code"], m["text"] or "") for m in BLOCK.finditer(text, start, end)]


def run(page, code, line, names):
    """What the code prints; an error in it points to the line of the page."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (line - 1) + code, page, "exec"), names)
    return printed.getvalue()


def assert_printed(printed, text):
    """The same words, and the same numbers but for rounding."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", text).split(), printed
    found, wanted = (np.array([float(n) for n in NUMBER.findall(t)]) for t in (printed, text))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
