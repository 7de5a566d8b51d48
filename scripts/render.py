"""The same as `nerf-mini render`."""

import sys

from nerf_mini.cli.program import main

sys.exit(main(["render", *sys.argv[1:]]))
