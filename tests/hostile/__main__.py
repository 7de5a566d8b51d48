"""`python -m tests.hostile`: the whole campaign, or a part of it."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import sys

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before Numba is imported; tiny kernels gain nothing by more

from .campaign import table, tally
from .cases import Case
from .parts import PARTS

SHARE_OF_MEMORY = 0.6
HANG = 1500.0  # seconds after which the campaign itself gives up


def main() -> int:
    """Try the cases, print each failure and a table; 1 where anything did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="how many in all parts together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=list(PARTS), action="append", help="only this one; may be repeated")
    parser.add_argument("--only", default="", help="only cases whose names contain this")
    parser.add_argument("--verbose", action="store_true", help="say what is tried, before it is")
    given = parser.parse_args()
    parts = given.part or list(PARTS)
    limit_memory()
    tallies = []

    def trying(case: Case) -> None:
        faulthandler.dump_traceback_later(HANG, exit=True)  # where no alarm is heard: within a kernel
        if given.verbose:
            print(ascii(case.name), flush=True)

    for part in parts:
        tallies.append(tally(part, given.seed, -(-given.cases // len(parts)), _told, given.only, trying))
        print(f"{part}: {tallies[-1].held} of {tallies[-1].tried} held", flush=True)
    print("\n" + table(tallies))
    return int(any(t.failures for t in tallies))


def limit_memory() -> None:
    """Let what asks for too much memory fail, instead of the whole machine; where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        most = int(SHARE_OF_MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _told(failure: object) -> None:
    print(str(failure).encode("utf-8", "backslashreplace").decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
