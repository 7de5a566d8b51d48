"""nerf-mini scene."""

from __future__ import annotations

from nerf_mini.cli.arguments import SceneArguments
from nerf_mini.cli.progress import counting_bar, say
from nerf_mini.scenes.synthetic import make_scene


def run(arguments: SceneArguments) -> None:
    """Make a synthetic data set."""
    with counting_bar("ray tracing") as report:
        folder = make_scene(
            arguments.name, arguments.output, size=arguments.size, views=arguments.views, seed=arguments.seed,
            progress=report,
        )  # fmt: skip
    say(f"made: {folder}")
