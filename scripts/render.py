"""The same as `nerf-mini render`."""

import sys

from nerf_mini.cli import main

sys.exit(main(["render", *sys.argv[1:]]))
