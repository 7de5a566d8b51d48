"""Nested arguments."""

import collections
import dataclasses

import numpy as np
import pytest

from autodiff import grad, tree, vjp

Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Model:
    weight: float
    layers: list
    squared: float = dataclasses.field(init=False, default=0.0)

    def __post_init__(self):
        self.squared = float(self.weight) ** 2  # would refuse a traced value


TREES = [
    1.0,
    None,
    [],
    {},
    (1.0, [2.0, {"a": 3.0}]),
    {"b": 1.0, "a": (2.0, None)},
    Point(1.0, [2.0]),
    collections.OrderedDict(z=1.0, y=2.0),
    Model(1.0, [2.0, 3.0]),
]


@pytest.mark.parametrize("example", TREES, ids=lambda t: type(t).__name__)
def test_flatten_and_rebuild(example):
    leaves, rebuild = tree.flatten(example)
    assert rebuild(leaves) == example
    assert type(rebuild(leaves)) is type(example)
    assert len(tree.paths(example)) == len(leaves)
    assert tree.map_leaves(lambda leaf: leaf, example) == example


def test_paths_name_every_leaf():
    example = {"net": [Point(1.0, 2.0), Model(3.0, [])]}
    assert tree.paths(example, "p") == ["p['net'][0].x", "p['net'][0].y", "p['net'][1].weight", "p['net'][1].squared"]


def test_default_dicts_keep_their_factory():
    rebuilt = tree.map_leaves(lambda v: 2 * v, collections.defaultdict(list, a=1.0))
    assert rebuilt.default_factory is list and rebuilt["a"] == 2.0


def test_the_order_of_keys_does_not_matter():
    assert tree.map_leaves(lambda a, b: (a, b), {"a": 1, "b": 2}, {"b": 20, "a": 10}) == {"a": (1, 10), "b": (2, 20)}
    _, pullback = vjp(lambda x: {"double": 2 * x, "same": x}, 1.0)
    assert pullback({"same": 100.0, "double": 1.0})[0] == 102.0


def test_different_forms_are_refused():
    with pytest.raises(ValueError, match=r"expected 2 leaves \(\['a'\], \['b'\]\), got 1 leaves \(\['a'\]\)"):
        tree.map_leaves(max, {"a": 1, "b": 2}, {"a": 1})
    with pytest.raises(ValueError, match="one array"):
        tree.map_leaves(max, [1, 2], np.ones(2))


def test_dataclasses_are_not_built_anew():
    g = grad(lambda m: m.weight * m.layers[0] * 3)(Model(2.0, [5.0]))
    assert g.weight == 15.0 and g.layers == [6.0] and g.squared == 0.0
