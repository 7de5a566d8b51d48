"""The shards of a step, and the order in which what they found is added up.

A step has S shards, whoever works on them. Floating-point sums depend on their order, so that is fixed too: the binary
tree over shards 0 to S - 1 whose node [first, last) is the sum of its halves. A rank adds up the largest subtrees that
lie among its own shards; whoever owns a part of the vector finishes the tree on that part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from nerf_mini.errors import UserError

Sum = TypeVar("Sum", bound=np.ndarray)
Node = tuple[int, int]  # shards [first, last)


def require_shards(shards: int, ranks: int) -> None:
    """Raise a UserError where there are more ranks than shards."""
    if ranks > shards:
        raise UserError(
            f"there are {ranks} ranks, but a step of this run has --shards {shards}: each rank needs one at least."
            f" Start {shards} with mpiexec -n {shards}, or begin another run with --shards {ranks}."
        )


def owned_shards(shards: int, size: int, rank: int) -> range:
    """The shards of a rank: as many as the others have, or one more, one after the other."""
    return range(rank * shards // size, (rank + 1) * shards // size)


def halves(node: Node) -> tuple[Node, Node]:
    """The two nodes whose sum a node of several shards is: the left one has a power of two of them."""
    first, last = node
    middle = first + (1 << (last - first - 1).bit_length() - 1)
    return (first, middle), (middle, last)


def covering(shards: int, own: range, node: Node | None = None) -> list[Node]:
    """The largest nodes of the tree that lie in a range of shards, in order; together they are the range."""
    first, last = node = (0, shards) if node is None else node
    if first >= own.stop or last <= own.start:
        return []
    if own.start <= first and last <= own.stop:
        return [node]
    left, right = halves(node)
    return covering(shards, own, left) + covering(shards, own, right)


def added(node: Node, of_shard: Callable[[int], Sum]) -> Sum:
    """The sum of a node, in the order of the tree, of what `of_shard` makes of each shard: arrays of one shape, which
    are overwritten. They are asked for in order, and few of them exist at a time."""
    if node[1] - node[0] == 1:
        return of_shard(node[0])
    left, right = halves(node)
    total = added(left, of_shard)
    total += added(right, of_shard)
    return total


def finished(shards: int, sums: Mapping[Node, Sum]) -> Sum:
    """The sum of the whole tree, from those of nodes that cover it, which are overwritten."""

    def finish(node: Node) -> Sum:
        if node in sums:
            return sums[node]
        left, right = halves(node)
        total = finish(left)
        total += finish(right)
        return total

    return finish((0, shards))
