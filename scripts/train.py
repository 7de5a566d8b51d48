"""The same as `nerf-mini train`."""

import sys

from nerf_mini.cli.program import main

sys.exit(main(["train", *sys.argv[1:]]))
