"""The tree over the shards of a step: who adds what, and that the order of sums is one for any number of ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerf_mini.errors import UserError
from nerf_mini.ranks import owned_shards, require_shards
from nerf_mini.ranks.shards import added, covering, finished, halves

SHARDS_AND_RANKS = st.integers(1, 70).flatmap(lambda shards: st.tuples(st.just(shards), st.integers(1, shards)))


def all_nodes(node):
    yield node
    if node[1] - node[0] > 1:
        for half in halves(node):
            yield from all_nodes(half)


@given(SHARDS_AND_RANKS)
def test_every_shard_has_one_rank_and_every_rank_a_shard(case):
    shards, ranks = case
    owned = [owned_shards(shards, ranks, rank) for rank in range(ranks)]
    assert [shard for own in owned for shard in own] == list(range(shards))
    assert min(map(len, owned)) >= 1 and max(map(len, owned)) - min(map(len, owned)) <= 1


@given(SHARDS_AND_RANKS)
def test_ranks_add_few_and_whole_subtrees_of_one_tree(case):
    shards, ranks = case
    tree = set(all_nodes((0, shards)))
    for rank in range(ranks):
        own = owned_shards(shards, ranks, rank)
        nodes = covering(shards, own)
        assert [shard for first, last in nodes for shard in range(first, last)] == list(own)
        assert set(nodes) <= tree and len(nodes) <= max(1, 2 * shards.bit_length())


@given(SHARDS_AND_RANKS, st.integers(0, 99))
def test_the_sum_has_the_bits_of_one_rank(case, seed):
    shards, ranks = case
    vectors = np.random.default_rng(seed).standard_normal((shards, 50), np.float32)

    def total(size):
        owned = [owned_shards(shards, size, rank) for rank in range(size)]
        nodes = [node for own in owned for node in covering(shards, own)]
        return finished(shards, {node: added(node, lambda shard: vectors[shard].copy()) for node in nodes})

    np.testing.assert_array_equal(total(ranks), total(1))
    np.testing.assert_allclose(total(1), vectors.sum(axis=0, dtype=np.float64), atol=1e-4)


def test_the_order_of_a_sum_shows_in_its_bits():
    """Or the test above would prove nothing: what each of three ranks adds by itself, one after the other, differs."""
    vectors = np.random.default_rng(0).standard_normal((8, 1000), np.float32)
    tree = added((0, 8), lambda shard: vectors[shard].copy())
    naive = sum(
        (added((own.start, own.stop), lambda shard: vectors[shard].copy()))
        for own in (owned_shards(8, 3, rank) for rank in range(3))
    )
    assert (tree != naive).any()


def test_more_ranks_than_shards_are_refused():
    require_shards(4, 4)
    with pytest.raises(UserError, match=r"5 ranks.*--shards 4.*mpiexec -n 4.*--shards 5"):
        require_shards(4, 5)
