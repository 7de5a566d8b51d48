"""How Numba compiles kernels.

A kernel is called from Python and cached on disk. A part is called from compiled code only: it comes without the
functions through which Python and C would call it, which take a tenth of the time to compile. To try one from Python,
call it from a function under `njit`. Nothing assumes that values are finite.
"""

from numba import njit

_FAST = {"contract", "reassoc", "nsz", "arcp"}

kernel = njit(cache=True, no_cfunc_wrapper=True)
parallel_kernel = njit(parallel=True, cache=True, no_cfunc_wrapper=True)
part = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
fast_part = njit(fastmath=_FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True)
