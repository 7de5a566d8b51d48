"""The help of settings: what stands below a field, and the limit that stands on it."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache, partial
from itertools import pairwise

from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from nerf_mini.config.limits import Limit, Section, hints

SETTINGS = ConstructorRegistry()
"""How tyro is to read sections of a configuration, for a `with` around it."""


@SETTINGS.struct_rule
def _options(info: StructTypeInfo) -> StructConstructorSpec | None:
    """The fields of a section over its default; None for whatever else."""
    section, default = info.type, info.default
    if not (isinstance(section, type) and issubclass(section, Section) and isinstance(default, section)):
        return None
    fields = [
        StructFieldSpec(name, hint, getattr(default, name), partial(help_text, section, name))
        for name, hint in hints(section).items()
    ]
    return StructConstructorSpec(section, tuple(fields))


def help_text(section: type[Section], name: str) -> str | None:
    """What a field is for, and its limit, in one paragraph; None where nothing is said."""
    own = getattr(hints(section)[name], "__metadata__", ())
    limits = [str(limit).removesuffix(" and finite") for limit in own if isinstance(limit, Limit)]
    sentences = [f"{limit[0].upper()}{limit[1:]}." for limit in limits]
    return " ".join([*_documented(section.__module__).get((section.__name__, name), "").split(), *sentences]) or None


@cache
def _documented(module: str) -> dict[tuple[str, str], str]:
    """The strings below the fields of a module's classes, by class and field; none where it came without its source."""
    try:
        statements = ast.parse(inspect.getsource(sys.modules[module])).body
    except OSError:
        return {}
    found = {}
    for own in (statement for statement in statements if isinstance(statement, ast.ClassDef)):
        for field, below in pairwise(own.body):
            text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
                found[own.name, field.target.id] = text
    return found
