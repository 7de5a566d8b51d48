"""The pages about autodiff tell the truth: their code runs and prints what they say."""

import importlib.util
import json
import os
import re
import sys

import numpy as np
import pytest
from pages import ROOT, assert_printed, blocks, run

import autodiff
from autodiff.rules import REGISTRY

PAGES = {
    "README": (ROOT / "README.md", "## The autodiff core", "## "),
    "extending": (ROOT / "docs" / "extending.md", "## A primitive: teach autodiff a function", "## A field"),
    "autodiff": (ROOT / "docs" / "autodiff.md", "", ""),
}


@pytest.fixture(autouse=True)
def registries():
    """What the examples register is forgotten."""
    tables = (REGISTRY, autodiff.FUSED)
    before = [dict(table) for table in tables]
    yield
    for table, contents in zip(tables, before, strict=True):
        table.clear()
        table.update(contents)


@pytest.mark.parametrize("name", PAGES)
def test_examples_run_as_written(name):
    page, first, last = PAGES[name]
    names: dict = {}
    found = blocks(page, first, last)[: 1 if name == "README" else None]  # its second block is a quotation
    assert found
    with np.printoptions():
        for line, code, text in found:
            assert_printed(run(page, code, line, names), text)
    if name == "README":
        assert names["grad"](names["rosenbrock"])(np.ones(3)).tolist() == [0, 0, 0]


def test_the_table_of_transformations_is_complete():
    page = (ROOT / "docs" / "autodiff.md").read_text(encoding="utf-8")
    table = page[page.index("| call |") : page.index("`grad`, `value_and_grad`, `elementwise_grad`")]
    described = set(re.findall(r"^\| `(\w+)\(", table, re.MULTILINE))
    transformations = {
        n for n in autodiff.__all__ if n[0].islower() and getattr(autodiff.transforms, n, None) is getattr(autodiff, n)
    }
    assert described == transformations | {"check_grads"}


def test_the_benchmark_runs(tmp_path, capsys, monkeypatch):
    """The script, with autodiff alone and next to no repetitions."""
    spec = importlib.util.spec_from_file_location("benchmark_autodiff", ROOT / "scripts" / "benchmark_autodiff.py")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "LIBRARIES", (benchmark.Autodiff,))
    monkeypatch.setattr(sys, "path", list(sys.path))
    small = {name: task for name, task in benchmark.TASKS.items() if "network" not in name}
    monkeypatch.setattr(benchmark, "TASKS", small)
    file = tmp_path / "results.json"
    benchmark.main(["--rounds", "1", "--seconds", "0", "--gradients", "10", "--json", str(file)])
    assert "gradient of a small function" in capsys.readouterr().out
    assert set(json.loads(file.read_text())["seconds"]) == set(small)
