"""The same as `nerf-mini eval`."""

import sys

from nerf_mini.cli.program import main

sys.exit(main(["eval", *sys.argv[1:]]))
