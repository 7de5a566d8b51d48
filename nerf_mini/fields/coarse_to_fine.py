"""Coarse to fine: a field that shows coarse detail first, so that cameras find their places (Lin et al. 2021, BARF).

An encoding has bands of growing frequency: the octaves of the positional encoding, the levels of a hash grid. Bands are
faded in one after the other. To weigh a band is to weigh the rows of the first layer that read it, which costs nothing
and stops the gradients of what is not shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FIRST_SHARE = 0.4  # of the bands that is there from the beginning


def band_weights(bands: int, detail: float) -> np.ndarray:
    """Weights (bands,) in [0, 1], coarsest first, that release bands as `detail` goes from 0 to 1.

    With a from FIRST_SHARE bands to all of them, w_k = (1 - cos(pi clip(a - k, 0, 1))) / 2 (Lin et al. 2021, eq. 14);
    the first band is always there.
    """
    first = max(1.0, FIRST_SHARE * bands)
    released = first + min(max(detail, 0.0), 1.0) * (bands - first)
    return 0.5 * (1 - np.cos(np.pi * np.clip(released - np.arange(bands), 0.0, 1.0)))


def with_weighted_inputs(layers: Any, name: str, weights: np.ndarray) -> Any:
    """Dense layers whose layer `name` reads its first len(weights) inputs times these weights; differentiable."""
    matrix = layers[name]["weight"]
    rows = np.ones((matrix.shape[0], 1), matrix.dtype)
    rows[: len(weights), 0] = weights
    return {**layers, name: {**layers[name], "weight": matrix * rows}}
