"""The computation graph as data: names, formulas, local derivatives."""

import numpy as np

from autodiff import define
from autodiff.calculus import graph, paths


def test_graph_names_formulas_and_values():
    g = graph(lambda x, w: np.sum(-(w["a"] @ x) / 2.0) + w["b"][1:], np.ones(2), {"a": np.eye(2), "b": np.ones(3)})
    assert [node.name for node in g.nodes[:3]] == ["x", "w['a']", "w['b']"]
    assert [node.formula for node in g.nodes[3:]] == [
        "w['a'] @ x",
        "-u1",
        "u2 / 2",
        "sum(u3)",
        "w['b'][1:]",
        "u4 + u5",
    ]
    assert g.nodes[6].value == -1.0 and g.inputs == [0, 1, 2] and g.outputs == [8]


def test_what_the_output_does_not_need_is_left_out():
    def f(x, y):
        np.exp(x)
        return x * 2

    assert [node.name for node in graph(f, 1.0, 2.0).nodes] == ["x", "y", "u1"]


def test_local_partial_derivatives():
    g = graph(lambda x: np.sin(x) * x, np.array([1.0, 2.0]))
    product = g.nodes[-1]
    np.testing.assert_allclose(product.partial(0), np.diag([1.0, 2.0]))
    np.testing.assert_allclose(product.partial(1), np.diag(np.sin([1.0, 2.0])))


def test_operators_with_several_outputs():
    halves = define(
        "halves",
        lambda x: (x[:1], x[1:]),
        jvp=lambda t, out, x: (t[0][:1], t[0][1:]),
        vjp=lambda needs, g, out, x: (np.concatenate(g),),
    )

    def f(x):
        a, b = halves(x)
        return np.sum(a * b)

    assert [node.formula for node in graph(f, np.array([2.0, 3.0])).nodes[1:3]] == ["halves(x)[0]", "halves(x)[1]"]
    np.testing.assert_allclose(paths(f, np.array([2.0, 3.0])).total, [3.0, 2.0])
