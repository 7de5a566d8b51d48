"""The tour runs: every block of Python in it is executed, and prints what the page says.

Run as a program, this file writes the printed results into the page.
"""

import re
import sys

import numpy as np
import pytest
from pages import BLOCK, ROOT, assert_printed, blocks, run

from autodiff.calculus import draw

TOUR = ROOT / "docs" / "tour.md"
PICTURE = TOUR.parent / "pictures" / "graph.svg"


@pytest.fixture(scope="module")
def names():
    with np.printoptions():
        yield {}


@pytest.mark.parametrize(
    ("line", "code", "text"), blocks(TOUR), ids=lambda value: str(value) if isinstance(value, int) else ""
)
def test_block_prints_what_the_page_says(line, code, text, names):
    assert_printed(run(TOUR, code, line, names), text)


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
        printed = run(TOUR, match["code"], line, names)
        return f"```python\n{match['code']}```\n" + (f"\n```text\n{printed}```\n" if printed else "")

    page = TOUR.read_text(encoding="utf-8")
    with np.printoptions():
        TOUR.write_text(BLOCK.sub(with_result, page), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(rewrite())
