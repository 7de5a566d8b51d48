"""The checklist is complete: each of its 98 items has a test that carries its number."""

import re
from pathlib import Path

import pytest

TESTS = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_checklist_*.py")))
NUMBERS = {int(number) for number in re.findall(r"^def test_item_(\d\d)_", TESTS, re.MULTILINE)}


@pytest.mark.parametrize("number", range(1, 99), ids=lambda number: f"item_{number:02d}")
def test_item_has_a_test(number):
    assert number in NUMBERS
