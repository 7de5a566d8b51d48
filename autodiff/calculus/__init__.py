"""The learner's view: derivatives as a course on vector and matrix calculus writes them.

>>> import numpy as np
>>> D(lambda x: x @ x)(np.array([1.0, 2.0]))  # the gradient as a row, 1 x 2
array([[2., 4.]])
"""

from autodiff.calculus.computation_graph import graph
from autodiff.calculus.derivative import D, difference_quotient, difference_table, differential, volume_scale
from autodiff.calculus.drawing import draw
from autodiff.calculus.identities import holds, verify
from autodiff.calculus.tables import Path, Paths, Table, forward_table, paths, reverse_table

__all__ = [
    "D",
    "Path",
    "Paths",
    "Table",
    "difference_quotient",
    "difference_table",
    "differential",
    "draw",
    "forward_table",
    "graph",
    "holds",
    "paths",
    "reverse_table",
    "verify",
    "volume_scale",
]
