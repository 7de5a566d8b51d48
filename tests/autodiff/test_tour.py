"""The tour runs: every block of Python in it is executed, and prints what the page says.

Run as a program, this file writes the printed results into the page.
"""

import contextlib
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from autodiff.calculus import draw

TOUR = Path(__file__).parents[2] / "docs" / "tour.md"
PICTURE = TOUR.parent / "pictures" / "graph.svg"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<text>.*?)```\n)?", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


def blocks():
    """(line, code, printed) of every block."""
    page = TOUR.read_text(encoding="utf-8")
    return [(page[: m.start()].count("\n") + 2, m["code"], m["text"] or "") for m in BLOCK.finditer(page)]


def run(code, line, names):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (line - 1) + code, TOUR, "exec"), names)
    return printed.getvalue()


@pytest.fixture(scope="module")
def names():
    with np.printoptions():
        yield {}


@pytest.mark.parametrize(
    ("line", "code", "text"), blocks(), ids=lambda value: str(value) if isinstance(value, int) else ""
)
def test_block_prints_what_the_page_says(line, code, text, names):
    printed = run(code, line, names)
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", text).split(), printed
    found, wanted = (np.array([float(n) for n in NUMBER.findall(t)]) for t in (printed, text))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_all_items_are_visited_in_order():
    stops = [int(n) for n in re.findall(r"^\*\*(\d+)\.", TOUR.read_text(encoding="utf-8"), re.MULTILINE)]
    assert stops == list(range(1, 99))


def picture():
    return draw(lambda x: np.sin(x + x**2), 0.5, form="svg") + "\n"


def test_the_picture_is_up_to_date():
    assert PICTURE.read_text(encoding="utf-8") == picture()


def rewrite():
    names: dict = {}

    def with_result(match):
        line = match.string[: match.start()].count("\n") + 2
        printed = run(match["code"], line, names)
        return f"```python\n{match['code']}```\n" + (f"\n```text\n{printed}```\n" if printed else "")

    page = TOUR.read_text(encoding="utf-8")
    with np.printoptions():
        TOUR.write_text(BLOCK.sub(with_result, page), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(rewrite())
