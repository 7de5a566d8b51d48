"""Stripes and exchanges: what is sent arrives, whoever owns it, and every rank ends with the same vector."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import on_ranks

from nerf_mini.ranks import ALONE, Exchange, Layout
from nerf_mini.ranks.layout import STRIPE
from nerf_mini.ranks.shards import added

SHAPES = [(3, 7), (5000, 4), (1,), (900,), (64, 64)]


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6), st.integers(1, 5), st.data())
def test_stripes_are_dealt_evenly_and_runs_cover_all_arrays(sizes, ranks, data):
    undivided = data.draw(st.integers(0, len(sizes)))
    layout = Layout([(size,) for size in sizes], ranks, undivided)
    assert sorted(np.concatenate(layout.stripes)) == list(range(layout.length // STRIPE))
    counts = [len(stripes) for stripes in layout.stripes]
    if not undivided:
        assert max(counts) - min(counts) <= 1
    kinds = data.draw(st.lists(st.integers(0, 2), min_size=len(sizes), max_size=len(sizes)))
    of_array = layout.vector([np.full(size, kind + 1, np.float32) for size, kind in zip(sizes, kinds, strict=True)])
    for rank in range(ranks):
        part, found = layout.part(of_array, rank), 0
        for kind, where in layout.runs(rank, kinds):
            assert (part[where] == kind + 1).all() and where.stop > where.start
            found += where.stop - where.start
        assert found == np.count_nonzero(part)


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_parts_and_views_are_of_one_vector(ranks, rng):
    arrays = [rng.standard_normal(shape, np.float32) for shape in SHAPES]
    layout = Layout(SHAPES, ranks, undivided=2)
    vector = layout.vector(arrays, 2.0)
    for view, array in zip(layout.views(vector), arrays, strict=True):
        np.testing.assert_array_equal(view, 2 * array)
    for view, array in zip(layout.undivided(layout.part(vector, 0)), arrays[:2], strict=True):
        np.testing.assert_array_equal(view, 2 * array)
    again = np.zeros_like(vector)
    for rank in range(ranks):
        layout.put(again, rank, layout.part(vector, rank))
    np.testing.assert_array_equal(again, vector)
    layout.views(vector)[3][...] = 7
    assert np.count_nonzero(vector == 7) == 900, "views are not copies"


def summed_and_spread(team, vectors, sparse):
    """The bits that each rank ends with when owners add their part of the sum to a common vector."""
    shards = len(vectors)
    layout = Layout(SHAPES, team.size, 1)
    exchange = Exchange(team, layout, shards, sparse)
    own = {node: added(node, lambda shard: layout.vector(vectors[shard])) for node in exchange.nodes_of(team.rank)}
    part = exchange.summed(own)
    common = np.full(layout.length, 0.25, np.float32)
    mine = layout.part(common, team.rank).copy()
    mine += part
    exchange.spread(common, mine)
    return common.tobytes(), team.sent


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 9).flatmap(lambda s: st.tuples(st.just(s), st.integers(2, min(s, 5)))), st.booleans())
def test_any_number_of_ranks_ends_with_the_bits_of_one(case, sparse):
    shards, ranks = case
    rng = np.random.default_rng(shards)
    vectors = [[touched(rng, shape) for shape in SHAPES] for _ in range(shards)]
    expected, _ = summed_and_spread(ALONE, vectors, False)
    for found, _ in on_ranks(ranks, lambda team: summed_and_spread(team, vectors, sparse)):
        assert found == expected


def touched(rng, shape, share=0.1):
    """An array of which a share of the rows is not zero."""
    array = rng.standard_normal(shape, np.float32)
    array[rng.random(shape[0]) > share] = 0
    return array


def test_sparse_exchange_sends_less(rng):
    vectors = [[touched(rng, shape) for shape in SHAPES] for _ in range(4)]
    sent = [
        max(bytes_ for _, bytes_ in on_ranks(4, lambda team, sparse=sparse: summed_and_spread(team, vectors, sparse)))
        for sparse in (False, True)
    ]
    length = Layout(SHAPES, 4).length
    assert sent[0] == pytest.approx(2 * 3 / 4 * 4 * length, rel=0.15), "2 (R - 1) / R of the vector"
    assert sent[1] < 0.4 * sent[0]
