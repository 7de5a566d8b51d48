"""Nested arguments: parameters come as dicts, lists, tuples and dataclasses of arrays.

A *tree* is an array, or a dict, list, tuple, named tuple, dataclass or None whose members are trees. The derivative of
a function of a tree is a tree of the same structure.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from autodiff.values import Traced

Tree: TypeAlias = Any  # an array, or nested dicts, lists, tuples and dataclasses of arrays

_LEAVES = frozenset({np.ndarray, float, np.float64, np.float32, Traced})  # the common leaves, recognised fast


def children(tree: Tree) -> tuple[list, Callable[[list], Any]] | None:
    """The members of a node and the function that builds the node from new members; `None` for a leaf."""
    if type(tree) in _LEAVES:
        return None
    if isinstance(tree, list | tuple):
        named = hasattr(tree, "_fields")  # a named tuple takes its members one by one
        return list(tree), (lambda members: type(tree)(*members)) if named else type(tree)
    if tree is None:
        return [], lambda members: None
    if isinstance(tree, dict):
        keys = list(tree)

        def build_dict(members):
            new = copy.copy(tree)  # keeps what a subclass carries, such as a default factory
            new.update(zip(keys, members, strict=True))
            return new

        return list(tree.values()), build_dict
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in dataclasses.fields(tree)]

        def build(members):
            new = copy.copy(tree)  # not through __init__, which may compute with its arguments or refuse traced ones
            for name, member in zip(names, members, strict=True):
                object.__setattr__(new, name, member)
            return new

        return [getattr(tree, name) for name in names], build
    return None


def is_leaf(tree: Tree) -> bool:
    return children(tree) is None


def flatten(tree: Tree) -> tuple[list[Any], Callable[[list[Any]], Tree]]:
    """The leaves from left to right, and the function that rebuilds the tree from a list of new leaves.

    >>> leaves, rebuild = flatten({"w": 1.0, "b": [2.0, 3.0]})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> rebuild([10 * leaf for leaf in leaves])
    {'w': 10.0, 'b': [20.0, 30.0]}
    """
    node = children(tree)
    if node is None:
        return [tree], lambda leaves: leaves[0]
    members, build = node
    for member in members:
        if type(member) not in _LEAVES:
            break
    else:  # nothing is nested
        return members, build
    parts = [flatten(member) for member in members]

    def rebuild(leaves):
        rebuilt, start = [], 0
        for part, part_rebuild in parts:
            rebuilt.append(part_rebuild(leaves[start : start + len(part)]))
            start += len(part)
        return build(rebuilt)

    return [leaf for part, _ in parts for leaf in part], rebuild


def paths(tree: Tree, prefix: str = "") -> list[str]:
    """A name for each leaf, in the order of `flatten`, for messages.

    >>> paths({"w": 1.0, "b": [2.0, 3.0]})
    ["['w']", "['b'][0]", "['b'][1]"]
    """
    node = children(tree)
    if node is None:
        return [prefix]
    members = node[0]
    if isinstance(tree, dict):
        names = [f"[{key!r}]" for key in tree]
    elif dataclasses.is_dataclass(tree):
        names = [f".{field.name}" for field in dataclasses.fields(tree)]
    elif hasattr(tree, "_fields"):
        names = [f".{name}" for name in tree._fields]
    else:
        names = [f"[{i}]" for i in range(len(members))]
    return [path for name, member in zip(names, members, strict=True) for path in paths(member, prefix + name)]


def leaves_like(tree: Tree, like: Tree) -> list[Any]:
    """The leaves of a tree in the order of `like`, a tree of the same structure; dicts may differ in order.

    Raises `ValueError` if the structures differ.

    >>> leaves_like({"b": 2.0, "w": 1.0}, {"w": 10.0, "b": 20.0})
    [1.0, 2.0]
    """
    leaves, _ = flatten(tree)
    if is_leaf(tree) and is_leaf(like):
        return leaves
    found, wanted = paths(tree), paths(like)
    if found == wanted:
        return leaves
    if sorted(found) != sorted(wanted):
        raise ValueError(f"expected {_list_paths(wanted)}, got {_list_paths(found)}")
    by_path = dict(zip(found, leaves, strict=True))
    return [by_path[path] for path in wanted]


def _list_paths(found: list[str]) -> str:
    shown = ", ".join(path or "one array" for path in found[:6])
    return f"{len(found)} leaves ({shown}{', ...' if len(found) > 6 else ''})"


def map_leaves(function: Callable, tree: Tree, *others: Tree) -> Tree:
    """Apply a function to corresponding leaves of trees of the same structure.

    >>> map_leaves(lambda x, step: x - 0.5 * step, {"w": 1.0}, {"w": 2.0})
    {'w': 0.0}
    """
    leaves, rebuild = flatten(tree)
    columns = [leaves, *(leaves_like(other, tree) for other in others)]
    return rebuild([function(*leaf) for leaf in zip(*columns, strict=True)])
