"""nerf-mini report."""

from __future__ import annotations

from nerf_mini.cli.arguments import ReportArguments
from nerf_mini.cli.progress import counting_bar, say
from nerf_mini.errors import UserError
from nerf_mini.outputs.report import compare_runs, report_of_run, write_gallery


def run(arguments: ReportArguments) -> None:
    """Write the report of a run, of two side by side, or a gallery."""
    runs, most = arguments.runs, arguments.max_views
    if not runs:
        raise UserError("name a run folder, two to compare them, or several with --gallery FILE.html.")
    if arguments.gallery is not None:
        if arguments.output is not None or arguments.data is not None:
            raise UserError("--gallery says where the page goes, and runs of a gallery find their own data.")
        with counting_bar("gallery", "run") as progress:
            page = write_gallery(runs, arguments.gallery, most, progress)
    elif len(runs) > 2:
        raise UserError(f"{len(runs)} runs are too many to compare; --gallery FILE.html shows them all on one page.")
    else:
        with counting_bar("rendering") as progress:
            if len(runs) == 1:
                page = report_of_run(runs[0], arguments.output, most, arguments.data, progress)
            else:
                first, second = runs
                page = compare_runs(first, second, arguments.output, most, arguments.data, progress)
    say(f"report: {page}")
