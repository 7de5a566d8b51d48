"""The same as `nerf-mini scene`."""

import sys

from nerf_mini.cli import main

sys.exit(main(["scene", *sys.argv[1:]]))
