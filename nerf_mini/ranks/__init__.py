"""One training on several processes and machines: shards of a batch, their sum, and who holds which parameters.

communicator  what processes of one training say to each other, and the process that is alone
mpi           the same over MPI
joining       how a process joins the others, and how it leaves when something goes wrong
watchdog      what ends a process that waits for others in vain
hosts         whether all have the same CPU, versions and data
shards        which rank has which shards of a step, and the order in which gradients are added
layout        parameters as one vector, in stripes that are dealt to ranks
exchange      gradients to the owners of their stripes, parameters back to all

What is trained is no business of this package, which knows no scene and no model: arrays come in, arrays go out. No
sum is left to the library: the same bits come out for any number of ranks.
"""

from nerf_mini.ranks.communicator import ALONE, Alone, Communicator
from nerf_mini.ranks.exchange import Exchange
from nerf_mini.ranks.hosts import require_alike
from nerf_mini.ranks.joining import joined, require_alone
from nerf_mini.ranks.layout import Layout
from nerf_mini.ranks.shards import owned_shards, require_shards

__all__ = [
    "ALONE",
    "Alone",
    "Communicator",
    "Exchange",
    "Layout",
    "joined",
    "owned_shards",
    "require_alike",
    "require_alone",
    "require_shards",
]
