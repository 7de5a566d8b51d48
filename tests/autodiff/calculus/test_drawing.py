"""Drawings of the computation graph: text, DOT and SVG."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from autodiff.calculus import draw, graph


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
