"""Work on several processes and machines: tasks that may come twice, on any executor of `concurrent.futures`.

base         a pool: an executor, and what its engine knows besides
processes    processes of this machine
dask_pool    the workers of a Dask scheduler
addresses    a pool from what follows --cluster
worker       how a task is done where it arrives
work         tasks handed out, and handed out again where a worker dies or falls silent

What a task does is no business of this package, which knows no scene and no run: it stands below all that has work to
give away.
"""

from nerf_mini.pool.addresses import open_pool
from nerf_mini.pool.base import Pool
from nerf_mini.pool.work import Patience, completed

__all__ = ["Patience", "Pool", "completed", "open_pool"]
