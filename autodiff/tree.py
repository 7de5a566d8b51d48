"""Nested arguments: parameters come as dicts, lists, tuples and dataclasses of arrays.

A *tree* is an array, or a dict, list, tuple, named tuple, dataclass or None whose members are trees. The derivative of a
function of a tree is a tree of the same form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


def children(tree: Any) -> tuple[list[tuple[str, Any]], Callable] | None:
    """The named members of a node and the function that builds the node from new members; `None` for a leaf."""
    if tree is None:
        return [], lambda members: None
    if isinstance(tree, dict):
        keys = list(tree)
        return [(f"[{key!r}]", tree[key]) for key in keys], lambda members: type(tree)(zip(keys, members, strict=True))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(f".{name}", getattr(tree, name)) for name in tree._fields], lambda members: type(tree)(*members)
    if isinstance(tree, list | tuple):
        return [(f"[{i}]", member) for i, member in enumerate(tree)], type(tree)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in dataclasses.fields(tree)]

        def build(members):
            return dataclasses.replace(tree, **dict(zip(names, members, strict=True)))

        return [(f".{name}", getattr(tree, name)) for name in names], build
    return None


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves from left to right, and the function that rebuilds a tree of this form from a list of new leaves.

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
    parts = [flatten(member) for _, member in members]

    def rebuild(leaves):
        rebuilt, start = [], 0
        for part, part_rebuild in parts:
            rebuilt.append(part_rebuild(leaves[start : start + len(part)]))
            start += len(part)
        return build(rebuilt)

    return [leaf for part, _ in parts for leaf in part], rebuild


def paths(tree: Any, prefix: str = "") -> list[str]:
    """A name for each leaf, in the order of `flatten`, for messages.

    >>> paths({"w": 1.0, "b": [2.0, 3.0]})
    ["['w']", "['b'][0]", "['b'][1]"]
    """
    node = children(tree)
    if node is None:
        return [prefix]
    return [path for name, member in node[0] for path in paths(member, prefix + name)]


def map_leaves(function: Callable, tree: Any, *others: Any) -> Any:
    """Apply a function to corresponding leaves of one or several trees of the same form."""
    leaves, rebuild = flatten(tree)
    columns = [leaves]
    for other in others:
        other_leaves, _ = flatten(other)
        if paths(other) != paths(tree):
            raise ValueError(f"trees of different form: {paths(tree)} and {paths(other)}")
        columns.append(other_leaves)
    return rebuild([function(*leaf) for leaf in zip(*columns, strict=True)])
