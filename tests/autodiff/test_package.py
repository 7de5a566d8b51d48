"""The package as a whole: its imports form no circle, it needs NumPy alone, and no module hides behind a function."""

import ast
import graphlib
import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import pytest

import autodiff

ROOT = Path(autodiff.__file__).parent
MODULES = ["autodiff", *(module.name for module in pkgutil.walk_packages(autodiff.__path__, "autodiff."))]


def imports_of(name):
    """All modules named by the import statements of a module, wherever they stand in it."""
    spec = importlib.util.find_spec(name)
    found = set()
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= submodules or {node.module}
    return found


def test_imports_form_no_circle():
    packages = {name for name in MODULES if hasattr(importlib.import_module(name), "__path__")}
    graph = {name: (imports_of(name) & set(MODULES)) - packages for name in MODULES if name not in packages}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_it_needs_numpy_and_nothing_else():
    outside = {imported.split(".")[0] for name in MODULES for imported in imports_of(name)}
    assert outside - set(sys.stdlib_module_names) == {"numpy", "autodiff"}


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_hidden_by_a_function_of_its_name(name):
    parent, _, last = name.rpartition(".")
    module = importlib.import_module(name)
    assert not parent or getattr(importlib.import_module(parent), last) is module


def test_it_is_typed():
    assert (ROOT / "py.typed").exists()
    public = [getattr(autodiff, name) for name in autodiff.__all__]
    for function in filter(inspect.isfunction, public):
        hints = function.__annotations__
        assert set(inspect.signature(function).parameters) | {"return"} == set(hints), function.__name__


def test_every_function_fits_on_a_screen():
    for name in MODULES:
        source = Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 40, f"{name}.{node.name}"
