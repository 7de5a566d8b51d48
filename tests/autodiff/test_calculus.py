"""The learner's view: derivative layouts, tables, paths, identities and drawings."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from autodiff import DerivativeError, define, grad
from autodiff.calculus import (
    D,
    difference_table,
    differential,
    draw,
    forward_table,
    graph,
    holds,
    paths,
    reverse_table,
    verify,
    volume_scale,
)

# -- D -----------------------------------------------------------------------------------------------------------------


def test_whole_numbers_and_lists_are_taken_for_real_numbers():
    assert D(lambda x: x**2)(3) == 6.0
    np.testing.assert_array_equal(D(lambda x: x @ x)([1, 2]), [[2.0, 4.0]])
    assert volume_scale(lambda p: p * 2, [1, 2, 3]) == pytest.approx(8.0)


def test_layout_of_vectors_of_length_one_and_zero():
    assert D(lambda x: x)(np.ones(1)).shape == (1, 1)
    assert D(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert D(np.sum)(np.zeros(0)).shape == (1, 0)


def test_other_arguments_are_held_constant_and_derivatives_nest():
    assert D(lambda x, y: x**2 * y, 1)(3.0, 5.0) == 9.0
    assert D(D(np.sin))(0.5) == pytest.approx(-np.sin(0.5))
    assert D(D(lambda x: x[0] ** 2 * x[1]))(np.ones(2)).shape == (1, 2, 2)


def test_difference_table_shows_the_valley():
    errors = [row[2] for row in difference_table(np.sin, 1.0).rows]
    assert 0 < errors.index(min(errors)) < len(errors) - 1  # neither the largest nor the smallest step is best


def test_differential_of_a_vector_function_argument():
    u, du = differential(lambda x: x @ x, np.array([1.0, 2.0]))
    np.testing.assert_array_equal(u, [2.0, 4.0])
    assert du(np.array([0.5, 0.5])) == 3.0


# -- identities --------------------------------------------------------------------------------------------------------


def test_a_false_identity_shows_both_sides_and_the_place():
    with pytest.raises(
        AssertionError, match=r"trial 0 of seed 3: the left side is .*, the right side .* at index \(\d,\)"
    ):
        verify(lambda x: x, lambda x: 2 * x, (4,), seed=3)
    with pytest.raises(AssertionError, match=r"the left side has shape \(4,\), the right side \(1, 4\)"):
        verify(lambda x: x, lambda x: x[None], (4,))


def test_holds():
    assert holds(np.sin, lambda x: np.cos(x - np.pi / 2), (3, 3))
    assert not holds(np.sin, np.cos, ())
    with np.errstate(invalid="ignore"):
        assert not holds(lambda x: np.log(-(x**2)), lambda x: np.log(-(x**2)), ())  # NaN equals nothing


# -- graph -------------------------------------------------------------------------------------------------------------


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


# -- tables and paths --------------------------------------------------------------------------------------------------


def two_layers(x, w):
    return np.sum(np.tanh(w @ x) ** 2)


X, W = np.array([0.5, -1.0]), np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])


def test_tables_of_array_functions_agree_with_the_gradient():
    gx, gw = grad(two_layers, argnums=(0, 1))(X, W)
    adjoints = {row[0].split(" ")[0]: row[3] for row in reverse_table(two_layers, X, W).rows}
    np.testing.assert_allclose(adjoints["x"], gx)
    np.testing.assert_allclose(adjoints["w"], gw)
    rows = forward_table(two_layers, X, W, direction=(np.ones(2), np.zeros((3, 2)))).rows
    assert rows[-1][3] == pytest.approx(np.sum(gx))
    np.testing.assert_allclose(paths(two_layers, X, W).total, gx)
    np.testing.assert_allclose(paths(two_layers, X, W, argnum=1).total, gw)


def test_forward_table_of_several_arguments_seeds_the_first():
    rows = forward_table(lambda x, y: x * y, 3.0, 5.0).rows
    assert [row[3] for row in rows] == [1.0, 0.0, 5.0]
    assert rows[-1][2] == "y·x' + x·y'"


@pytest.mark.parametrize(
    ("f", "rule"),
    [
        (lambda x: x**3, "3·x^2·x'"),
        (lambda x: 2.0 - x, "-x'"),
        (lambda x: 1.0 / x, "-1/x²·x'"),
        (lambda x: np.sqrt(x), "1/(2·u1)·x'"),
        (lambda x: np.tanh(x), "(1-u1²)·x'"),
        (lambda x: np.arctan(x), "∂u1/∂x·x'"),
    ],
)
def test_rules_are_written_as_in_the_lectures(f, rule):
    assert forward_table(f, 2.0).rows[-1][2] == rule


def test_reverse_table_of_a_subtraction():
    assert reverse_table(lambda x, y: x * x - y, 3.0, 5.0).rows[-2:] == [
        ("y", 5.0, "-ū2", -1.0),
        ("x", 3.0, "ū1·x + ū1·x", 6.0),
    ]


def test_columns_are_aligned_with_letters_that_have_combining_marks():
    lines = str(reverse_table(lambda x: np.sin(x), 1.0)).splitlines()
    assert lines[0].split() == ["value", "number", "rule", "adjoint"]
    assert len({line.index(part) for line, part in zip(lines[1:], ("seed", "ū1·cos"), strict=True)}) == 1


def test_paths_are_counted_and_bounded():
    def doubling(x):
        for _ in range(6):
            x = x + x
        return x

    found = paths(doubling, 1.0)
    assert len(found.paths) == 64 and found.total == 64.0
    with pytest.raises(DerivativeError, match="more than 50 paths"):
        paths(doubling, 1.0, most=50)


def test_paths_of_a_constant_function():
    with pytest.raises(DerivativeError, match="one output that depends on its arguments"):
        paths(lambda x: 3.0, 1.0)


# -- drawings ----------------------------------------------------------------------------------------------------------


def f(x, y):
    return y * np.sin(x + y) + np.exp(x) / y


def test_text_names_every_value():
    lines = draw(f, 1.0, 2.0).splitlines()
    assert len(lines) == 8 and lines[-1].endswith("output")


def test_dot_is_a_digraph_of_all_edges():
    dot = draw(f, 1.0, 2.0, form="dot")
    assert dot.startswith("digraph {") and dot.endswith("}")
    assert dot.count("->") == len(graph(f, 1.0, 2.0).edges()) == 10
    assert r"""p['\"']""" in draw(lambda p: p['"'] * 2, {'"': 1.0}, form="dot")


def test_svg_is_a_picture_without_overlaps():
    svg = ElementTree.fromstring(draw(f, 1.0, 2.0, form="svg"))
    space = "{http://www.w3.org/2000/svg}"
    width, height = float(svg.get("width")), float(svg.get("height"))
    boxes = []
    for rect in svg.findall(f"{space}rect")[1:]:
        x, y, w, h = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        assert 0 <= x and x + w <= width and 0 <= y and y + h <= height
        assert all(x + w < a or a + c < x or y + h < b or b + d < y for a, b, c, d in boxes)
        boxes.append((x, y, w, h))
    assert len(boxes) == 8
    assert len([path for path in svg.findall(f"{space}path") if path.get("marker-end")]) == 10


def test_svg_escapes_what_it_shows():
    ElementTree.fromstring(draw(lambda p: p["<&>"] * 2, {"<&>": 1.0}, form="svg"))
    with pytest.raises(ValueError, match="form is one of text, dot, svg"):
        draw(f, 1.0, 2.0, form="png")
