"""`python -m nerf_mini` is the same as `nerf-mini`."""

import sys

from nerf_mini.cli.program import entry_point

if __name__ == "__main__":
    sys.exit(entry_point())
