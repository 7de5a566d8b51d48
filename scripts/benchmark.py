"""The same as `nerf-mini benchmark`."""

import sys

from nerf_mini.cli import main

sys.exit(main(["benchmark", *sys.argv[1:]]))
