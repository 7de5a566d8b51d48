"""Products of arrays. Everything bilinear is one family: the transpose of a product is a product."""

import numpy as np

from ..core import shape_of
from .families import REGISTRY, bilinear


def _promote(x, y):
    """Vectors as matrices, the way matmul reads them."""
    x2 = np.expand_dims(x, 0) if len(shape_of(x)) == 1 else x
    y2 = np.expand_dims(y, 1) if len(shape_of(y)) == 1 else y
    return x2, y2


def _promote_out(g, x, y):
    if len(shape_of(y)) == 1:
        g = np.expand_dims(g, -1)
    if len(shape_of(x)) == 1:
        g = np.expand_dims(g, -2)
    return g


def _matmul_x(g, x, y):
    x2, y2 = _promote(x, y)
    out = np.matmul(_promote_out(g, x, y), np.swapaxes(y2, -1, -2))
    return out[..., 0, :] if len(shape_of(x)) == 1 else out


def _matmul_y(g, x, y):
    x2, y2 = _promote(x, y)
    out = np.matmul(np.swapaxes(x2, -1, -2), _promote_out(g, x, y))
    return out[..., 0] if len(shape_of(y)) == 1 else out


matmul = bilinear("matmul", np.matmul, _matmul_x, _matmul_y)
REGISTRY[np.matmul] = matmul
