"""nerf-mini eval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from nerf_mini.cli.arguments import EvalArguments
from nerf_mini.cli.progress import say
from nerf_mini.cli.workers import nothing_lost, pool_of
from nerf_mini.errors import UserError, listed
from nerf_mini.pool import Pool
from nerf_mini.rendering.metrics import decibels
from nerf_mini.runs.evaluation import evaluate_run, evaluation_file
from nerf_mini.runs.folder import Run, open_run
from nerf_mini.runs.pooled_evaluation import evaluate_on_pool, evaluate_scales_on_pool
from nerf_mini.runs.records import MultiScaleEvaluation, Protocol, ViewScore
from nerf_mini.runs.scales import evaluate_run_at_scales, parse_scales, scales_file


def _protocol_lines(protocol: Protocol) -> Iterator[str]:
    """What has to be said beside the scores."""
    if protocol.fit != "none":
        yield f"{protocol.fit} of each view fitted on its left half; scored is the {protocol.scored}"
    if protocol.refine != "none":
        yield f"of the training cameras, {protocol.refine} were refined; these cameras are {protocol.cameras}"
    if protocol.skipped:
        yield f"left out, because masks leave nothing to score: {listed(protocol.skipped, 12)}"
    if protocol.changed:
        yield f"warning: not the pictures that the run began with: {listed(protocol.changed)}"


def _report(score: ViewScore, scale: Fraction | None = None) -> None:
    of = "" if scale is None else f"{scale} of "
    similarity = "" if score.ssim is None else f", SSIM {score.ssim:.4f}"
    say(f"{of}{score.name}: PSNR {decibels(score.psnr)} dB{similarity}")


def run(arguments: EvalArguments) -> None:
    """Evaluate a run and print a line per view."""
    scales = None if arguments.scales is None else parse_scales(arguments.scales)
    if scales is not None and arguments.fit_test != "none":
        raise UserError("--scales scores whole pictures, --fit-test halves of them: give one of the two.")
    opened = open_run(arguments.run)
    with pool_of(arguments.cluster) as pool, nothing_lost(pool):
        if scales is None:
            _at_full_size(arguments, opened, pool)
        else:
            _at_scales(arguments, scales, opened, pool)


def _at_full_size(arguments: EvalArguments, opened: Run, pool: Pool | None) -> None:
    """Evaluate a run and print the means."""
    asked = opened, arguments.split, arguments.max_views, arguments.data
    if pool is None:
        result = evaluate_run(*asked, lambda view: _report(view.score), say, arguments.fit_test)
    else:
        result = evaluate_on_pool(pool, *asked, _report, say, arguments.fit_test)
    for line in _protocol_lines(result.protocol):
        say(line)
    similarity = "" if math.isnan(result.ssim) else f", SSIM {result.ssim:.4f}"
    say(
        f"{arguments.split}: PSNR {decibels(result.psnr)} dB{similarity},"
        f" mean of {len(result.views)} views at step {result.step}; {result.seconds_per_view:.2f} s per view;"
        f" PSNR {decibels(result.cc_psnr)} dB with colours corrected"
    )
    say(f"written: {evaluation_file(opened, arguments.split, arguments.fit_test)}")


def _at_scales(arguments: EvalArguments, scales: Sequence[Fraction], opened: Run, pool: Pool | None) -> None:
    """Evaluate a run at several scales and print a table."""
    asked = opened, scales, arguments.split, arguments.max_views, arguments.data
    if pool is None:
        result = evaluate_run_at_scales(*asked, lambda scale, view: _report(view.score, scale), say)
    else:
        result = evaluate_scales_on_pool(pool, *asked, lambda scale, score: _report(score, scale), say)
    protocol = next(iter(result.scales.values())).protocol
    for line in (*_protocol_lines(protocol), *_table_lines(result)):
        say(line)
    say(f"{arguments.split}: step {result.step}; written: {scales_file(opened, arguments.split)}")


def _table_lines(result: MultiScaleEvaluation) -> Iterator[str]:
    """The scores in columns."""
    rows = result.rows()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
