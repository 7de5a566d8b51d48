"""The examples in docstrings are right."""

import doctest
import importlib
import pkgutil

import pytest

import autodiff
import nerf_mini.ops

MODULES = [
    name
    for package in (autodiff, nerf_mini.ops)
    for name in [package.__name__, *(m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))]
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
