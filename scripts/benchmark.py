"""The same as `nerf-mini benchmark`, without installation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nerf_mini.cli.program import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
