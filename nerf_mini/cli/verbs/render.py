"""nerf-mini render."""

from __future__ import annotations

from nerf_mini.cli.arguments import RenderArguments
from nerf_mini.cli.progress import counting_bar, say
from nerf_mini.cli.workers import nothing_lost, pool_of
from nerf_mini.outputs.novel_views import RenderRequest, render_views
from nerf_mini.runs.folder import open_run


def run(arguments: RenderArguments) -> None:
    """Render novel views of a run."""
    opened = open_run(arguments.run)
    request = RenderRequest(
        arguments.path, arguments.views, arguments.scale, arguments.output, arguments.maps, arguments.progressive,
        arguments.frames_per_second, arguments.transform, not arguments.no_antialias,
    )  # fmt: skip
    with pool_of(arguments.cluster) as pool, nothing_lost(pool), counting_bar("rendering") as report:
        result = render_views(opened, request, report, say, pool)
    first = result.files[0]
    where = first if len(result.files) == 1 else f"{len(result.files)} files, from {first}"
    say(f"rendered step {result.step}: {where}")
