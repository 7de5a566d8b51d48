"""`python -m nerf_mini` is the same as `nerf-mini`."""

import sys

from nerf_mini.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
