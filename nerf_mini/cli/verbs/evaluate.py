"""nerf-mini eval."""

from __future__ import annotations

from collections.abc import Iterator

from nerf_mini.cli.arguments import EvalArguments
from nerf_mini.cli.progress import say
from nerf_mini.runs.evaluation import ScoredView, evaluate_run, evaluation_file
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.records import Protocol


def _protocol_lines(protocol: Protocol) -> Iterator[str]:
    """What has to be said beside the scores."""
    if protocol.fit != "none":
        yield f"{protocol.fit} of each view fitted on its left half; scored is the {protocol.scored}"
    if protocol.refine != "none":
        yield f"of the training cameras, {protocol.refine} were refined; these cameras are {protocol.cameras}"
    if protocol.skipped:
        yield f"left out, because masks leave nothing to score: {', '.join(protocol.skipped)}"


def run(arguments: EvalArguments) -> None:
    """Evaluate a run and print a line per view."""
    opened = open_run(arguments.run)

    def report(view: ScoredView) -> None:
        score = view.score
        similarity = "" if score.ssim is None else f", SSIM {score.ssim:.4f}"
        say(f"{score.name}: PSNR {score.psnr:.2f} dB{similarity}")

    result = evaluate_run(opened, arguments.split, arguments.max_views, arguments.data, report, say, arguments.fit_test)
    for line in _protocol_lines(result.protocol):
        say(line)
    say(
        f"{arguments.split}: PSNR {result.psnr:.2f} dB, SSIM {result.ssim:.4f},"
        f" mean of {len(result.views)} views at step {result.step}; {result.seconds_per_view:.2f} s per view;"
        f" PSNR {result.cc_psnr:.2f} dB with colours corrected"
    )
    say(f"written: {evaluation_file(opened, arguments.split, arguments.fit_test)}")
