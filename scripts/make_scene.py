"""The same as `nerf-mini scene`."""

import sys

from nerf_mini.cli.program import main

sys.exit(main(["scene", *sys.argv[1:]]))
