"""The page of covered functions, generated from the registry.

python -m autodiff.checking.coverage > docs/coverage.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

import numpy as np

from autodiff import rules
from autodiff.core import Primitive
from autodiff.registry import name_of
from autodiff.rules import NON_DIFFERENTIABLE, REFUSED, REGISTRY

_FAMILIES: tuple[tuple[str, ModuleType], ...] = (
    ("Elementwise", rules.elementwise),
    ("Reductions", rules.reduction),
    ("Statistics", rules.statistics),
    ("Shape", rules.shape),
    ("Indexing and moving", rules.indexing),
    ("Contraction", rules.contraction),
    ("Matrix equations", rules.linalg),
    ("Factorisations", rules.decompositions),
    ("Norms", rules.norms),
    ("Numerical helpers", rules.numerical),
)

_HEAD = """# Coverage

Generated from the registry by `python -m autodiff.checking.coverage`, with NumPy {version}. {count} functions of NumPy
can be differentiated, all of them in forward and reverse mode, to any order, in float32 and float64. Call them as in
plain NumPy: as `np.` functions, operators, or methods of arrays. `autodiff.array([...])` stands in for `np.array`, and
`autodiff.at(x)[index].set(v)`, with `.add(v)` and `.multiply(v)`, for assignment. For points where no derivative
exists, see `conventions.md`.

"""
_NOTES = {
    "Constants": "Piecewise constant, boolean, or about shapes: they see plain values and return plain values.",
    "Writing into arrays": "These raise an error that says what to write instead.",
    "Not covered": "These raise an error that names the nearest covered function. `autodiff.implements` adds a rule.",
}


def functions_of_numpy() -> Iterator[Callable]:
    """All functions that NumPy sends through its two protocols: ufuncs, and functions that dispatch."""
    for module in (np, np.linalg):
        for name in dir(module):
            function = getattr(module, name)
            if isinstance(function, np.ufunc) or type(function) is type(np.sum):
                yield function


def family_of(function: Callable) -> str:
    """The title of the table that a registered function belongs to."""
    handler = REGISTRY[function]
    for title, module in _FAMILIES:
        if handler.__module__ == module.__name__ or any(member is handler for member in vars(module).values()):
            return title
    return "Elementwise" if isinstance(handler, Primitive) else "Added by users"


def markdown() -> str:
    """The page docs/coverage.md."""
    sections: dict[str, list[Callable]] = {title: [] for title, _ in _FAMILIES}
    for function in REGISTRY:
        sections.setdefault(family_of(function), []).append(function)
    known = {*REGISTRY, *NON_DIFFERENTIABLE, *REFUSED}
    sections["Constants"] = list(NON_DIFFERENTIABLE)
    sections["Writing into arrays"] = list(REFUSED)
    sections["Not covered"] = [function for function in functions_of_numpy() if function not in known]
    version = ".".join(np.__version__.split(".")[:2])
    text = _HEAD.format(version=version, count=len({name_of(function) for function in REGISTRY}))
    modules = dict(_FAMILIES)
    for title, functions in sections.items():
        note = _NOTES.get(title) or ((modules[title].__doc__ or "").split("\n")[0] if title in modules else "")
        text += f"## {title}\n\n{note}\n\n{_columns(functions)}\n\n"
    return text.rstrip("\n") + "\n"


def _columns(functions: Iterable[Callable], width: int = 4) -> str:
    """Names in the columns of a table."""
    names = [f"`{name}`" for name in sorted({name_of(function) for function in functions})]
    names += [""] * (-len(names) % width)
    rows = [names[i : i + width] for i in range(0, len(names), width)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[""] * width, ["---"] * width, *rows])


if __name__ == "__main__":
    print(markdown(), end="")
