"""The same as `nerf-mini benchmark`."""

import sys

from nerf_mini.cli.program import main

sys.exit(main(["benchmark", *sys.argv[1:]]))
