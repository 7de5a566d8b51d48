"""At least two threads, even on one core: what must not depend on the number of threads can be tried anywhere."""

import os

threads = int(os.environ.get("NUMBA_NUM_THREADS", 0)) or os.cpu_count() or 1
os.environ["NUMBA_NUM_THREADS"] = str(max(2, threads))  # before Numba is imported
